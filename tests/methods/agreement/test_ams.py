"""AMS against its loop, and the optimizers that it contains."""

import jax
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
    bias_correction,
    in_both_types,
    settings,
)
from tests.contract.identities import (
    GRADIENTS,
    ROUNDING,
    assert_same,
    masked_by_hand,
    rate,
    updates_on_two_leaves,
)

CASE = Case(
    gradpow.ams,
    {
        "learning_rate": 1e-2,
        "weight_decay": 0.1,
        "b1": 0.9,
        "b2": 0.99,
        "eps": 1e-8,
        "eps_root": 1e-12,
        "b3": 0.5,
        "negative_scale": -0.5,
        "floor": 1e-3,
    },
)


def loop(
    theta0,
    gradients,
    learning_rate,
    b1=0.9,
    b2=0.999,
    b3=0.0,
    negative_scale=-1.0,
    eps=1e-6,
    weight_decay=None,
    floor=1e-3,
):
    """Algorithm 1, its last line with eta; negative_scale is lambda, weight_decay gamma."""
    d = theta0.size
    w = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    s = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        s = b3 * s + (1 - b3) * g
        m_hat = m / (1 - b1 ** (t + 1))
        v_hat = v / (1 - b2 ** (t + 1))
        u = m_hat / (np.sqrt(v_hat) + eps)
        phi = np.where(np.sign(u) * np.sign(s) >= 0, 1.0, 0.0)
        psi = negative_scale * np.where(np.sign(u) * np.sign(s) < 0, 1.0, 0.0)
        eta = at(learning_rate, t)
        eta_hat = eta * d / max(np.sum(np.abs(phi)) + np.sum(np.abs(psi)), floor * d)
        u_hat = (phi + psi) * u
        step = -eta_hat * u_hat
        decay = -eta * at(weight_decay, t) * (w + step)
        steps[t] = step + decay
        w = w + steps[t]
    return steps


@in_both_types
@settings(
    {
        "constant": {**CONSTANT, **ADAM},
        "0.5": {**SCHEDULED, **ADAM, "negative_scale": 0.5},
        "0": {**CONSTANT, **ADAM, "negative_scale": 0.0, "floor": 0.9},
        "b3": {**SCHEDULED, **ADAM, "negative_scale": -0.5, "b3": 0.5},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.ams, loop, dtype, **numbers)


@in_both_types
def test_so_they_are_with_the_default_b2(dtype):
    numbers = {**SCHEDULED, "b2": 0.999}
    assert_steps_of_loop(gradpow.ams, loop, dtype, rounding=bias_correction, **numbers)


def adam():
    return optax.adam(rate, eps=1e-6)


def test_with_lambda_1_it_is_adam():
    assert_same(gradpow.ams(rate, negative_scale=1.0), adam())


def test_with_b3_equal_to_b1_it_is_adam():
    assert_same(gradpow.ams(rate, b3=0.9, negative_scale=-0.5), adam())


def test_b3_0_takes_the_steps_of_none():
    assert_same(
        gradpow.ams(rate, b3=0.0, negative_scale=-0.5), gradpow.ams(rate, negative_scale=-0.5)
    )


def test_with_lambda_0_it_is_cautious_adam_that_masks_by_greater_or_equal():
    ams = gradpow.ams(rate, negative_scale=0.0)
    assert_same(ams, gradpow.cautious(adam(), zero_scale=1.0))
    by_hand = masked_by_hand(lambda agreement: agreement >= 0)
    masked = jax.tree.map(by_hand, updates_on_two_leaves(adam()), GRADIENTS)
    assert_same_steps(updates_on_two_leaves(ams), masked, ROUNDING)


descent = jax.jit(lambda gradients: run(gradpow.ams(1e-2), gradients))


@given(histories(1e-15, 1e15))
def test_no_step_goes_against_the_gradient_in_any_coordinate(gradients):
    assert_descends(descent(gradients), gradients)
