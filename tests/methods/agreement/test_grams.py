"""Grams against its loop, and where it is AMS."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from hypothesis import given

import gradpow
from tests.contract.case import Case
from tests.contract.drawn import assert_descends, histories, run
from tests.contract.exact import (
    ADAM,
    CONSTANT,
    SCHEDULED,
    assert_same_steps,
    assert_steps_of_loop,
    at,
    in_both_types,
    settings,
)
from tests.contract.identities import GRADIENTS, ROUNDING, rate, updates_on_two_leaves

CASE = Case(
    gradpow.grams,
    {
        "learning_rate": 1e-2,
        "weight_decay": 0.1,
        "b1": 0.9,
        "b2": 0.99,
        "eps": 1e-8,
        "eps_root": 1e-12,
    },
)


def loop(theta0, gradients, learning_rate, b1=0.9, b2=0.999, eps=1e-6, weight_decay=None):
    """AMS authors (2025), Corollary 5.2, with Algorithm 1's decay after the step."""
    w = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1 ** (t + 1))
        v_hat = v / (1 - b2 ** (t + 1))
        u = m_hat / (np.sqrt(v_hat) + eps)
        u_hat = np.sign(g) * np.abs(u)
        eta = at(learning_rate, t)
        step = -eta * u_hat
        decay = -eta * at(weight_decay, t) * (w + step)
        steps[t] = step + decay
        w = w + steps[t]
    return steps


@in_both_types
@settings({"constant": {**CONSTANT, **ADAM}, "scheduled": {**SCHEDULED, **ADAM, "eps": 1e-3}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.grams, loop, dtype, **numbers)


def test_it_is_ams_with_lambda_minus_1_where_no_gradient_is_0():
    grams, ams, adam = (
        updates_on_two_leaves(tx)["matrix"]
        for tx in (gradpow.grams(rate), gradpow.ams(rate), optax.adam(rate, eps=1e-6))
    )
    nonzero = GRADIENTS["matrix"] != 0
    assert_same_steps(jnp.where(nonzero, grams, 0), jnp.where(nonzero, ams, 0), ROUNDING)
    # Corollary 5.2 fails where a gradient is 0: Grams stands still and AMS goes on as Adam does.
    assert_same_steps(jnp.where(nonzero, 0, ams), jnp.where(nonzero, 0, adam), ROUNDING)
    assert not jnp.any(jnp.where(nonzero, 0, grams))
    assert jnp.any(jnp.where(nonzero, 0, ams))


descent = jax.jit(lambda gradients: run(gradpow.grams(1e-2), gradients))


@given(histories(1e-15, 1e15))
def test_no_step_goes_against_the_gradient_in_any_coordinate(gradients):
    assert_descends(descent(gradients), gradients)
