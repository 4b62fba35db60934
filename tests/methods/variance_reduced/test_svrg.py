"""SVRG against its loop, from anchor to anchor."""

import numpy as np

import gradpow
from tests.contract.case import Case, second_gradient
from tests.contract.exact import assert_same_steps
from tests.methods.variance_reduced.finite_sum import ORDER, RATE, THETA, full, gradient, run

CASE = Case(gradpow.svrg, {"learning_rate": 1e-2}, second=True, arguments=second_gradient)


def loop(every):
    """Johnson and Zhang (2013), Figure 1, Option I."""
    theta, steps = THETA, []
    for t, j in enumerate(ORDER):
        if t % every == 0:
            anchor, mu = theta, full(theta)
        step = -RATE * (gradient(theta, j) - gradient(anchor, j) + mu)
        theta = theta + step
        steps.append(step)
    return np.array(steps)


def test_steps_are_those_of_the_loop():
    assert_same_steps(run(gradpow.svrg(RATE), every=12), loop(12), 1e-12)


def test_before_the_first_anchor_it_is_sgd():
    theta, steps = THETA, []
    for j in ORDER:
        steps.append(-RATE * gradient(theta, j))
        theta = theta + steps[-1]
    assert_same_steps(run(gradpow.svrg(RATE)), np.array(steps), 1e-12)
