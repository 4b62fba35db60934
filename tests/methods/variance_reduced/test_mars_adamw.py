"""MARS-AdamW against its loop, and its vectors against AdamW."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from tests.contract.case import Case, second_gradient
from tests.contract.exact import assert_same_steps, at
from tests.methods.variance_reduced.finite_sum import ORDER, RATE, THETA, gradient, run

NUMBERS = {"b1": 0.75, "b2": 0.875, "eps": 0.125, "gamma": 0.5, "weight_decay": 0.25}
CASE = Case(
    gradpow.mars_adamw,
    {"learning_rate": 1e-2, "b1": 0.9, "b2": 0.95, "eps": 1e-3, "gamma": 0.1, "weight_decay": 0.1},
    second=True,
    arguments=second_gradient,
)


def corrected(b1, gamma, exact, step):
    """Yuan et al. (2025), Algorithm 1, lines 3 to 5; step is from t, c and theta to theta's."""
    theta, before, last, steps = THETA, THETA, None, []
    for t, j in enumerate(ORDER):
        g = gradient(theta, j)
        r = gradient(before, j) if exact else g if last is None else last
        c = g + gamma * b1 / (1 - b1) * (g - r)
        if np.linalg.norm(c) > 1:
            c = c / np.linalg.norm(c)
        steps.append(step(t, c, theta))
        before, theta, last = theta, theta + steps[-1], g
    return np.array(steps)


def loop(rate, b1, b2, eps, gamma, weight_decay, exact):
    m, v = np.zeros_like(THETA), np.zeros_like(THETA)

    def step(t, c, theta):
        nonlocal m, v
        m, v = b1 * m + (1 - b1) * c, b2 * v + (1 - b2) * c**2
        u = m / (1 - b1 ** (t + 1)) / (np.sqrt(v / (1 - b2 ** (t + 1))) + eps)
        return -at(rate, t) * (u + weight_decay * theta)

    return corrected(b1, gamma, exact, step)


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "approximate"])
def test_steps_are_those_of_the_loop(exact):
    provider = gradpow.at_previous_point if exact else gradpow.lagged_gradient
    tx = gradpow.mars_adamw(RATE, **NUMBERS, provider=provider)
    assert_same_steps(run(tx), loop(RATE, **NUMBERS, exact=exact), 1e-12)


@pytest.mark.parametrize("factory", [gradpow.mars_adamw, gradpow.mars_lion])
def test_vectors_and_stacks_take_the_authors_adamw_and_no_correction(factory):
    params = {"vector": jnp.linspace(-1, 1, 5), "cube": jnp.ones((2, 3, 2))}
    plain = optax.adamw(0.1, 0.9, 0.95, weight_decay=0.1)
    tx = factory(0.1, gamma=5.0)
    states = tx.init(params), plain.init(params)
    for scale in (1.0, -3.0):
        grads = jax.tree.map(lambda x, scale=scale: scale * jnp.cos(x), params)
        given = {"grad_fn": lambda theta: theta}
        found, state = tx.update(grads, states[0], params, **given)
        expected, other = plain.update(grads, states[1], params)
        states = state, other
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6), found, expected)
