"""AdaBelief against its loop and optax's."""

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
from tests.contract.identities import assert_same, rate

CASE = Case(
    gradpow.adabelief,
    {
        "learning_rate": 1e-2,
        "b1": 0.9,
        "b2": 0.99,
        "eps": 1e-2,
        "eps_root": 1e-3,
        "weight_decay": 0.1,
    },
)


def loop(theta0, gradients, learning_rate, b1, b2, eps, eps_root, weight_decay=0.0):
    """Zhuang et al. (2020), Algorithm 2."""
    theta = theta0
    m = np.zeros(theta0.shape)
    s = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps_root
        m_hat = m / (1 - b1 ** (t + 1))
        s_hat = s / (1 - b2 ** (t + 1))
        eta = at(learning_rate, t)
        steps[t] = -eta * (m_hat / (np.sqrt(s_hat) + eps) + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings(
    {
        "constant": {**CONSTANT, **ADAM, "eps": 1e-8, "eps_root": 1e-8},
        "scheduled": {**SCHEDULED, **ADAM, "eps": 1e-3, "eps_root": 1e-5},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adabelief, loop, dtype, **numbers)


def test_it_is_optax_s():
    assert_same(gradpow.adabelief(rate), optax.adabelief(rate))
