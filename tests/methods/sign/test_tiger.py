"""Tiger against its loop and another's code."""

import numpy as np
import optax

import gradpow
from tests.contract.case import Case
from tests.contract.exact import SCHEDULED, assert_steps_of_loop, at, in_both_types, settings

# As the problems' leaves are named: one of each kind, and of matrices two.
KINDS = {"scalar": "vector", "vector": "vector", "matrix": "matrix", "cube": "embedding"}
# The floor is between the sizes of the contract's leaves, so that it and the sizes have an effect.
CASE = Case(
    gradpow.tiger, {"learning_rate": 0.01, "b": 0.9, "weight_decay": 0.1, "min_scale": 0.69}
)


def loop(theta0, gradients, learning_rate, b=0.965, weight_decay=0.01, min_scale=0.0):
    """tiger.py of the author: kinds go by the number of axes, as KINDS has them."""
    theta = theta0
    m = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b * m + (1 - b) * g
        eta, d = at(learning_rate, t), at(weight_decay, t)
        if theta.ndim < 2:
            eta, d = 0.5 * eta, 0.0
        else:
            axis = -1 if theta.ndim == 3 else None
            rms = np.sqrt(np.mean(theta**2, axis=axis, keepdims=True))
            eta = eta * np.maximum(rms, min_scale)
        steps[t] = -eta * (np.sign(m) + d * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings(
    {
        "constant": {"learning_rate": 0.01},
        "scheduled": {**SCHEDULED, "b": 0.8, "min_scale": 0.75},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.tiger, loop, dtype, other={"kind": KINDS.get}, **numbers)


def test_a_matrix_of_zeros_moves_only_with_a_floor():
    zeros, ones = {"kernel": np.zeros((2, 2))}, {"kernel": np.ones((2, 2))}
    for min_scale, moved in ((0.0, 0.0), (0.25, 0.025)):
        tx = gradpow.tiger(0.1, min_scale=min_scale)
        updates, _ = tx.update(ones, tx.init(zeros), zeros)
        np.testing.assert_allclose(updates["kernel"], -moved)


def test_without_sizes_it_is_lion_with_equal_betas():
    params, grads = {"bias": np.ones(3)}, {"bias": np.array([1.0, -2.0, 0.0])}
    tiger, lion = gradpow.tiger(0.2, b=0.9), optax.lion(0.1, b1=0.9, b2=0.9, weight_decay=0.0)
    np.testing.assert_allclose(
        tiger.update(grads, tiger.init(params), params)[0]["bias"],
        lion.update(grads, lion.init(params), params)[0]["bias"],
    )
