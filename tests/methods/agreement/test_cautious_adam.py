"""Cautious Adam against its loop and the wrapper."""

import jax
import numpy as np
import optax
from hypothesis import given

import gradpow
from gradpow.transforms import decay_stepped_weights
from tests.contract.case import Case
from tests.contract.drawn import assert_descends, histories, run
from tests.contract.exact import (
    ADAM,
    CONSTANT,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    in_both_types,
    settings,
)
from tests.contract.identities import MASK, assert_same, rate

CASE = Case(
    gradpow.cautious_adam,
    {
        "learning_rate": 1e-2,
        "weight_decay": 0.1,
        "b1": 0.9,
        "b2": 0.99,
        "eps": 1e-8,
        "eps_root": 1e-12,
        "floor": 1e-3,
    },
)


def loop(
    theta0, gradients, learning_rate, b1=0.9, b2=0.999, eps=1e-6, weight_decay=None, floor=1e-3
):
    """AMS authors (2025), Definition 3.2 on A.4, by the mask u*g > 0 over its mean."""
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
        mask = np.where(np.sign(u) * np.sign(g) > 0, 1.0, 0.0)
        u_hat = u * mask / max(np.mean(mask), floor)
        eta = at(learning_rate, t)
        step = -eta * u_hat
        decay = -eta * at(weight_decay, t) * (w + step)
        steps[t] = step + decay
        w = w + steps[t]
    return steps


@in_both_types
@settings({"constant": {**CONSTANT, **ADAM}, "scheduled": {**SCHEDULED, **ADAM, "floor": 0.9}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.cautious_adam, loop, dtype, **numbers)


def test_it_is_cautious_around_adam():
    assert_same(gradpow.cautious(optax.adam(rate, eps=1e-6)), gradpow.cautious_adam(rate))


def test_its_decay_is_that_after_the_wrapper():
    by_hand = optax.chain(
        gradpow.cautious(optax.adam(rate, eps=1e-6)),
        decay_stepped_weights(lambda count: 0.1 * rate(count), MASK),
    )
    assert_same(by_hand, gradpow.cautious_adam(rate, weight_decay=0.1, mask=MASK))


descent = jax.jit(lambda gradients: run(gradpow.cautious_adam(1e-2), gradients))


@given(histories(1e-15, 1e15))
def test_no_step_goes_against_the_gradient_in_any_coordinate(gradients):
    assert_descends(descent(gradients), gradients)
