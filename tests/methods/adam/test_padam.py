"""Padam against its loop, and AMSGrad as its case p = 1/2."""

import numpy as np

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    ADAM,
    CONSTANT,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    divide,
    in_both_types,
    settings,
)
from tests.contract.identities import assert_same, rate

CASE = Case(
    gradpow.padam,
    {"learning_rate": 1e-2, "b1": 0.9, "b2": 0.99, "p": 0.25, "eps": 1e-2, "weight_decay": 0.1},
)


def loop(theta0, gradients, learning_rate, b1, b2, p=0.125, eps=0.0, weight_decay=0.0):
    """Chen and Gu (2018), Algorithm 1."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    v_hat = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        v_hat = np.maximum(v_hat, v)
        eta = at(learning_rate, t)
        steps[t] = -eta * (divide(m, v_hat**p + eps) + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings(
    {
        "constant": {**CONSTANT, **ADAM},
        "scheduled": {**SCHEDULED, **ADAM, "p": 0.25, "eps": 1e-3},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.padam, loop, dtype, **numbers)


def test_of_the_root_it_is_amsgrad():
    assert_same(gradpow.padam(rate, p=0.5, eps=1e-8), gradpow.amsgrad(rate, form="paper"))
