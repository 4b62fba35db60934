"""AdaFom against its loop, and AdaGrad as its case b1 = 0."""

import numpy as np

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

CASE = Case(gradpow.adafom, {"learning_rate": 1e-2, "b1": 0.9, "eps": 1e-2, "weight_decay": 0.1})


def loop(theta0, gradients, learning_rate, b1, eps=0.0, weight_decay=0.0):
    """Chen et al. (2019), Section 3."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for count, g in enumerate(gradients):
        t = count + 1
        m = b1 * m + (1 - b1) * g
        v = (1 - 1 / t) * v + g**2 / t
        alpha = at(learning_rate, count) / np.sqrt(t)
        step = divide(m, np.sqrt(v) + eps)
        steps[count] = -alpha * (step + at(weight_decay, count) * theta)
        theta = theta + steps[count]
    return steps


@in_both_types
@settings(
    {
        "constant": {**CONSTANT, "b1": 0.9},
        "scheduled": {**SCHEDULED, "b1": 0.5, "eps": 1e-3},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adafom, loop, dtype, **numbers)


def test_without_momentum_it_is_adagrad():
    assert_same(gradpow.adafom(rate, b1=0.0), gradpow.adagrad(rate, eps=0.0))
