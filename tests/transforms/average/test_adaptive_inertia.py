"""Adaptive inertia against the paper's loop."""

import jax.numpy as jnp
import numpy as np

import gradpow
from gradpow.transforms import adaptive_inertia
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, divide, in_both_types, settings

CASE = Case(adaptive_inertia, {"b0": 0.5, "b2": 0.9, "eps": 0.2})


def loop(theta0, gradients, b0=0.1, b2=0.99, eps=1e-3):
    """Of one vector with all coordinates; the corrections of v are the paper's."""
    m, v, product = np.zeros((3, *theta0.shape)) + np.array([0.0, 0.0, 1.0])[:, None]
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        v = b2 * v + (1 - b2) * g**2
        v_hat = v / (1 - b2 ** (t + 1))
        b1 = np.clip(1 - b0 * divide(v_hat, np.mean(v_hat)), 0, 1 - eps)
        m = b1 * m + (1 - b1) * g
        product = b1 * product
        steps[t] = m / (1 - product)
    return steps


@in_both_types
@settings({"default": {}, "others": {"b0": 0.5, "b2": 0.9, "eps": 0.25}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(
        lambda **given: gradpow.chain(adaptive_inertia(**given)), loop, dtype, whole=True, **numbers
    )


def test_without_inertia_it_passes_everything_on():
    tx = adaptive_inertia(eps=1.0)
    state = tx.init(jnp.zeros(2))
    for g in jnp.array([[1.0, -2.0], [3.0, 0.0]]):
        u, state = tx.update(g, state)
        np.testing.assert_allclose(u, g)


def test_squares_that_leave_float32_leave_no_nan():
    tx = adaptive_inertia()
    state = tx.init(jnp.zeros(3))
    for g in ([0.0, 0.0, 0.0], [1e30, 0.0, 1e-30], [1.0, 1.0, 1.0]):
        u, state = tx.update(jnp.array(g), state)
        assert np.all(np.isfinite(u))
