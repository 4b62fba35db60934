"""The trust ratio against its loop, and optax's, which has neither decay nor phi."""

import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from gradpow.transforms import trust_ratio
from tests.contract.case import Case
from tests.contract.exact import SCHEDULED, assert_steps_of_loop, at, in_both_types, settings
from tests.contract.identities import assert_same


def bounded(norm):
    return jnp.clip(norm, 1.0, 2.0)


CASE = Case(
    trust_ratio,
    {"coefficient": 0.5, "weight_decay": 0.1, "eps": 0.1},
    {"phi": bounded},
    largest=3e4,  # of float16: a step of one coordinate is as long as its parameter at most
)


def loop(theta0, gradients, coefficient, weight_decay, eps, rate, bounds=(0, np.inf)):
    """Of descent at a rate: the parameters, and with them their norm, move."""
    theta = theta0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        d = at(weight_decay, t)
        n, length = np.sqrt(np.sum(theta**2)), np.sqrt(np.sum(g**2))
        ratio = 1.0
        if n > 0 and length > 0:
            ratio = coefficient * np.clip(n, *bounds) / (length + d * n + eps)
        steps[t] = -rate * ratio * (g + d * theta)
        theta = theta + steps[t]
    return steps


def descent(rate, mask=None, bounds=None, **given):
    tx = trust_ratio(phi=None if bounds is None else bounded, **given)
    return gradpow.chain(tx, optax.scale(-rate))


@in_both_types
@settings(
    {
        "alone": {"coefficient": 1.0, "weight_decay": None, "eps": 0.0},
        "decay": {"coefficient": 0.5, "weight_decay": 0.25, "eps": 1e-3},
        "scheduled": {"coefficient": 0.5, "weight_decay": SCHEDULED["weight_decay"], "eps": 0.0},
        "bounds": {"coefficient": 0.5, "weight_decay": 0.25, "eps": 0.5, "bounds": (1.0, 2.0)},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    numbers = dict(numbers)
    decay = {"decay": numbers.pop("weight_decay")}  # of all leaves
    assert_steps_of_loop(
        lambda decay, **given: descent(weight_decay=decay, **given),
        lambda *problem, decay, **given: loop(*problem, weight_decay=decay, **given),
        dtype,
        rate=2.0**-6,
        **numbers,
        **decay,
    )


def test_alone_it_is_optax_s():
    rate = optax.scale(-1e-2)
    assert_same(
        gradpow.chain(trust_ratio(0.5, eps=1e-3), rate),
        optax.chain(optax.scale_by_trust_ratio(0.0, 0.5, 1e-3), rate),
    )


def test_where_a_norm_is_0_the_update_is_left_as_it_is():
    tx = trust_ratio(0.5, weight_decay=0.25)
    for u, theta, expected in (([4.0], [0.0], [4.0]), ([0.0], [8.0], [2.0]), ([0.0], [0.0], [0.0])):
        u, theta = jnp.array(u), jnp.array(theta)
        np.testing.assert_array_equal(tx.update(u, tx.init(theta), theta)[0], expected)
