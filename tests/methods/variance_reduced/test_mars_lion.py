"""MARS-Lion against its loop."""

import numpy as np
import pytest

import gradpow
from tests.contract.case import Case, second_gradient
from tests.contract.exact import assert_same_steps
from tests.methods.variance_reduced.finite_sum import RATE, THETA, run
from tests.methods.variance_reduced.test_mars_adamw import corrected

NUMBERS = {"b1": 0.75, "gamma": 0.5, "weight_decay": 0.25}
CASE = Case(
    gradpow.mars_lion,
    {"learning_rate": 1e-2, "b1": 0.9, "gamma": 0.1, "weight_decay": 0.1},
    second=True,
    arguments=second_gradient,
)


def loop(rate, b1, gamma, weight_decay, exact):
    m = np.zeros_like(THETA)

    def step(t, c, theta):
        nonlocal m
        m = b1 * m + (1 - b1) * c
        return -rate * (np.sign(m) + weight_decay * theta)

    return corrected(b1, gamma, exact, step)


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "approximate"])
def test_steps_are_those_of_the_loop(exact):
    provider = gradpow.at_previous_point if exact else gradpow.lagged_gradient
    tx = gradpow.mars_lion(RATE, **NUMBERS, provider=provider)
    assert_same_steps(run(tx), loop(RATE, **NUMBERS, exact=exact), 1e-12)
