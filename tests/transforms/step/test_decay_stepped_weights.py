"""Weight decay after the step, against its loop."""

import jax
import numpy as np
import optax
from hypothesis import given

import gradpow
from gradpow.transforms import decay_stepped_weights
from tests.contract.case import Case
from tests.contract.drawn import ROUNDING, fractions, numbers, run, vectors
from tests.contract.exact import assert_steps_of_loop, at, decay, in_both_types, settings

CASE = Case(decay_stepped_weights, {"rate": 0.1})
decayed = jax.jit(lambda u, r, theta: theta + run(decay_stepped_weights(r), u[None], theta)[0])


def loop(theta0, gradients, weight_decay):
    """Of descent at the rate 1/64."""
    theta = theta0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        step = -g / 64
        steps[t] = step - at(weight_decay, t) * (theta + step)
        theta = theta + steps[t]
    return steps


def descent(weight_decay, mask):
    return gradpow.chain(optax.scale(-1 / 64), decay_stepped_weights(weight_decay, mask))


@in_both_types
@settings({"constant": {"weight_decay": 0.1}, "scheduled": {"weight_decay": decay}})
def test_steps_are_those_of_the_loop_where_the_mask_decays(numbers, dtype):
    assert_steps_of_loop(descent, loop, dtype, **numbers)


@given(*3 * [vectors(numbers(1e-3, 1e3))], fractions(0, 1))
def test_what_the_steps_reach_is_contracted_by_1_minus_the_rate(u, v, theta, r):
    difference = decayed(u, r, theta) - decayed(v, r, -theta)
    size = np.abs(u) + np.abs(v) + 2 * np.abs(theta)
    expected = (1 - r) * (u + 2 * theta.astype(float) - v)
    assert (np.abs(difference - expected) <= ROUNDING * size).all()


def test_none_is_the_identity_and_0_is_not():
    assert decay_stepped_weights(None).init({"w": np.ones(2)}) == optax.EmptyState()
    assert decay_stepped_weights(0.0).init({"w": np.ones(2)}).count == 0
