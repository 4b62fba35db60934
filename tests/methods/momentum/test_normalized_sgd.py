"""Normalized SGD against its loop."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, divide, in_both_types, rate, settings
from tests.contract.identities import assert_same

CASE = Case(gradpow.normalized_sgd, {"learning_rate": 1e-2, "momentum": 0.9})


def loop(theta0, gradients, learning_rate, momentum=None):
    """Cutkosky and Mehta (2020), Algorithm 1; without momentum Hazan et al. (2015), Algorithm 1."""
    m = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = g if momentum is None else momentum * m + (1 - momentum) * g
        steps[t] = -at(learning_rate, t) * divide(m, np.sqrt(np.sum(m**2)))
    return steps


@in_both_types
@pytest.mark.parametrize("over", ["tree", None])
@settings(
    {"constant": {"learning_rate": 0.01}, "scheduled": {"learning_rate": rate, "momentum": 0.5}}
)
def test_steps_are_those_of_the_loop(numbers, over, dtype):
    given = {"other": {"over": over}, "whole": over == "tree", **numbers}
    # Where an average crosses 0, its direction has the rounding of its parts; 1.1e-5 was seen.
    assert_steps_of_loop(gradpow.normalized_sgd, loop, dtype, float32=5e-5, **given)


def test_with_a_momentum_of_0_it_is_without():
    assert_same(gradpow.normalized_sgd(rate, 0.0), gradpow.normalized_sgd(rate))


def test_zeros_stay_and_tiny_gradients_make_steps_of_the_same_length():
    tx = gradpow.normalized_sgd(1.0)
    for g, expected in (([0.0, 0.0], [0, 0]), ([3e-18, 4e-18], [-0.6, -0.8])):
        g = jnp.array(g)
        np.testing.assert_allclose(tx.update(g, tx.init(g))[0], expected, rtol=1e-6)
