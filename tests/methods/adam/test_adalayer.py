"""Adalayer against its loop, and Adam-mini with a tensor for a block."""

import numpy as np

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
    gradpow.adalayer,
    {"learning_rate": 1e-2, "b1": 0.9, "b2": 0.99, "eps": 1e-2, "weight_decay": 0.1},
)


def loop(theta0, gradients, learning_rate, b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.0):
    """The survey's, with the mean in the place of the sum over the root of p, and Adam's eps."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = 0.0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * np.sum(g**2) / g.size
        u = m / (1 - b1 ** (t + 1)) / (np.sqrt(v / (1 - b2 ** (t + 1))) + eps)
        steps[t] = -at(learning_rate, t) * (u + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings({"constant": CONSTANT, "scheduled": {**SCHEDULED, **ADAM, "eps": 1e-3}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adalayer, loop, dtype, **numbers)


def test_it_is_adam_mini_with_a_tensor_for_a_block():
    numbers = {"b2": 0.95, "weight_decay": 0.1, "mask": MASK}
    assert_same(
        gradpow.adalayer(rate, **numbers),
        gradpow.adam_mini(rate, **numbers, blocks=lambda path, leaf: None),
    )
