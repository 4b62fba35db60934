"""Amos' scaling against its loop."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.transforms import amos_scale
from tests.contract.case import Case
from tests.contract.exact import (
    SCHEDULED,
    assert_steps_of_loop,
    at,
    divide,
    in_both_types,
)

CASE = Case(amos_scale, {"learning_rate": 0.1, "b2": 0.9}, {"scale": lambda path, leaf: 0.5})
COLUMNS = {"over": lambda path, x: 0 if x.ndim else None}


def loop(theta0, gradients, learning_rate, b2, axis=None, e=0.5):
    """Tian and Parikh (2022), Algorithm 1, without clip and momentum."""
    theta = theta0
    v = b = 0.0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        xi = at(learning_rate, t)
        g2 = np.mean(g**2, axis=axis if g.ndim else None, keepdims=True)
        v = b2 * v + (1 - b2) * g2
        v_hat = v / (1 - b2 ** (t + 1))
        c = (1 + np.sqrt(xi) * b / 4) ** -0.5
        d = 1 / (1 + np.sqrt(xi * e) * b / 4)
        gamma = c * xi**2 * divide(g2, v_hat)
        steps[t] = -d * (xi * e * divide(g, np.sqrt(v_hat)) + gamma / 2 * theta)
        b = b + gamma * (1 + b)
        theta = theta + steps[t]
    return steps


@in_both_types
@pytest.mark.parametrize(("axis", "other"), [(None, {}), (0, COLUMNS)], ids=["tensor", "columns"])
def test_steps_are_those_of_the_loop(axis, other, dtype):
    def factory(learning_rate, b2, **other):
        def size(path, leaf):
            return 0.5

        return gradpow.chain(amos_scale(learning_rate, size, b2, **other), optax.scale(-1.0))

    assert_steps_of_loop(
        factory,
        lambda *problem, **numbers: loop(*problem, axis=axis, **numbers),
        dtype,
        other=other,
        learning_rate=SCHEDULED["learning_rate"],
        b2=0.95,
    )


def test_zeros_stand_still_and_what_leaves_float32_is_0_not_nan():
    tx = gradpow.chain(amos_scale(0.1, lambda path, x: 1.0))
    params = {"zero": jnp.zeros(2), "large": jnp.ones(2)}
    state = tx.init(params)
    for _ in range(2):
        grads = {"zero": jnp.zeros(2), "large": jnp.array([1e30, -1e30])}
        updates, state = tx.update(grads, state, params)
        assert not updates["zero"].any() and not updates["large"].any()
    assert not jnp.isnan(state[0].b["large"]).any()
