"""NAdam against its loop in both forms, and optax's."""

import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    ADAM,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    in_both_types,
    settings,
)
from tests.contract.identities import assert_same, rate

CASE = Case(
    gradpow.nadam,
    {"learning_rate": 1e-2, "b1": 0.9, "b2": 0.99, "eps": 1e-8, "psi": 0.5, "weight_decay": 0.1},
    largest=1e38,  # beyond it what the second moment divides leaves float32
)


def loop(theta0, gradients, learning_rate, b1, b2, eps=1e-8, psi=None, weight_decay=0.0):
    """As PyTorch has it: products of mu by their definition."""
    steps_ahead = np.arange(1, len(gradients) + 2)
    mus = b1 * (1 - (0 if psi is None else 0.5 * 0.96 ** (steps_ahead * psi))) + 0 * steps_ahead
    theta = theta0
    m, v = np.zeros((2, *theta0.shape))
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        v_hat = v / (1 - b2 ** (t + 1))
        of_m = mus[t + 1] / (1 - np.prod(mus[: t + 2]))
        of_g = (1 - mus[t]) / (1 - np.prod(mus[: t + 1]))
        u = (of_m * m + of_g * g) / (np.sqrt(v_hat) + eps)
        steps[t] = -at(learning_rate, t) * (u + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings(
    {
        "constant": {**SCHEDULED, **ADAM},
        "psi": {**SCHEDULED, **ADAM, "psi": 0.004},
        "fast": {**SCHEDULED, **ADAM, "psi": 1.0, "eps": 0.1},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.nadam, loop, dtype, **numbers)


def test_with_a_constant_weight_it_is_optax_s_and_psi_without_end_is_too():
    assert_same(gradpow.nadam(rate, b2=0.95), optax.nadam(rate, b2=0.95))
    assert_same(gradpow.nadam(rate, b2=0.95, psi=1e4), optax.nadam(rate, b2=0.95))


def test_a_first_gradient_of_0_and_extremes_give_finite_steps():
    tx = gradpow.nadam(0.1, psi=0.004)
    state = tx.init(jnp.zeros(3))
    for g in ([0.0, 1e-30, 1e30], [1.0, 0.0, 1e30], [0.0, 0.0, 0.0]):
        updates, state = tx.update(jnp.array(g), state)
        assert jnp.isfinite(updates).all()
