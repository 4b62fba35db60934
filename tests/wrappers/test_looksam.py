"""LookSAM around momentum against its loop."""

import numpy as np
import optax
import pytest

import gradpow
from tests.contract.case import Case, second_gradient
from tests.contract.exact import assert_same_steps
from tests.methods.variance_reduced.finite_sum import ORDER, RATE, THETA, gradient, run

CASE = Case(
    gradpow.looksam,
    {"rho": 2.0, "alpha": 0.7},
    other={"base": optax.sgd(1e-2, momentum=0.9), "every": 2},
    second=True,
    arguments=second_gradient,
    largest=2e4,
    sharded=5e-5,  # g_v is what is left of two gradients that nearly agree
)


def loop(rho, k, alpha):
    """Liu et al. (2022), Algorithm 1, with momentum's step."""
    theta, m, steps = THETA, 0.0, []
    for t, j in enumerate(ORDER):
        g = gradient(theta, j)
        if t % k == 0:
            g_s = gradient(theta + rho * g / np.linalg.norm(g), j)
            g_v = g_s - np.sum(g * g_s) / np.sum(g * g) * g
        else:
            g_s = g + alpha * np.linalg.norm(g) / np.linalg.norm(g_v) * g_v
        m = 0.75 * m + g_s
        theta = theta - RATE * m
        steps.append(-RATE * m)
    return np.array(steps)


@pytest.mark.parametrize("k", [1, 5])
def test_steps_are_those_of_the_loop(k):
    tx = gradpow.looksam(optax.sgd(RATE, momentum=0.75), 0.5, k, 0.7)
    # g_v is what is left of two gradients that nearly agree, and is then made longer.
    assert_same_steps(run(tx), loop(0.5, k, 0.7), 1e-12 if k == 1 else 1e-10)
