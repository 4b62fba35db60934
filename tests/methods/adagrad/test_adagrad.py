"""AdaGrad against its loop; optax's eps and accumulator."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, divide, in_both_types, rate, settings
from tests.contract.identities import assert_same

CASE = Case(gradpow.adagrad, {"learning_rate": 1e-2, "eps": 1e-2, "eps_root": 1e-2})


def loop(theta0, gradients, learning_rate, eps=1e-10, eps_root=0.0):
    """Duchi et al. (2011), Figure 1, of the diagonal: eps is its delta."""
    s = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        s = s + g**2
        steps[t] = -at(learning_rate, t) * divide(g, np.sqrt(s + eps_root) + eps)
    return steps


@in_both_types
@settings(
    {
        "constant": {"learning_rate": 0.01, "eps": 1e-3},
        "scheduled": {"learning_rate": rate, "eps": 0.0, "eps_root": 1e-3},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adagrad, loop, dtype, **numbers)


def test_with_eps_inside_it_is_optax_s_whose_accumulator_starts_at_0():
    ours = gradpow.adagrad(rate, eps=0.0, eps_root=1e-7)
    assert_same(ours, optax.adagrad(rate, initial_accumulator_value=0.0))
    with pytest.raises(AssertionError):
        assert_same(ours, optax.adagrad(rate))
    assert_same(gradpow.adagradpower(rate, p=1.0, eps=1e-7), ours)


def test_no_gradient_is_too_small_or_too_large_for_a_finite_step():
    tx = gradpow.adagrad(1.0, eps=0.0)
    state = tx.init(jnp.zeros(3))
    for g in ([0.0, 1e-30, 1e30], [0.0, 0.0, 1.0]):
        updates, state = tx.update(jnp.array(g), state)
        np.testing.assert_array_equal(updates, np.zeros(3))
