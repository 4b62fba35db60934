"""PolarMuon against its loop with the SVD."""

import numpy as np

import gradpow
from gradpow.transforms import NS5
from tests.contract.case import Case
from tests.contract.exact import SCHEDULED, at, in_both_types
from tests.methods.orthogonal.test_polargrad import assert_steps_on_normal_matrices, polar

CASE = Case(
    gradpow.polarmuon,
    {"learning_rate": 1e-2, "b": 0.9, "eps": 0.1, "weight_decay": 0.1},
    {"iteration": NS5},  # which feels eps
    sharded=1e-3,  # sums are made in another order, which the matrix products amplify
)


def hidden_matrix(theta0, gradients, learning_rate, b=0.95, weight_decay=0.0):
    """Lau et al. (2025): momentum first, then the polar decomposition."""
    theta, m, steps = theta0, np.zeros(theta0.shape), np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b * m + (1 - b) * g
        u, nuclear = polar(m)
        steps[t] = -at(learning_rate, t) * (nuclear * u + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
def test_steps_are_those_of_the_loop(dtype):
    numbers = {**SCHEDULED, "b": 0.75}
    assert_steps_on_normal_matrices(gradpow.polarmuon, hidden_matrix, dtype, **numbers)
