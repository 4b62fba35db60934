"""Averages of iterates against the mean itself."""

import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from gradpow.transforms import average_iterates
from tests.contract.case import Case
from tests.contract.trees import parameters

CASE = Case(average_iterates)


def run(tx, points):
    state = tx.init(points[0])
    for point in points:
        u = jnp.full_like(point, 7.0)
        passed, state = tx.update(u, state, point)
        assert (passed == u).all()
    return state


def test_it_is_the_mean_of_the_parameters_seen_and_passes_updates():
    points = [jnp.array([float(i), i**2]) for i in range(1, 6)]
    state = run(average_iterates(), points)
    found = gradpow.eval_params(state, points[0])
    np.testing.assert_allclose(found, np.mean(points, axis=0), rtol=1e-6)


def test_rates_make_it_an_exponential_average_or_begin_it_later():
    points = [jnp.array([float(i)]) for i in range(1, 6)]
    b = 0.75
    debiased = average_iterates(lambda count: (1 - b) / (1 - b ** (count + 1)))
    ema = optax.ema(b)
    state = ema.init(points[0])
    for point in points:
        expected, state = ema.update(point, state)
    np.testing.assert_allclose(run(debiased, points).eval_params(points[0]), expected, rtol=1e-6)
    tail = average_iterates(lambda count: 1 / jnp.maximum(count + 1 - 2, 1))
    np.testing.assert_allclose(run(tail, points).eval_params(points[0]), 4.0)


def test_before_the_first_step_the_parameters_are_their_own_mean():
    params = parameters()
    found = gradpow.eval_params(average_iterates().init(params), params)
    np.testing.assert_array_equal(found["matrix"], params["matrix"])
