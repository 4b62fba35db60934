"""ROOT-SGD against its loop."""

import numpy as np

import gradpow
from tests.contract.case import Case, second_gradient
from tests.contract.exact import assert_same_steps
from tests.methods.variance_reduced.finite_sum import ORDER, RATE, THETA, gradient, run

CASE = Case(
    gradpow.root_sgd,
    {"learning_rate": 1e-2},
    largest=1e38,  # of bfloat16, which a difference of two leaves
    second=True,
    arguments=second_gradient,
)


def loop():
    """Li et al. (2022), Algorithm 1, without burn-in."""
    theta, before, v, steps = THETA, THETA, 0.0, []
    for t, j in enumerate(ORDER, start=1):
        v = gradient(theta, j) + (t - 1) / t * (v - gradient(before, j))
        before, theta = theta, theta - RATE * v
        steps.append(-RATE * v)
    return np.array(steps)


def test_steps_are_those_of_the_loop():
    assert_same_steps(run(gradpow.root_sgd(RATE)), loop(), 1e-12)
