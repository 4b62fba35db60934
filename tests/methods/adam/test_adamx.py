"""AdamX against its loop, and AMSGrad where b1 stays."""

import numpy as np

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
from tests.contract.identities import assert_same

CASE = Case(
    gradpow.adamx,
    {
        "learning_rate": 1e-2,
        "b1": 0.9,
        "b2": 0.99,
        "b1_decay": 0.75,
        "eps": 1e-2,
        "weight_decay": 0.1,
    },
)


def loop(theta0, gradients, learning_rate, b1, b2, b1_decay, eps=1e-8, weight_decay=0.0):
    """Phuong and Phong (2019), Algorithm 2, with b1_t of Corollary 5.6 and an eps."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    v_hat = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    b1_before = b1
    for count, g in enumerate(gradients):
        t = count + 1
        b1_now = b1 * b1_decay ** (t - 1)
        m = b1_now * m + (1 - b1_now) * g
        v = b2 * v + (1 - b2) * g**2
        growth = (1 - b1_now) ** 2 / (1 - b1_before) ** 2
        v_hat = v if t == 1 else np.maximum(growth * v_hat, v)
        b1_before = b1_now
        alpha = at(learning_rate, count) / np.sqrt(t)
        steps[count] = -alpha * (m / (np.sqrt(v_hat) + eps) + at(weight_decay, count) * theta)
        theta = theta + steps[count]
    return steps


@in_both_types
@settings(
    {
        "constant": {**CONSTANT, **ADAM, "b1_decay": 0.99},
        "scheduled": {**SCHEDULED, **ADAM, "b1_decay": 0.5, "eps": 1e-3},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adamx, loop, dtype, **numbers)


def test_where_b1_stays_it_is_amsgrad():
    amsgrad = gradpow.amsgrad(lambda count: 0.1 / (count + 1.0) ** 0.5, form="paper")
    assert_same(gradpow.adamx(0.1, b1_decay=1.0), amsgrad)
