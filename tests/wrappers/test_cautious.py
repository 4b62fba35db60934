"""Cautious around any base, against its loop and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given

import gradpow
from tests.contract.case import Case
from tests.contract.drawn import assert_descends, histories, run
from tests.contract.exact import (
    assert_same_steps,
    assert_steps_of_loop,
    at,
    in_both_types,
    settings,
)
from tests.contract.exact import rate as exact_rate
from tests.contract.identities import (
    GRADIENTS,
    ROUNDING,
    masked_by_hand,
    rate,
    updates_on_two_leaves,
)

CASE = Case(
    gradpow.cautious,
    {"negative_scale": -0.5, "b3": 0.5, "zero_scale": 0.9, "floor": 1e-3},
    {"base": optax.sgd(1e-2, momentum=0.9)},
    largest=1e36,  # the momentum of the base is the sum of ten
)


def loop(theta0, gradients, learning_rate, momentum, negative_scale=0.0, floor=1e-3):
    """SGD with momentum, Definition 3.2 of AMS authors (2025); where u*g = 0 the scale is 0."""
    d = theta0.size
    u = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        u = momentum * u + g
        phi = np.where(np.sign(u) * np.sign(g) > 0, 1.0, 0.0)
        psi = negative_scale * np.where(np.sign(u) * np.sign(g) < 0, 1.0, 0.0)
        normalizer = d / max(np.sum(np.abs(phi)) + np.sum(np.abs(psi)), floor * d)
        steps[t] = -at(learning_rate, t) * normalizer * (phi + psi) * u
    return steps


def cautious_momentum(learning_rate, momentum, **numbers):
    return gradpow.cautious(optax.sgd(learning_rate, momentum), **numbers)


@in_both_types
@settings({"masked": {"negative_scale": 0.0}, "turned": {"negative_scale": -0.5}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    numbers = {"learning_rate": exact_rate, "momentum": 0.9, **numbers}
    assert_steps_of_loop(cautious_momentum, loop, dtype, **numbers)


@pytest.mark.parametrize(
    "base",
    [
        optax.adam(rate),
        optax.lion(rate, weight_decay=0.0),
        optax.sgd(rate, momentum=0.9),
        optax.contrib.muon(rate),
    ],
    ids=["adam", "lion", "momentum", "muon"],
)
def test_it_masks_what_the_base_makes(base):
    updates = updates_on_two_leaves(base)
    expected = jax.tree.map(masked_by_hand(lambda agreement: agreement > 0), updates, GRADIENTS)
    actual = updates_on_two_leaves(gradpow.cautious(base))
    assert_same_steps(actual, expected, ROUNDING)
    # A leaf in which all is masked, or nothing, would prove little.
    kept = np.mean(np.asarray(actual["matrix"]) != 0)
    assert 0.2 < kept < 0.8


def test_schedule_free_goes_around_it_and_descends():
    tx = optax.contrib.schedule_free(gradpow.cautious(optax.sgd(0.01)), 0.01, b1=0.9)
    theta0 = {"vector": jnp.zeros(4), "matrix": jnp.ones((2, 2))}

    def step(carry, _):
        theta, state = carry
        updates, state = tx.update(jax.grad(loss)(theta), state, theta)
        return (optax.apply_updates(theta, updates), state), None

    def loss(theta):
        return jnp.sum((theta["vector"] - 1) ** 2) + jnp.sum(theta["matrix"] ** 2)

    (theta, state), _ = jax.lax.scan(step, (theta0, tx.init(theta0)), length=300)
    averaged = optax.contrib.schedule_free_eval_params(state, theta)
    assert loss(averaged) < 0.01 * loss(theta0)


descent = jax.jit(lambda g: run(gradpow.cautious(optax.sgd(1e-2, momentum=0.9)), g))


@given(histories(1e-15, 1e15))
def test_no_step_goes_against_the_gradient_in_any_coordinate(gradients):
    assert_descends(descent(gradients), gradients)
