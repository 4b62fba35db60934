"""Shampoo against its loop and another's code, and what its leaves that are no matrices take."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    CONSTANT,
    SCHEDULED,
    assert_same_steps,
    at,
    in_both_types,
    make_problem,
    settings,
    updates_of,
)
from tests.contract.identities import assert_same
from tests.contract.trees import quick_jit

CASE = Case(
    gradpow.shampoo,
    {"learning_rate": 1e-2, "b2": 0.9, "power": 0.3, "eps": 0.1, "weight_decay": 0.1},
    sharded=1e-4,  # rounding of the squares is divided by their smallest eigenvalue, 0.1
)
EPS = 0.25


def inverse_root(s, power):
    w, q = np.linalg.eigh(s)
    return (q * w**-power) @ q.T


def loop(
    theta0, gradients, learning_rate, b2=None, power=0.25, eps=1e-4, weight_decay=0.0, every=1
):
    """Algorithm 1, with decoupled decay; an average keeps the box's epsilon I whole."""
    theta = theta0
    left, right = eps * np.eye(theta0.shape[0]), eps * np.eye(theta0.shape[1])
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        if b2 is None:
            left = left + g @ g.T
            right = right + g.T @ g
        else:
            left = b2 * left + (1 - b2) * (g @ g.T + eps * np.eye(len(left)))
            right = b2 * right + (1 - b2) * (g.T @ g + eps * np.eye(len(right)))
        if t % every == 0:
            left_root, right_root = inverse_root(left, power), inverse_root(right, power)
        steps[t] = -at(learning_rate, t) * (
            left_root @ g @ right_root + at(weight_decay, t) * theta
        )
        theta = theta + steps[t]
    return steps


def of_matrix(shape, steps=60):
    """The problem's hard coordinates, without the one of 1e3, beside which no other has digits."""
    theta0, gradients = make_problem(0, steps, shape)
    return theta0, np.clip(gradients, -2, 2)


def assert_is_loop(factory, loop, dtype, shape=(5, 7), **numbers):
    """To the usual tolerances, of all the matrix's steps: a row of 0 gets a share of the others."""
    theta0, gradients = of_matrix(shape)
    with jax.enable_x64(dtype is np.float64):
        given = jnp.asarray(theta0, dtype), jnp.asarray(gradients, dtype)
        actual = updates_of(factory(**numbers), *given)
    expected = loop(theta0, gradients, **numbers)
    tolerance = 1e-5 if dtype is np.float32 else 1e-12
    assert_same_steps(actual, expected, 0, tolerance * np.sqrt(np.mean(expected**2)))


@in_both_types
@settings(
    {
        "paper": {**CONSTANT, "eps": EPS},
        "practice": {**SCHEDULED, "eps": EPS, "b2": 0.875, "power": 0.5, "every": 4},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_is_loop(gradpow.shampoo, loop, dtype, **numbers)


def test_at_the_default_eps_it_is_the_loop_of_a_tall_matrix():
    assert_is_loop(gradpow.shampoo, loop, np.float64, (7, 4), **CONSTANT)


def test_other_leaves_take_adamw_or_the_rest():
    numbers = {"learning_rate": 0.01, "weight_decay": 0.1}
    for rest in (None, optax.sgd(0.1, momentum=0.5)):
        wanted = optax.adamw(**numbers) if rest is None else rest
        ours = gradpow.shampoo(**numbers, eps=0.5, rest=rest)
        alone = gradpow.shampoo(**numbers, eps=0.5, hidden={"matrix": True, "vector": None})
        assert_same(
            ours, optax.partition({"m": alone, "v": wanted}, {"matrix": "m", "vector": "v"})
        )


def test_layers_in_one_tensor_are_matrices_by_themselves():
    axes = optax.contrib.MuonDimensionNumbers(1, 2)
    g = {"w": jnp.asarray(np.random.default_rng(0).standard_normal((2, 3, 4)), jnp.float32)}

    @quick_jit
    def first(g):
        stack, single = (gradpow.shampoo(0.1, eps=0.5, hidden={"w": a}) for a in (axes, True))
        layers = [{"w": layer} for layer in g["w"]]
        return (
            stack.update(g, stack.init(g))[0]["w"],
            jnp.stack([single.update(x, single.init(x))[0]["w"] for x in layers]),
        )

    np.testing.assert_allclose(*first(g), rtol=1e-5, atol=1e-7)


def test_grafted_it_takes_steps_of_adam_s_size():
    g = {"w": jnp.asarray(np.random.default_rng(0).standard_normal((3, 4)), jnp.float32)}
    alone = gradpow.shampoo(1.0)
    grafted = gradpow.graft(optax.adam(1e-3), alone)
    first = quick_jit(lambda g: [tx.update(g, tx.init(g))[0]["w"] for tx in (grafted, alone)])
    u, direction = map(np.asarray, first(g))
    assert np.linalg.norm(u) == pytest.approx(1e-3 * np.sqrt(12), rel=1e-4)
    units = (x / np.linalg.norm(x) for x in (u, direction))
    np.testing.assert_allclose(*units, atol=1e-6)
