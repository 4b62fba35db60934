"""Decoupled weight decay, against its loop."""

import numpy as np
import optax

import gradpow
from gradpow.transforms import decay_weights
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, decay, in_both_types, settings

CASE = Case(decay_weights, {"weight_decay": 0.1})


def loop(theta0, gradients, weight_decay):
    """Of descent at the rate 1/64."""
    theta = theta0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        steps[t] = -(g + at(weight_decay, t) * theta) / 64
        theta = theta + steps[t]
    return steps


def descent(weight_decay, mask):
    return gradpow.chain(decay_weights(weight_decay, mask), optax.scale(-1 / 64))


@in_both_types
@settings({"constant": {"weight_decay": 0.1}, "scheduled": {"weight_decay": decay}})
def test_steps_are_those_of_the_loop_where_the_mask_decays(numbers, dtype):
    assert_steps_of_loop(descent, loop, dtype, **numbers)


def test_none_is_the_identity():
    tx = decay_weights(None)
    assert tx.update(1.0, tx.init(2.0)) == (1.0, optax.EmptyState())
