"""AdamP against its loop, and Adam as its case delta = 0."""

import numpy as np
import optax

import gradpow
from tests.contract.case import Case
from tests.contract.exact import ADAM, SCHEDULED, assert_steps_of_loop, at, in_both_types, settings
from tests.contract.identities import assert_same, rate
from tests.transforms.direction.test_remove_radial import on_signs, projected

CASE = Case(
    gradpow.adamp,
    {
        "learning_rate": 1e-2,
        "b1": 0.9,
        "b2": 0.99,
        "eps": 0.1,
        "eps_root": 1e-12,
        "delta": 2.0,
        "wd_ratio": 0.2,
        "weight_decay": 0.1,
    },
    by_rows=True,
)


def loop(
    theta0,
    gradients,
    learning_rate,
    b1=0.9,
    b2=0.999,
    eps=1e-8,
    delta=0.1,
    wd_ratio=0.1,
    weight_decay=0.0,
    axis=-1,
):
    """Heo et al. (2021), Algorithm 2, with the corrections and the decay of the authors' code."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        p = m / (1 - b1 ** (t + 1)) / (np.sqrt(v / (1 - b2 ** (t + 1))) + eps)
        q, share, _ = projected(p, theta, g, delta, wd_ratio, eps, axis)
        steps[t] = -at(learning_rate, t) * (q + share * at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings(
    {
        "default": {"learning_rate": 2.0**-8, **ADAM},
        "scheduled": {**SCHEDULED, **ADAM, "delta": 1.5, "wd_ratio": 0.25, "eps": 1e-3},
        "first": {**SCHEDULED, **ADAM, "delta": 1.0, "axis": 0},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(*on_signs(gradpow.adamp, loop), dtype, **numbers)


def test_where_nothing_is_removed_it_is_adam():
    assert_same(gradpow.adamp(rate, delta=0.0), optax.adam(rate))
