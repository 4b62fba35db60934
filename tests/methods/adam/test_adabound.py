"""AdaBound against its loop, the authors' code, and its ends, Adam's kin and SGD."""

import numpy as np
import optax

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    ADAM,
    CONSTANT,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    decay,
    divide,
    in_both_types,
    settings,
)
from tests.contract.identities import assert_same, rate

NUMBERS = {
    "learning_rate": 1e-2,
    "b1": 0.9,
    "b2": 0.99,
    "final_rate": 0.1,
    "gamma": 0.3,
    "eps": 0.1,
    "weight_decay": 0.1,
}
CASE = Case(gradpow.adabound, NUMBERS)
in_both_settings = settings(
    {
        "constant": {**CONSTANT, **ADAM, "final_rate": 0.1, "gamma": 0.01},
        "scheduled": {**SCHEDULED, **ADAM, "final_rate": decay, "gamma": 1e-3, "eps": 1e-3},
    }
)


def loop(
    theta0, gradients, learning_rate, b1, b2, final_rate, gamma, eps=1e-8, weight_decay=0.0,
    amsbound=False,
):  # fmt: skip
    """Luo et al. (2019), as in the authors' adabound.py, which has AMSBound as a flag."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    top = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for count, g in enumerate(gradients):
        t = count + 1
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        top = np.maximum(top, v) if amsbound else v
        eta, final = at(learning_rate, count), at(final_rate, count)
        size = eta * np.sqrt(1 - b2**t) / (1 - b1**t)
        low = final * (1 - 1 / (gamma * t + 1))
        high = final * (1 + 1 / (gamma * t))
        root = np.sqrt(top) + eps
        factor = np.where(root > 0, divide(size, root), high)
        steps[count] = -np.clip(factor, low, high) * m - eta * at(weight_decay, count) * theta
        theta = theta + steps[count]
    return steps


@in_both_types
@in_both_settings
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adabound, loop, dtype, **numbers)


def test_it_goes_from_adam_to_momentum():
    """Before the bounds have closed eps is another: Adam's stands beside the corrected root."""
    assert_same(
        gradpow.adabound(rate, b2=0.75, gamma=1e-20, eps=1e-20),
        optax.adam(rate, b2=0.75, eps=1e-20),
    )
    momentum = optax.chain(optax.ema(0.9, debias=False), optax.sgd(0.1))
    assert_same(gradpow.adabound(rate, gamma=1e9), momentum)
