"""ACClip against its loop."""

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
from tests.contract.identities import assert_same, rate

CASE = Case(
    gradpow.acclip,
    {
        "learning_rate": 1e-2,
        "b1": 0.5,
        "b2": 0.75,
        "order": 1.5,
        "eps": 1e-2,
        "weight_decay": 0.1,
    },
)


def loop(theta0, gradients, learning_rate, b1, b2, order=1.0, eps=1e-5, weight_decay=0.0):
    """Zhang et al. (2020), Algorithm 2."""
    theta = theta0
    m = np.zeros(theta0.shape)
    power = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        power = b2 * power + (1 - b2) * np.abs(g) ** order
        tau = power ** (1 / order)
        clipped = np.minimum(divide(tau, np.abs(m) + eps), 1) * m
        steps[t] = -at(learning_rate, t) * (clipped + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings(
    {
        "constant": {**CONSTANT, **ADAM},
        "scheduled": {**SCHEDULED, **ADAM, "order": 2.0, "eps": 1e-3},
        "order 1.5": {**CONSTANT, **ADAM, "order": 1.5, "eps": 0.0},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.acclip, loop, dtype, **numbers)


def test_with_equal_averages_nothing_is_clipped():
    """tau is at least |m| then; so it is momentum."""
    momentum = optax.chain(optax.ema(0.9, debias=False), optax.sgd(rate))
    assert_same(gradpow.acclip(rate, b1=0.9, b2=0.9, eps=0.0), momentum)
