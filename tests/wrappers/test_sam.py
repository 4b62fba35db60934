"""SAM around momentum against its loop."""

import numpy as np
import optax

import gradpow
from tests.contract.case import Case, second_gradient
from tests.contract.exact import assert_same_steps
from tests.methods.variance_reduced.finite_sum import ORDER, RATE, THETA, gradient, run

CASE = Case(
    gradpow.sam,
    {"rho": 0.1},
    other={"base": optax.sgd(1e-2, momentum=0.9)},
    second=True,
    arguments=second_gradient,
)


def loop(rho, epsilon):
    """Foret et al. (2021), Algorithm 1, with momentum's step."""
    theta, m, steps = THETA, 0.0, []
    for j in ORDER:
        m = 0.75 * m + gradient(theta + epsilon(rho, gradient(theta, j), theta), j)
        theta = theta - RATE * m
        steps.append(-RATE * m)
    return np.array(steps)


def along(rho, g, theta):
    del theta
    return rho * g / np.linalg.norm(g)


def test_steps_are_those_of_the_loop():
    tx = gradpow.sam(optax.sgd(RATE, momentum=0.75), 0.5)
    assert_same_steps(run(tx), loop(0.5, along), 1e-12)
