"""AdamPower against its loop, and AdamW as its case p = 1."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradpow
from tests.contract.case import Case
from tests.contract.drawn import fractions, histories, run
from tests.contract.exact import (
    ADAM,
    CONSTANT,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    in_both_types,
    powered,
    settings,
)
from tests.contract.identities import MASK, assert_same, rate

CASE = Case(
    gradpow.adampower,
    {
        "learning_rate": 1e-2,
        "weight_decay": 0.1,
        "p": 1.2,
        "b1": 0.9,
        "b2": 0.99,
        "eps": 1e-8,
        "eps_root": 1e-12,
    },
    largest=1e32,  # g^1.2 leaves float32 from 1.3e32 on
)


def loop(theta0, gradients, learning_rate, p=1.2, b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.1):
    """Wang et al. (2025), Algorithm 1."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        g = powered(g, p)
        m = b1 * m + (1 - b1) * g
        m_hat = m / (1 - b1 ** (t + 1))
        v = b2 * v + (1 - b2) * g**2
        v_hat = v / (1 - b2 ** (t + 1))
        eta = at(learning_rate, t)
        steps[t] = -eta * (m_hat / (np.sqrt(v_hat) + eps) + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings(
    {
        "constant": {**CONSTANT, "p": 1.2},
        "scheduled": {**SCHEDULED, "p": 0.8, **ADAM},
        "p = 1": {**SCHEDULED, "p": 1.0},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adampower, loop, dtype, **numbers)


def test_at_p_1_it_is_adamw():
    assert_same(
        gradpow.adampower(rate, p=1.0, eps_root=1e-3, mask=MASK),
        optax.adamw(rate, b2=0.95, eps_root=1e-3, weight_decay=0.1, mask=MASK),
    )


without_eps = jax.jit(
    lambda g, p: run(gradpow.adampower(1.0, p, eps=0.0, b2=0.99, weight_decay=0.0), g)
)


@given(histories(1e-2, 1e2), fractions(0.5, 1.5), st.floats(-5, 5))
def test_without_eps_it_does_not_see_the_scale_of_gradients(gradients, p, exponent):
    gradients = np.where(gradients == 0, 1, gradients)  # 0/0, which the eps of Adam avoids
    rescaled = gradients * np.float32(10**exponent)
    np.testing.assert_allclose(without_eps(rescaled, p), without_eps(gradients, p), atol=3e-5)


def mechanized_end(tx):
    """Where optax's own test of its optimizers under Mechanic ends, on its parabola."""
    tx = optax.contrib.mechanize(tx, weight_decay=0.0)
    params = jnp.array([-1.0, 10.0, 1.0])

    def step(carry, _):
        params, state = carry
        grads = 2 * (params - OPTIMUM)
        updates, state = tx.update(grads, state, params)
        return (optax.apply_updates(params, updates), state), None

    return jax.jit(lambda start: jax.lax.scan(step, start, None, length=10_000)[0][0])(
        (params, tx.init(params))
    )


OPTIMUM = jnp.array([1.0, -1.0, 1.0])


@pytest.mark.parametrize("p", [0.8, 1.2, 1.5])
def test_mechanic_finds_the_optimum_with_any_power_but_not_beside_a_decay(p):
    """It multiplies the decay by the rate that it learns, 1 to begin with: so does AdamW's."""
    alone = mechanized_end(gradpow.adampower(1.0, p=p, weight_decay=0.0))
    np.testing.assert_allclose(alone, OPTIMUM, rtol=3e-2)  # optax's own tolerance
    for tx in (gradpow.adampower(1.0, p=p), optax.adamw(1.0, b2=0.95, weight_decay=0.1)):
        assert np.max(np.abs(mechanized_end(tx) - OPTIMUM)) > 3e-2
