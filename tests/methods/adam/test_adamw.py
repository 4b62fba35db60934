"""AdamW against its loop and optax's."""

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
    in_both_types,
    settings,
)
from tests.contract.identities import MASK, assert_same, rate

CASE = Case(
    gradpow.adamw,
    {
        "learning_rate": 1e-2,
        "b1": 0.9,
        "b2": 0.99,
        "eps": 1e-8,
        "eps_root": 1e-12,
        "weight_decay": 0.1,
    },
)


def loop(theta0, gradients, learning_rate, b1=0.9, b2=0.999, eps=1e-8, weight_decay=1e-4):
    """Loshchilov and Hutter (2019), Algorithm 2, the decay times the base rate as in optax."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1 ** (t + 1))
        v_hat = v / (1 - b2 ** (t + 1))
        eta = at(learning_rate, t)
        steps[t] = -eta * (m_hat / (np.sqrt(v_hat) + eps) + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings({"constant": {**CONSTANT, **ADAM}, "scheduled": {**SCHEDULED, **ADAM, "eps": 1e-3}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adamw, loop, dtype, **numbers)


def test_it_is_optax_s():
    assert_same(
        gradpow.adamw(rate, eps_root=1e-3, mask=MASK), optax.adamw(rate, eps_root=1e-3, mask=MASK)
    )
