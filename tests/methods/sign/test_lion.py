"""Lion against its loop and optax's."""

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
from tests.contract.identities import MASK, assert_same, rate

CASE = Case(gradpow.lion, {"learning_rate": 1e-2, "b1": 0.9, "b2": 0.99, "weight_decay": 0.1})


def loop(theta0, gradients, learning_rate, b1=0.9, b2=0.99, weight_decay=1e-3):
    """Chen et al. (2023), Algorithm 2."""
    theta = theta0
    m = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        u = np.sign(b1 * m + (1 - b1) * g)
        steps[t] = -at(learning_rate, t) * (u + at(weight_decay, t) * theta)
        theta = theta + steps[t]
        m = b2 * m + (1 - b2) * g
    return steps


@in_both_types
@settings({"constant": CONSTANT, "scheduled": {**SCHEDULED, "b1": 0.8, "b2": 0.9}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.lion, loop, dtype, **numbers)


def test_it_is_optax_s():
    assert_same(gradpow.lion(rate, mask=MASK), optax.lion(rate, mask=MASK))
