"""Scaling by a moment against its loop, with optax's averages for filters, and grad's trap."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.core import Scalar, check
from gradpow.transforms import moment_scale, p_norm_scale, running_max, sign_power
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, divide, in_both_types, settings
from tests.contract.identities import assert_same


def by_average(
    b: Scalar, order: Scalar, power: Scalar | None, eps: Scalar, eps_root: Scalar
) -> optax.GradientTransformation:
    check("in [0, 1)", b=b)
    return moment_scale(optax.ema(b, debias=False), order, power, eps, eps_root)


CASE = Case(by_average, {"b": 0.9, "order": 2.5, "power": 0.3, "eps": 1e-3, "eps_root": 1e-2})


def loop(theta0, gradients, b, order=2.0, power=None, eps=0.0, eps_root=0.0):
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        v = b * v + (1 - b) * np.abs(g) ** order
        d = (v + eps_root) ** (1 / order if power is None else power) + eps
        steps[t] = divide(g, d)
    return steps


@in_both_types
@settings(
    {
        "root": {"b": 0.9, "eps": 1e-3},
        "inside": {"b": 0.9, "eps_root": 1e-3},
        "order 1": {"b": 0.5, "order": 1.0},
        "order 3": {"b": 0.5, "order": 3.0, "eps": 1e-2},
        "power": {"b": 0.9, "power": 0.125, "eps": 1e-3},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    def factory(b, **given):
        return gradpow.chain(moment_scale(optax.ema(b, debias=False), **given))

    assert_steps_of_loop(factory, loop, dtype, **numbers)


def test_of_an_average_it_is_the_scaling_by_its_p_norm():
    for p in (1.0, 2.0):
        assert_same(
            gradpow.chain(p_norm_scale(0.75, p, nesterov=False, eps=1e-4)),
            gradpow.chain(moment_scale(optax.ema(0.75, debias=False), p, eps=1e-4)),
        )


def test_adam_is_a_chain_and_what_its_moment_must_see_comes_before_a_nested_one():
    scaled = gradpow.chain(optax.ema(0.9), moment_scale(optax.ema(0.95), eps=1e-8))
    adam = optax.scale_by_adam(0.9, 0.95)
    assert_same(gradpow.chain(adam), scaled)
    nested = gradpow.chain(sign_power(1.2), scaled)
    assert_same(gradpow.chain(sign_power(1.2), adam), nested)
    flat = gradpow.chain(sign_power(1.2), optax.ema(0.9), moment_scale(optax.ema(0.95), eps=1e-8))
    with pytest.raises(AssertionError):
        assert_same(nested, flat)


def test_zero_over_zero_is_zero_and_what_leaves_float32_is_0_not_nan():
    tx = gradpow.chain(moment_scale(optax.chain(optax.trace(1.0), running_max())))
    state = tx.init(jnp.zeros(3))
    for g in ([0.0, 1e30, 1e-30], [0.0, 1.0, 1e-30]):
        updates, state = tx.update(jnp.array(g), state)
        np.testing.assert_array_equal(updates, [0, 0, 0])
