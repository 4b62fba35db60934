"""SAG against its loop."""

import numpy as np
import pytest

import gradpow
from tests.contract.case import Case, at_index
from tests.contract.exact import assert_same_steps
from tests.methods.variance_reduced.finite_sum import ORDER, RATE, THETA, N, gradient, run

CASE = Case(gradpow.sag, {"learning_rate": 1e-2}, other={"size": 3}, arguments=at_index)


def loop():
    """Schmidt et al. (2017), Algorithm 1."""
    theta, y, d, steps = THETA, np.zeros((N, *THETA.shape)), np.zeros_like(THETA), []
    for j in ORDER:
        d = d - y[j] + gradient(theta, j)
        y[j] = gradient(theta, j)
        theta = theta - RATE / N * d
        steps.append(-RATE / N * d)
    return np.array(steps)


def test_steps_are_those_of_the_loop():
    assert_same_steps(run(gradpow.sag(RATE, N)), loop(), 1e-12)


@pytest.mark.parametrize("size", [0, 2.5, True, None])
def test_a_size_that_counts_nothing_is_refused(size):
    with pytest.raises(ValueError, match="size must be an integer >= 1"):
        gradpow.sag(0.1, size)
