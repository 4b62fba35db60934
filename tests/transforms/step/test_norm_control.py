"""Weight norm control against its loop, and weight decay as its case."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.transforms import decay_stepped_weights, norm_control
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, decay, in_both_types, settings
from tests.contract.identities import MASK, assert_same, rate

CASE = Case(norm_control, {"strength": 0.1, "ratio": 0.9})


def loop(theta0, gradients, eta, strength, ratio):
    """Of descent at the rate eta."""
    theta = theta0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        y = theta - eta * g
        target = at(ratio, t) * np.sqrt(np.sum(theta0**2))
        pull = at(strength, t) * (1 - target / np.sqrt(np.sum(y**2)))
        steps[t] = -eta * g - pull * y
        theta = theta + steps[t]
    return steps


def rounding(eps, theta0, expected, numbers):
    """Allowed, since a pull is a difference of parameters, and is as much smaller than they are."""
    del numbers
    return 2 * eps * np.max(np.abs(np.cumsum([theta0, *expected], axis=0)), axis=0)


@in_both_types
@settings(
    {
        "constant": {"strength": 0.25, "ratio": 1.0},
        "larger": {"strength": 0.5, "ratio": 1.5},
        "scheduled": {"strength": decay, "ratio": lambda t: 1 + t / 64},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    def factory(eta, strength, ratio):
        return gradpow.chain(optax.scale(-eta), norm_control(strength, ratio))

    assert_steps_of_loop(factory, loop, dtype, rounding=rounding, eta=2.0**-7, **numbers)


def test_towards_0_it_is_weight_decay_after_the_step():
    descent = optax.scale(-0.01)
    assert_same(
        gradpow.chain(descent, norm_control(rate, 0.0, MASK)),
        gradpow.chain(descent, decay_stepped_weights(rate, MASK)),
    )


def test_what_starts_at_0_is_pulled_to_0_and_never_nan():
    tx, zeros = norm_control(0.5), jnp.zeros(2)
    step, _ = tx.update(jnp.array([4.0, 0.0]), tx.init(zeros), zeros)
    np.testing.assert_array_equal(step, [2.0, 0.0])
    assert not np.any(tx.update(zeros, tx.init(zeros), zeros)[0])


def test_the_target_needs_the_parameters_values():
    with pytest.raises(TypeError, match="values"):
        gradpow.chain(norm_control(0.5)).init(jax.ShapeDtypeStruct((2,), jnp.float32))


def test_at_full_strength_the_norm_is_the_target():
    tx, theta = norm_control(1.0, ratio=2.0), jnp.array([3.0, -4.0, 12.0])
    step, _ = tx.update(jnp.array([0.5, 0.25, -1.0]), tx.init(theta), theta)
    np.testing.assert_allclose(np.linalg.norm(theta + step), 26, rtol=1e-6)
