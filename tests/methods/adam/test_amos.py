"""Amos against its loop with sizes and axes by kind, clipping and momentum."""

import jax.numpy as jnp
import numpy as np

import gradpow
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, divide, in_both_types, rate, settings

CASE = Case(
    gradpow.amos,
    {"learning_rate": 0.1, "b2": 0.9, "momentum": 0.5, "clip_value": 1.5},
    by_rows=True,
)
SIZES = {0: 0.5, 1: 0.5, 2: 0.25, 3: 0.125}  # by the number of axes


def loop(theta0, gradients, learning_rate, b2, momentum=None, clip_value=None):
    """Tian and Parikh (2022), Algorithm 1; v and b of each column of what has axes enough."""
    axes = tuple(range(theta0.ndim - 1)) if theta0.ndim > 1 else None
    theta, e, xi = theta0, SIZES[theta0.ndim], learning_rate
    v = b = m = 0.0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        xi = at(learning_rate, t)
        g = g if clip_value is None else np.clip(g, -clip_value, clip_value)
        g2 = np.mean(g**2, axis=axes, keepdims=True)
        v = b2 * v + (1 - b2) * g2
        v_hat = v / (1 - b2 ** (t + 1))
        c = (1 + np.sqrt(xi) * b / 4) ** -0.5
        d = 1 / (1 + np.sqrt(xi * e) * b / 4)
        gamma = c * xi**2 * divide(g2, v_hat)
        delta = d * (xi * e * divide(g, np.sqrt(v_hat)) + gamma / 2 * theta)
        b = b + gamma * (1 + b)
        m = delta if momentum is None else momentum * m + (1 - momentum) * delta
        steps[t] = -m
        theta = theta + steps[t]
    return steps


@in_both_types
@settings(
    {
        "plain": {"learning_rate": 0.125, "b2": 0.95},
        "all": {"learning_rate": rate, "b2": 0.95, "momentum": 0.75, "clip_value": 0.5},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    other = {"size": lambda path, x: SIZES[x.ndim]}
    assert_steps_of_loop(gradpow.amos, loop, dtype, other=other, **numbers)


def test_sizes_and_axes_go_by_name_and_shape():
    shapes = {
        "mlp/kernel": (16, 3),
        "wte/embedding": (9, 8),
        "ln_1/scale": (4,),
        "ln_1/bias": (4,),
        "conv/kernel": (2, 2, 4, 5),
        "temperature": (),
    }
    leaves = {path: jnp.zeros(shape) for path, shape in shapes.items()}
    sizes = [gradpow.amos_sizes(path, x) for path, x in leaves.items()]
    assert sizes == [0.25, 0.5, 1.0, 0.5, 0.25, 0.5]
    axes = [gradpow.amos_axes(path, x) for path, x in leaves.items()]
    assert axes == [(0,), -1, None, None, (0, 1, 2), None]
    state = gradpow.amos(0.1).init(leaves)
    assert state[1].b["mlp/kernel"].shape == (1, 3)
    assert state[1].b["wte/embedding"].shape == (9, 1)


def test_a_first_gradient_of_0_and_extremes_give_finite_steps():
    tx, params = gradpow.amos(0.1), {"a": jnp.ones(2), "b": jnp.zeros(3)}
    state = tx.init(params)
    for scale in (0.0, 1e-30, 1e30, 0.0):
        grads = {"a": jnp.full(2, scale), "b": jnp.array([scale, -scale, 0])}
        updates, state = tx.update(grads, state, params)
        assert all(jnp.isfinite(x).all() for x in updates.values())
