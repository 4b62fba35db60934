"""Averaged SGD: its steps are SGD's, its answer the mean of the iterates."""

import jax.numpy as jnp
import numpy as np

import gradpow
from tests.contract.case import Case
from tests.contract.identities import assert_same, rate

CASE = Case(gradpow.averaged_sgd, {"learning_rate": 1e-2})


def test_its_steps_are_those_of_sgd():
    assert_same(gradpow.averaged_sgd(rate), gradpow.sgd(rate))


def test_its_answer_is_the_mean_of_the_iterates_before_the_last():
    tx, theta = gradpow.averaged_sgd(lambda count: 0.5 / (count + 1) ** 0.75), jnp.array([2.0, -1])
    iterates, x, state = [], np.asarray(theta, float), tx.init(theta)
    for t, g in enumerate(np.random.default_rng(0).standard_normal((20, 2))):
        iterates.append(x)
        x = x - 0.5 / (t + 1) ** 0.75 * g
        u, state = tx.update(jnp.asarray(g, jnp.float32), state, theta)
        theta = theta + u
        found = gradpow.eval_params(state, theta)
        np.testing.assert_allclose(found, np.mean(iterates, axis=0), atol=1e-6)


def test_it_averages_iterates_and_not_gradients_as_the_survey_prints():
    """On theta^2/2 at the rate 1/2 from 1: iterates halve, their mean is 2 (1 - 2^-t) / t."""
    tx, theta = gradpow.averaged_sgd(0.5), jnp.array([1.0])
    state, survey, total = tx.init(theta), 1.0, 0.0
    for t in range(1, 9):
        u, state = tx.update(theta, state, theta)
        theta = theta + u
        total += survey
        survey = survey - 0.5 / (t + 1) * total
    np.testing.assert_allclose(gradpow.eval_params(state, theta), 2 * (1 - 2.0**-8) / 8)
    assert abs(survey - float(theta[0])) > 0.05
