"""AdaMax against its loop, and where optax's, without eps, is NaN."""

import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    ADAM,
    CONSTANT,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    divide,
    in_both_types,
    settings,
)

CASE = Case(
    gradpow.adamax,
    {"learning_rate": 1e-2, "b1": 0.9, "b2": 0.99, "eps": 1e-2, "weight_decay": 0.1},
)


def loop(theta0, gradients, learning_rate, b1, b2, eps=0.0, weight_decay=0.0):
    """Kingma and Ba (2015), Algorithm 2."""
    theta = theta0
    m = np.zeros(theta0.shape)
    u = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        u = np.maximum(b2 * u, np.abs(g))
        eta = at(learning_rate, t)
        ratio = divide(m / (1 - b1 ** (t + 1)), u + eps)
        steps[t] = -eta * (ratio + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings({"constant": {**CONSTANT, **ADAM}, "scheduled": {**SCHEDULED, **ADAM, "eps": 1e-3}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adamax, loop, dtype, **numbers)


def test_without_eps_a_gradient_of_0_gives_0_where_optax_gives_nan():
    g = jnp.array([0.0, 1e-30, -1e30])
    for tx, expected in (
        (gradpow.adamax(1.0), [0.0, -1.0, 1.0]),
        (optax.adamax(1.0, eps=0.0), [np.nan, -1.0, 1.0]),
    ):
        np.testing.assert_allclose(tx.update(g, tx.init(g))[0], expected, rtol=1e-6)
