"""MARS around an optimizer against the loop of its box."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from tests.contract.case import Case, second_gradient
from tests.contract.exact import assert_same_steps, make_problem


def elsewhere(updates, params):
    """A second gradient that differs where parameters stand still, too."""
    grad_fn = second_gradient(updates, params)["grad_fn"]
    return {"grad_fn": lambda theta: jax.tree.map(lambda r: r / 2 + 0.5, grad_fn(theta))}


CASE = Case(
    gradpow.mars,
    {"b1": 0.9, "gamma": 0.03, "max_norm": 1.5},
    other={"base": optax.sgd(1e-2, momentum=0.9)},
    second=True,
    arguments=elsewhere,
    largest=4e4,
)


def loop(theta, noise, rate, b1, gamma, max_norm, exact):
    """Yuan et al. (2025), Algorithm 1, with momentum's step; the gradient is theta + noise_t."""
    steps, m, before, last = [], 0.0, theta, theta + noise[0]
    for xi in noise:
        g = theta + xi
        r = before + xi if exact else last
        c = g + gamma * b1 / (1 - b1) * (g - r)
        c = c / max(1.0, np.sqrt(np.sum(c**2)) / max_norm)
        m = b1 * m + c
        steps.append(-rate * m)
        before, theta, last = theta, theta - rate * m, g
    return np.array(steps)


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "approximate"])
def test_steps_are_those_of_the_loop(exact):
    theta, noise = make_problem(0, 60, (3, 4))
    noise = np.clip(noise, -2, 2)
    provider = gradpow.at_previous_point if exact else gradpow.lagged_gradient
    tx = gradpow.mars(optax.sgd(0.05, momentum=0.75), 0.75, 0.5, 2.0, provider)

    def step(carry, xi):
        x, state = carry
        u, state = tx.update(x + xi, state, x, grad_fn=lambda x: x + xi)
        return (x + u, state), u

    with jax.enable_x64(True):
        start = jnp.asarray(theta)
        _, found = jax.lax.scan(step, (start, tx.init(start)), jnp.asarray(noise))
    assert_same_steps(found, loop(theta, noise, 0.05, 0.75, 0.5, 2.0, exact), 1e-12)
