"""SARAH against its loop, from restart to restart."""

import numpy as np

import gradpow
from tests.contract.case import Case, second_gradient
from tests.contract.exact import assert_same_steps
from tests.methods.variance_reduced.finite_sum import ORDER, RATE, THETA, full, gradient, run

CASE = Case(
    gradpow.sarah,
    {"learning_rate": 1e-2},
    largest=1e38,  # of bfloat16, which a difference of two leaves
    second=True,
    arguments=second_gradient,
)


def loop(every):
    """Nguyen et al. (2017), Algorithm 1."""
    theta, before, v, steps = THETA, THETA, 0.0, []
    for t, j in enumerate(ORDER):
        v = full(theta) if t % every == 0 else gradient(theta, j) - gradient(before, j) + v
        before, theta = theta, theta - RATE * v
        steps.append(-RATE * v)
    return np.array(steps)


def test_steps_are_those_of_the_loop():
    assert_same_steps(run(gradpow.sarah(RATE), every=12), loop(12), 1e-12)
