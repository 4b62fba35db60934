"""ASGO against its loop, as in theory and as its authors train, and Shampoo of one side."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.transforms import kronecker_precondition
from tests.contract.case import Case
from tests.contract.exact import (
    CONSTANT,
    SCHEDULED,
    assert_same_steps,
    at,
    in_both_types,
    settings,
    updates_of,
)
from tests.methods.kronecker.test_shampoo import EPS, assert_is_loop, of_matrix

CASE = Case(
    gradpow.asgo,
    {"learning_rate": 1e-2, "b1": 0.9, "b2": 0.9, "eps": 0.1, "rms": 0.2, "weight_decay": 0.1},
    sharded=1e-4,  # rounding of the squares is divided by their smallest eigenvalue, 0.1
)


def loop(
    theta0, gradients, learning_rate, b1=0.9, b2=0.8, eps=1e-10, rms=None, weight_decay=0.0, every=1
):
    """asgo.py of the authors, on the transpose: their rows are outputs."""
    theta = theta0.T
    m, v = np.zeros(theta.shape), 0.0
    steps = np.zeros(gradients.shape)
    for t, gradient in enumerate(gradients):
        g = gradient.T
        rows = g.shape[0] < g.shape[1]
        m = b1 * m + (1 - b1) * g
        old, new = (1, 1) if b2 is None else (b2, 1 - b2)
        v = old * v + new * (g @ g.T if rows else g.T @ g)
        if t % every == 0:
            w, q = np.linalg.eigh(v + eps * np.eye(len(v)))
            root = (q * w**-0.5) @ q.T
        u = root @ m if rows else m @ root
        if rms is not None:
            u = u * rms * np.sqrt(u.size) / np.linalg.norm(u)
        step = -at(learning_rate, t) * (u + at(weight_decay, t) * theta)
        theta = theta + step
        steps[t] = step.T
    return steps


@in_both_types
@settings(
    {
        "theory": {**CONSTANT, "eps": EPS, "b1": 0.0, "b2": None},
        "code": {**SCHEDULED, "eps": EPS, "rms": 0.25, "b2": 0.875, "every": 4},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_is_loop(gradpow.asgo, loop, dtype, **numbers)


@pytest.mark.parametrize("shape", [(7, 4), (5, 5)])
def test_tall_and_square_matrices_are_those_of_the_loop_too(shape):
    assert_is_loop(gradpow.asgo, loop, np.float64, shape, **CONSTANT, eps=EPS)


def test_of_one_side_shampoo_is_asgo():
    theta0, gradients = (jnp.asarray(x, jnp.float32) for x in of_matrix((4, 6), 20))
    link = kronecker_precondition(optax.trace(1.0), 0.5, EPS, sides="inputs")
    shampoo = gradpow.chain(link, optax.scale(-0.5))
    asgo = gradpow.asgo(0.5, b1=0.0, b2=None, eps=EPS)
    ours, theirs = (updates_of(tx, theta0, gradients) for tx in (asgo, shampoo))
    assert_same_steps(ours, theirs, 1e-6)  # the same operations
