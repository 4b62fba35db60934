"""AdaGrad-Norm against its loop."""

import numpy as np
import pytest

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

CASE = Case(gradpow.adagrad_norm, {"learning_rate": 0.1, "b0": 2.0, "weight_decay": 0.1})


def loop(theta0, gradients, learning_rate, b0=0.1, weight_decay=0.0):
    """Ward et al. (2019), Algorithm 1."""
    theta = theta0
    b = b0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        b = np.sqrt(b**2 + np.sum(g**2))
        steps[t] = -at(learning_rate, t) * (g / b + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@pytest.mark.parametrize("over", ["tree", None])
@settings({"constant": CONSTANT, "scheduled": {**SCHEDULED, "b0": 2.0}})
def test_steps_are_those_of_the_loop(numbers, over, dtype):
    assert_steps_of_loop(
        gradpow.adagrad_norm, loop, dtype, other={"over": over}, whole=over == "tree", **numbers
    )
