"""Adai and AdaiW against their loop."""

import numpy as np
import optax
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    CONSTANT,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    divide,
    in_both_types,
    settings,
)
from tests.contract.identities import assert_same, rate

CASE = Case(
    gradpow.adai,
    {"learning_rate": 1e-2, "b0": 0.5, "b2": 0.9, "eps": 0.2, "weight_decay": 0.1},
)


def loop(
    theta0, gradients, learning_rate, b0=0.1, b2=0.99, eps=1e-3, weight_decay=0, decoupled=False
):
    """adai.py of the authors, of one vector with all parameters."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    b1_product = np.ones(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        decay = at(weight_decay, t) * theta
        g = g if decoupled else g + decay
        v = b2 * v + (1 - b2) * g**2
        v_hat = v / (1 - b2 ** (t + 1))
        b1 = np.clip(1 - b0 * divide(v_hat, np.mean(v_hat)), 0, 1 - eps)
        b1_product = b1_product * b1
        m = b1 * m + (1 - b1) * g
        m_hat = m / (1 - b1_product)
        steps[t] = -at(learning_rate, t) * (m_hat + decay if decoupled else m_hat)
        theta = theta + steps[t]
    return steps


@in_both_types
@pytest.mark.parametrize("decoupled", [False, True])
@settings({"constant": CONSTANT, "scheduled": {**SCHEDULED, "b0": 0.5, "b2": 0.9, "eps": 0.25}})
def test_steps_are_those_of_the_loop(numbers, decoupled, dtype):
    assert_steps_of_loop(gradpow.adai, loop, dtype, whole=True, decoupled=decoupled, **numbers)


def test_without_inertia_it_is_sgd():
    assert_same(gradpow.adai(rate, eps=1.0), optax.sgd(rate))
