"""SGDP against its loop, and SGD as its case delta = 0."""

import numpy as np
import optax

import gradpow
from tests.contract.case import Case
from tests.contract.exact import SCHEDULED, assert_steps_of_loop, at, in_both_types, settings
from tests.contract.identities import assert_same, rate
from tests.transforms.direction.test_remove_radial import on_signs, projected

CASE = Case(
    gradpow.sgdp,
    {
        "learning_rate": 1e-2,
        "momentum": 0.9,
        "delta": 2.0,
        "wd_ratio": 0.2,
        "eps": 0.1,
        "weight_decay": 0.1,
    },
    by_rows=True,
)


def loop(
    theta0,
    gradients,
    learning_rate,
    momentum=0.9,
    nesterov=False,
    delta=0.1,
    wd_ratio=0.1,
    eps=1e-8,
    weight_decay=0.0,
    axis=-1,
):
    """Heo et al. (2021), Algorithm 1, with the decay of the authors' code."""
    theta = theta0
    p = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        p = momentum * p + g
        u = g + momentum * p if nesterov else p
        q, share, _ = projected(u, theta, g, delta, wd_ratio, eps, axis)
        decay = at(weight_decay, t) * share / (1 - momentum)
        steps[t] = -at(learning_rate, t) * (q + decay * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings(
    {
        "default": {"learning_rate": 2.0**-8},
        "scheduled": {**SCHEDULED, "momentum": 0.5, "delta": 1.5, "wd_ratio": 0.25, "eps": 1e-3},
        "first": {**SCHEDULED, "momentum": 0.5, "delta": 1.0, "axis": 0, "nesterov": True},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(*on_signs(gradpow.sgdp, loop), dtype, **numbers)


def test_where_nothing_is_removed_it_is_sgd():
    assert_same(gradpow.sgdp(rate, delta=0.0), optax.sgd(rate, 0.9))
