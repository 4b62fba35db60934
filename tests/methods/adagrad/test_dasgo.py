"""DASGO against its loop, with what the authors' code adds, and Adam-mini by inputs."""

import numpy as np
import optax

import gradpow
from gradpow.transforms import moment_scale, pooled
from tests.contract.case import Case
from tests.contract.exact import (
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
    gradpow.dasgo,
    {"learning_rate": 1e-2, "b1": 0.9, "b2": 0.9, "eps": 1e-2, "rms": 0.2, "weight_decay": 0.1},
    by_rows=True,
)


def loop(
    theta0, gradients, learning_rate, b1=0.9, b2=0.95, eps=1e-8, rms=None, weight_decay=0.0, axis=-1
):
    """dasgo.py of the authors; vectors have a v of each coordinate."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = 0.0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        squares = np.sum(g**2, axis=axis, keepdims=True) if g.ndim > 1 else g**2
        v = b2 * v + (1 - b2) * squares
        u = divide(m, np.sqrt(v + eps))
        if rms is not None:
            u = rms * np.sqrt(u.size) * divide(u, np.linalg.norm(u))
        steps[t] = -at(learning_rate, t) * (u + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings(
    {
        "paper": CONSTANT,
        "code": {**CONSTANT, "rms": 0.25},
        "scheduled": {**SCHEDULED, "b1": 0.5, "b2": 0.75, "eps": 1e-3, "rms": 0.25},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.dasgo, loop, dtype, **numbers)


def test_steps_of_the_first_axis_are_those_of_the_loop():
    def over(path, leaf):
        return 0 if leaf.ndim > 1 else ()

    def of_the_first(*problem, **numbers):
        return loop(*problem, **numbers, axis=0)

    assert_steps_of_loop(gradpow.dasgo, of_the_first, np.float32, other={"over": over}, **CONSTANT)


def test_of_means_it_is_adam_mini_s_statistic_without_corrections():
    def over(path, leaf):
        return -1 if leaf.ndim > 1 else ()

    def adam_mini(learning_rate, outputs):
        return gradpow.chain(
            optax.ema(0.9, debias=False),
            moment_scale(
                pooled(optax.ema(0.95, debias=False), over, mean=True), eps_root=1e-8 / outputs
            ),
            optax.scale(outputs**-0.5),
            optax.scale_by_learning_rate(learning_rate),
        )

    ours, theirs = gradpow.dasgo(rate), adam_mini(rate, 7.0)
    assert_same(
        optax.masked(ours, {"matrix": True, "vector": False}),
        optax.masked(theirs, {"matrix": True, "vector": False}),
    )
