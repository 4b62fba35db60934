"""PolarGrad against its loop with the SVD, and optax's adaptive Muon without momentum."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from gradpow.transforms import NS5, polar_express
from tests.contract.case import Case
from tests.contract.exact import (
    SCHEDULED,
    assert_same_steps,
    assert_steps_of_loop,
    at,
    in_both_types,
    settings,
    updates_of,
)
from tests.contract.trees import gradients, normal
from tests.methods.orthogonal.test_muon import with_rest

CASE = Case(
    gradpow.polargrad,
    {"learning_rate": 1e-2, "eps": 0.1, "weight_decay": 0.1},
    {"iteration": NS5},  # which feels eps
    sharded=1e-3,  # sums are made in another order, which the matrix products amplify
)
# 20 steps of Polar Express reach singular values of 1e-13, and the SVD is as exact.
CONVERGED = {"iteration": polar_express(20)}
# The smallest singular values are rounding in float32, and then so is their factor's part; all of
# it is multiplied by the largest.
ROUNDING = 1e-3


def polar(x):
    """U V' and the nuclear norm, on the directions that are not 0."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    return (u * (s > 1e-14 * s[0])) @ vt, s.sum()


def hidden_matrix(theta0, gradients, learning_rate, weight_decay=0.0):
    """Lau et al. (2025): PolarGrad."""
    theta, steps = theta0, np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        u, nuclear = polar(g)
        steps[t] = -at(learning_rate, t) * (nuclear * u + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps
