"""Cautious Lion against its loop and the wrapper."""

import jax
import numpy as np
import optax
from hypothesis import given

import gradpow
from tests.contract.case import Case
from tests.contract.drawn import assert_descends, histories, run
from tests.contract.exact import (
    CONSTANT,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    in_both_types,
    settings,
)
from tests.contract.identities import assert_same, rate

CASE = Case(
    gradpow.cautious_lion,
    {"learning_rate": 1e-2, "weight_decay": 0.1, "b1": 0.9, "b2": 0.99, "floor": 1e-3},
)


def loop(theta0, gradients, learning_rate, b1=0.9, b2=0.99, weight_decay=None, floor=1e-3):
    """AMS authors (2025), Definition 3.2 on A.5, by the mask u*g > 0 over its mean."""
    w = theta0
    m = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        u = np.sign(b1 * m + (1 - b1) * g)
        mask = np.where(u * np.sign(g) > 0, 1.0, 0.0)
        u_hat = u * mask / max(np.mean(mask), floor)
        eta = at(learning_rate, t)
        step = -eta * u_hat
        decay = -eta * at(weight_decay, t) * (w + step)
        steps[t] = step + decay
        w = w + steps[t]
        m = b2 * m + (1 - b2) * g
    return steps


@in_both_types
@settings({"constant": CONSTANT, "scheduled": {**SCHEDULED, "b1": 0.8, "b2": 0.9}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.cautious_lion, loop, dtype, **numbers)


def test_it_is_cautious_around_lion():
    lion = optax.lion(rate, weight_decay=0.0)
    assert_same(gradpow.cautious(lion), gradpow.cautious_lion(rate))


descent = jax.jit(lambda gradients: run(gradpow.cautious_lion(1e-2), gradients))


@given(histories(1e-15, 1e15))
def test_no_step_goes_against_the_gradient_in_any_coordinate(gradients):
    assert_descends(descent(gradients), gradients)
