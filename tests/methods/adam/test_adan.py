"""Adan against its loop, and how far optax's is."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    CONSTANT,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    in_both_types,
    settings,
)
from tests.contract.identities import assert_same, rate, updates_on_two_leaves

CASE = Case(
    gradpow.adan,
    {"learning_rate": 1e-2, "b1": 0.9, "b2": 0.8, "b3": 0.95, "eps": 1e-3, "weight_decay": 0.1},
)


def loop(theta0, gradients, learning_rate, b1, b2, b3, eps=1e-8, weight_decay=0.0):
    """Xie et al. (2024), Algorithm 1, with the bias corrections and eps of the authors' code."""
    theta, last = theta0, gradients[0]
    m, v, n = np.zeros((3, *theta0.shape))
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        delta, last = g - last, g
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * delta
        n = b3 * n + (1 - b3) * (g + b2 * delta) ** 2
        m_hat, v_hat, n_hat = (x / (1 - b ** (t + 1)) for x, b in ((m, b1), (v, b2), (n, b3)))
        eta, d = at(learning_rate, t), at(weight_decay, t)
        u = (m_hat + b2 * v_hat) / (np.sqrt(n_hat) + eps)
        steps[t] = (-eta * u - eta * d * theta) / (1 + eta * d)
        theta = theta + steps[t]
    return steps


B = {"b1": 0.95, "b2": 0.9, "b3": 0.95}


@in_both_types
@settings({"constant": {**CONSTANT, **B}, "scheduled": {**SCHEDULED, **B, "eps": 0.1}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adan, loop, dtype, **numbers)


def test_optaxs_is_another_but_where_b2_is_a_half():
    """The day that optax takes b2 where the paper has 1 - beta_2, this says so."""
    assert_same(gradpow.adan(rate, b2=0.5), optax.adan(rate, b2=0.5, eps_root=0.0))
    ours, theirs = (
        updates_on_two_leaves(tx) for tx in (gradpow.adan(0.01), optax.adan(0.01, eps_root=0.0))
    )
    apart = jax.tree.map(lambda a, b: np.max(np.abs(np.sum(a - b, axis=0))), ours, theirs)
    moved = jax.tree.map(lambda a: np.max(np.abs(np.sum(a, axis=0))), ours)
    assert apart["matrix"] > 0.1 * moved["matrix"]


def test_a_first_gradient_of_0_and_extremes_give_finite_steps():
    tx = gradpow.adan(0.1)
    state = tx.init(jnp.zeros(3))
    for g in ([0.0, 1e-30, 1e30], [1.0, 0.0, -1e30], [0.0, 0.0, 0.0]):
        updates, state = tx.update(jnp.array(g), state)
        assert jnp.isfinite(updates).all()
