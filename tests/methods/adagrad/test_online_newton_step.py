"""The online Newton step against its loop."""

import jax.numpy as jnp
import numpy as np

import gradpow
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, divide, in_both_types, rate, settings

CASE = Case(gradpow.online_newton_step, {"learning_rate": 1e-2, "eps": 0.5})


def loop(theta0, gradients, learning_rate, eps=1.0):
    """Hazan et al. (2007), of the diagonal."""
    a = np.full(theta0.shape, eps)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        a = a + g**2
        steps[t] = -at(learning_rate, t) * divide(g, a)
    return steps


@in_both_types
@settings(
    {
        "constant": {"learning_rate": 0.01},
        "scheduled": {"learning_rate": rate, "eps": 1e-3},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.online_newton_step, loop, dtype, **numbers)


def test_without_eps_a_gradient_of_0_gives_0():
    tx = gradpow.online_newton_step(1.0, eps=0.0)
    g = jnp.array([0.0, 2.0])
    np.testing.assert_array_equal(tx.update(g, tx.init(g))[0], [0.0, -0.5])
