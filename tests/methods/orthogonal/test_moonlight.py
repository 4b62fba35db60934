"""Moonlight against its loop and PyTorch's."""

import jax.numpy as jnp
import numpy as np

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    SCHEDULED,
    assert_steps_of_loop,
    at,
    in_both_types,
    make_problem,
    settings,
)
from tests.methods.orthogonal.test_muon import ROUNDING, assert_steps_of_pytorch, with_rest
from tests.transforms.matrix.test_orthogonalize import orthogonal_factor

CASE = Case(
    gradpow.moonlight,
    {"learning_rate": 1e-2, "b": 0.9, "rms": 0.2, "eps": 0.1, "weight_decay": 0.1},
    sharded=1e-3,  # sums are made in another order, which the matrix products amplify
)


def hidden_matrix(theta0, gradients, learning_rate, b=0.95, rms=0.2, eps=1e-7, weight_decay=0.1):
    """Liu et al. (2025), Section 2.2, with the look-ahead of the authors' code."""
    theta, m, steps = theta0, np.zeros(theta0.shape), np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b * m + g
        o = orthogonal_factor(g + b * m, eps=eps)
        update = rms * np.sqrt(max(o.shape)) * o
        steps[t] = -at(learning_rate, t) * (update + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


loop = with_rest(hidden_matrix, 0.1)


@in_both_types
@settings({"scheduled": {**SCHEDULED, "b": 0.8, "rms": 0.3, "eps": 0.1}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.moonlight, loop, dtype, float32=ROUNDING, **numbers)


def test_steps_are_those_of_pytorch(monkeypatch):
    assert_steps_of_pytorch(monkeypatch, gradpow.moonlight, "match_rms_adamw")


def test_updates_have_the_root_mean_square_asked_for():
    params = {"kernel": jnp.float32(make_problem(0, 1, (40, 40))[0])}
    tx = gradpow.moonlight(1.0, weight_decay=0.0)
    u, _ = tx.update(params, tx.init(params), params)
    # Newton-Schulz's singular values are 0.7 to 1.2.
    assert 0.14 < np.sqrt(np.mean(u["kernel"] ** 2)) < 0.24
