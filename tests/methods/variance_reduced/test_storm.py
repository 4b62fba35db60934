"""STORM against its loop."""

import numpy as np
import pytest

import gradpow
from tests.contract.case import Case, second_gradient
from tests.contract.exact import assert_same_steps, at
from tests.methods.variance_reduced.finite_sum import ORDER, THETA, gradient, run

CASE = Case(
    gradpow.storm,
    {"learning_rate": 0.1, "w": 0.2, "c": 3.0},
    second=True,
    arguments=second_gradient,
)


def loop(k, w, c):
    """Cutkosky and Orabona (2019), Algorithm 1; a is at most 1."""
    theta, before, a, d, total, steps = THETA, THETA, 1.0, 0.0, 0.0, []
    for t, j in enumerate(ORDER):
        g = gradient(theta, j)
        total += np.sum(g**2)
        eta = at(k, t) / (w + total) ** (1 / 3)
        d = g + (1 - a) * (d - gradient(before, j))
        before, theta = theta, theta - eta * d
        a = min(1.0, c * eta**2)
        steps.append(-eta * d)
    return np.array(steps)


@pytest.mark.parametrize("k", [0.5, lambda count: 2.0**-6 * (48 - count)], ids=["0.5", "schedule"])
def test_steps_are_those_of_the_loop(k):
    assert_same_steps(run(gradpow.storm(k, 0.25, 8.0)), loop(k, 0.25, 8.0), 1e-12)


def test_the_loop_has_weights_of_1_and_below():
    """So that the bound of a is tested: it holds at first, and lets go as the sum grows."""
    assert 8.0 * (0.5 / 0.25 ** (1 / 3)) ** 2 > 1 > 8.0 * (0.5 / (0.25 + 48 * 12) ** (1 / 3)) ** 2
