"""Yogi against its loop and, in TensorFlow's form, optax's."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    ADAM,
    CONSTANT,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    in_both_types,
    settings,
)
from tests.contract.identities import assert_same, rate

CASE = Case(
    gradpow.yogi,
    {
        "learning_rate": 1e-2,
        "b1": 0.9,
        "b2": 0.99,
        "eps": 1e-3,
        "initial": 1e-2,
        "weight_decay": 0.1,
    },
    at_init=("initial",),
)


def loop(theta0, gradients, learning_rate, b1, b2, eps=1e-3, initial=1e-6, weight_decay=0.0):
    """Zaheer et al. (2018), Algorithm 2."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.full(theta0.shape, initial)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = v - (1 - b2) * np.sign(v - g**2) * g**2
        eta = at(learning_rate, t)
        steps[t] = -eta * (m / (np.sqrt(v) + eps) + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings(
    {
        "constant": {**CONSTANT, **ADAM},
        "scheduled": {**SCHEDULED, **ADAM, "eps": 1e-2, "initial": 1e-3},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.yogi, loop, dtype, **numbers)


def test_tensorflow_s_form_is_optax_s_and_begins_with_a_third_of_the_paper_s_step():
    tensorflow = gradpow.yogi(rate, form="tensorflow")
    assert_same(tensorflow, optax.yogi(rate))
    with pytest.raises(AssertionError):
        assert_same(gradpow.yogi(rate), optax.yogi(rate))
    g = jnp.array([1e3])
    for tx, first in ((gradpow.yogi(1.0), 0.1 / 0.001**0.5), (tensorflow, 0.02)):
        np.testing.assert_allclose(tx.update(g, tx.init(g))[0], -first, rtol=1e-4)
