"""Adam+ against its loop, whose norm is over all tensors, and at its two points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    LEAVES,
    assert_same_steps,
    at,
    divide,
    in_both_types,
    problem,
    rate,
    updates_of,
)

CASE = Case(gradpow.adam_plus, {"learning_rate": 0.1, "b": 0.5, "a": 1.5})


def loop(gradients, learning_rate, b, a):
    """Liu et al. (2020b), Algorithm 1; the steps of y."""
    x_step, steps = 0.0, np.zeros(gradients.shape)
    z = gradients[0]
    for t, g in enumerate(gradients):
        z = z if t == 0 else (1 - b) * z + b * g
        last = x_step
        x_step = -at(learning_rate, t) * b**a * divide(z, np.sqrt(np.linalg.norm(z)))
        steps[t] = x_step + (1 / b - 1) * (x_step - last)
    return steps


@in_both_types
@pytest.mark.parametrize("learning_rate", [0.125, rate], ids=["constant", "scheduled"])
def test_steps_are_those_of_the_loop(learning_rate, dtype):
    numbers = {"learning_rate": learning_rate, "b": 0.5, "a": 1.5}
    with jax.enable_x64(dtype is np.float64):
        for leaf in LEAVES[dtype]:
            theta0, gradients = problem(leaf)
            arrays = jnp.asarray(theta0, dtype), jnp.asarray(gradients, dtype)
            actual = updates_of(gradpow.adam_plus(**numbers), *arrays)
            expected = loop(gradients, **numbers)
            assert_same_steps(actual, expected, 1e-5 if dtype is np.float32 else 1e-12)


def test_the_norm_is_over_all_tensors():
    tx = gradpow.adam_plus(1.0, b=1.0)
    grads = {"a": jnp.array([3.0]), "b": jnp.array([4.0])}
    updates, _ = tx.update(grads, tx.init(grads))
    np.testing.assert_allclose(updates["a"], -3 / np.sqrt(5), rtol=1e-6)


def test_of_a_function_it_gives_both_points():
    h = np.array([1.0, 0.5])
    x, tx = np.ones(2), gradpow.adam_plus(0.25, b=0.5)
    y = np.ones(2, np.float32)
    state, z, last = tx.init(y), None, x
    for _ in range(10):
        g = h * ((1 - 1 / 0.5) * last + x / 0.5)
        z = g if z is None else 0.5 * z + 0.5 * g
        last, x = x, x - 0.25 * 0.5 * z / np.sqrt(np.linalg.norm(z))
        u, state = tx.update(np.float32(h) * y, state)
        y = y + u
        np.testing.assert_allclose(gradpow.eval_params(state, y), x, atol=1e-5)


def test_zeros_stand_still_and_extremes_give_finite_steps():
    tx = gradpow.adam_plus(0.1)
    state = tx.init(jnp.zeros(2))
    for g in ([0.0, 0.0], [1e-30, 0.0], [1e30, 1.0], [0.0, 0.0]):
        updates, state = tx.update(jnp.array(g), state)
        assert jnp.isfinite(updates).all()


def test_it_is_found_beside_adam():
    assert gradpow.get("Adam+", 0.1).init(jnp.zeros(1))[0].count == 0
    assert [entry.name for entry in gradpow.atlas() if "Adam+" in entry.titles] == ["adam_plus"]
    assert len(gradpow.get("adam", 0.1).init(jnp.zeros(1))) == 1
