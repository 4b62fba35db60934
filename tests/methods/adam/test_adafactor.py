"""Adafactor against its loop, and optax's, which factors long axes alone."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    CONSTANT,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    in_both_types,
    settings,
)
from tests.contract.identities import assert_same, rate

CASE = Case(
    gradpow.adafactor,
    {
        "learning_rate": 1e-2,
        "decay_rate": 0.8,
        "clipping_threshold": 0.5,
        "eps": 1e-2,
        "min_scale": 0.8,
        "weight_decay": 0.1,
    },
    by_rows=True,
)


def loop(
    theta0,
    gradients,
    learning_rate=lambda count: min(1e-2, 1 / np.sqrt(count + 1)),
    decay_rate=0.8,
    clipping_threshold=1.0,
    eps=1e-30,
    min_scale=1e-3,
    weight_decay=0.0,
):
    """Shazeer and Stern (2018), Algorithms 4 to 6; of a cube, one of each of its matrices."""
    theta = theta0
    matrices = theta0.ndim > 1
    rows = cols = v = 0.0
    steps = np.zeros(gradients.shape)
    for count, g in enumerate(gradients):
        t = count + 1
        b2 = 1 - t**-decay_rate
        squares = g**2 + eps
        if matrices:
            rows = b2 * rows + (1 - b2) * np.sum(squares, axis=-1, keepdims=True)
            cols = b2 * cols + (1 - b2) * np.sum(squares, axis=-2, keepdims=True)
            v = rows * cols / np.sum(rows, axis=-2, keepdims=True)
        else:
            v = b2 * v + (1 - b2) * squares
        u = g / np.sqrt(v)
        u = u / max(1, np.sqrt(np.mean(u**2)) / clipping_threshold)
        size = max(min_scale, np.sqrt(np.mean(theta**2)))
        steps[count] = -at(learning_rate, count) * (size * u + at(weight_decay, count) * theta)
        theta = theta + steps[count]
    return steps


@in_both_types
@settings(
    {
        "defaults": {},
        "constant": {**CONSTANT, "eps": 1e-3},
        "scheduled": {
            **SCHEDULED,
            "decay_rate": 0.5,
            "clipping_threshold": 0.5,
            "min_scale": 0.75,
            "eps": 1e-8,
        },
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adafactor, loop, dtype, **numbers)


def test_it_is_optax_s_that_factors_every_matrix():
    assert_same(gradpow.adafactor(rate), optax.adafactor(rate, min_dim_size_to_factor=1))
    with pytest.raises(AssertionError):
        assert_same(gradpow.adafactor(rate), optax.adafactor(rate))


def test_where_squares_leave_float32_it_stands_still_and_optax_s_is_nan():
    params, g = jnp.ones((2, 3)), jnp.full((2, 3), 1e30)
    for tx, expected in (
        (gradpow.adafactor(), 0.0),
        (optax.adafactor(1e-2, min_dim_size_to_factor=1), np.nan),
    ):
        np.testing.assert_array_equal(tx.update(g, tx.init(params), params)[0], expected)
