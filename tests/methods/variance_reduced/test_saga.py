"""SAGA against its loop, from a table of zeros and from the paper's."""

import numpy as np
import pytest

import gradpow
from tests.contract.case import Case, at_index
from tests.contract.exact import assert_same_steps
from tests.methods.variance_reduced.finite_sum import ORDER, RATE, THETA, N, gradient, run

CASE = Case(gradpow.saga, {"learning_rate": 1e-2}, other={"size": 3}, arguments=at_index)


def loop(table):
    """Defazio et al. (2014), Section 1, steps 1 to 3 without a prox."""
    theta, y, steps = THETA, table.copy(), []
    for j in ORDER:
        step = -RATE * (gradient(theta, j) - y[j] + y.mean(0))
        y[j] = gradient(theta, j)
        theta = theta + step
        steps.append(step)
    return np.array(steps)


@pytest.mark.parametrize("start", ["zeros", "gradients"])
def test_steps_are_those_of_the_loop(start):
    table = np.array([gradient(THETA, j) for j in range(N)]) * (start == "gradients")
    found = run(gradpow.saga(RATE, N), state_of=lambda state: state.filled(table))
    assert_same_steps(found, loop(table), 1e-12)
