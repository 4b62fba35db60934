"""Extrapolation against its two sequences."""

import jax
import numpy as np
import optax

import gradpow
from gradpow.transforms import extrapolate
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, in_both_types

CASE = Case(extrapolate, {"ahead": 0.5}, largest=3e4)  # a turn of the step doubles it


def loop(theta0, gradients, ahead):
    """x <- x - g/64, y = x + a (x - x'); the steps are those of y."""
    steps = np.zeros(gradients.shape)
    last = np.zeros(theta0.shape)
    for t, g in enumerate(gradients):
        step = -g / 64
        steps[t] = step + ahead * step - ahead * last
        last = step
    return steps


@in_both_types
def test_steps_are_those_of_the_loop(dtype):
    def descent(ahead):
        return gradpow.chain(optax.scale(-1 / 64), extrapolate(ahead))

    assert_steps_of_loop(descent, loop, dtype, ahead=0.75)


def test_the_parameters_to_evaluate_are_the_iterates_of_the_chain_before_it():
    plain, ahead = optax.adam(0.1), optax.chain(optax.adam(0.1), extrapolate(3.0))
    x = y = np.array([1.0, -2.0], np.float32)
    states = plain.init(x), ahead.init(y)
    for g in np.random.default_rng(0).standard_normal((5, 2)).astype(np.float32):
        u, first = plain.update(g, states[0], x)
        v, second = jax.jit(ahead.update)(g, states[1], y)
        x, y, states = x + u, y + v, (first, second)
        np.testing.assert_allclose(gradpow.eval_params(states[1], y), x, atol=1e-6)
        np.testing.assert_allclose(y, x + 3 * u, atol=1e-6)
