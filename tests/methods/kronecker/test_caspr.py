"""CASPR against its loop."""

import numpy as np

import gradpow
from tests.contract.case import Case
from tests.contract.exact import CONSTANT, SCHEDULED, at, in_both_types, settings
from tests.methods.kronecker.test_shampoo import EPS, assert_is_loop

CASE = Case(
    gradpow.caspr,
    {"learning_rate": 1e-2, "b2": 0.9, "eps": 0.1, "weight_decay": 0.1},
    sharded=1e-4,  # rounding of the squares is divided by their smallest eigenvalue, 0.1
)


def inverse_fourth_root(s, eps):
    w, q = np.linalg.eigh(s + eps * np.eye(len(s)))
    return (q * w**-0.25) @ q.T


def loop(theta0, gradients, learning_rate, b2=None, eps=1e-6, weight_decay=0.0, every=1):
    """Algorithm 1: with L~ and R~, the preconditioner (L~^-1/4 (x) I + I (x) R~^-1/4)^2 / 4."""
    theta, (m, n) = theta0, theta0.shape
    left, right = 0.0, 0.0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        old, new = (1, 1) if b2 is None else (b2, 1 - b2)
        left = old * left + new * g @ g.T
        right = old * right + new * g.T @ g
        if t % every == 0:
            roots = inverse_fourth_root(left, eps), inverse_fourth_root(right, eps)
            kronecker_sum = np.kron(roots[0], np.eye(n)) + np.kron(np.eye(m), roots[1])
        u = (kronecker_sum @ kronecker_sum @ g.ravel() / 4).reshape(m, n)
        steps[t] = -at(learning_rate, t) * (u + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings(
    {
        "paper": {**CONSTANT, "eps": EPS},
        "practice": {**SCHEDULED, "eps": EPS, "b2": 0.875, "every": 4},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_is_loop(gradpow.caspr, loop, dtype, **numbers)
