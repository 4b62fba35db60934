"""Cautious weight decay against the box's one line, before and after the rate."""

import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from gradpow.core import product
from gradpow.transforms import cautious_decay_weights, decay_weights
from tests.contract.case import Case
from tests.contract.exact import (
    CONSTANT,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    in_both_types,
    settings,
)
from tests.contract.identities import assert_same

CASE = Case(cautious_decay_weights, {"weight_decay": 0.1})


def loop(theta0, gradients, learning_rate, weight_decay):
    """Chen et al. (2025), Algorithm 1, on gradients as updates."""
    theta, steps = theta0, np.zeros(gradients.shape)
    for t, u in enumerate(gradients):
        agrees = np.sign(u) * np.sign(theta) >= 0
        steps[t] = -at(learning_rate, t) * (u + at(weight_decay, t) * agrees * theta)
        theta = theta + steps[t]
    return steps


def before(learning_rate, weight_decay, mask):
    return gradpow.chain(
        cautious_decay_weights(weight_decay, mask), optax.scale_by_learning_rate(learning_rate)
    )


def after(learning_rate, weight_decay, mask):
    decay = cautious_decay_weights(product(-1.0, learning_rate, weight_decay), mask)
    return gradpow.chain(optax.scale_by_learning_rate(learning_rate), decay)


@in_both_types
@settings({"constant": CONSTANT, "scheduled": SCHEDULED})
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(before, loop, dtype, **numbers)
    if dtype is np.float32:
        assert_steps_of_loop(after, loop, dtype, **numbers)


def test_where_all_agrees_it_is_weight_decay_and_where_nothing_does_there_is_none():
    theta = jnp.array([1e-30, -2.0, 0.0])
    tx, plain = cautious_decay_weights(0.5), decay_weights(0.5)
    state = tx.init(theta)
    for u, expected in ((theta * 1e-10, plain.update(theta * 1e-10, plain.init(theta), theta)[0]),
                        (-theta, -theta)):  # fmt: skip
        np.testing.assert_array_equal(tx.update(u, state, theta)[0], expected)


def test_none_keeps_nothing():
    assert_same(
        gradpow.chain(optax.sgd(0.1), cautious_decay_weights(None)), gradpow.chain(optax.sgd(0.1))
    )
    assert cautious_decay_weights(None).init(jnp.ones(2)) == optax.EmptyState()
