"""Proximal weight decay against its loop."""

import numpy as np
import optax

import gradpow
from gradpow.transforms import proximal_decay
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, decay, in_both_types, settings

CASE = Case(proximal_decay, {"rate": 0.1})


def loop(theta0, gradients, weight_decay):
    """Of descent at the rate 1/64."""
    theta = theta0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        r = at(weight_decay, t)
        steps[t] = (-g / 64 - r * theta) / (1 + r)
        theta = theta + steps[t]
    return steps


def descent(weight_decay, mask):
    return gradpow.chain(optax.scale(-1 / 64), proximal_decay(weight_decay, mask))


@in_both_types
@settings({"constant": {"weight_decay": 0.1}, "scheduled": {"weight_decay": decay}})
def test_steps_are_those_of_the_loop_where_the_mask_decays(numbers, dtype):
    assert_steps_of_loop(descent, loop, dtype, **numbers)


def test_none_is_the_identity_and_0_is_not():
    assert proximal_decay(None).init({"w": np.ones(2)}) == optax.EmptyState()
    assert proximal_decay(0.0).init({"w": np.ones(2)}).count == 0
