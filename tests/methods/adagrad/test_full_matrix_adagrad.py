"""Full-matrix AdaGrad and the online Newton step against their loops, and in one dimension."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import assert_same_steps, make_problem, updates_of

CASE = Case(
    gradpow.full_matrix_adagrad,
    {"learning_rate": 1e-2, "power": 0.4, "eps": 0.1, "eps_root": 0.1, "weight_decay": 0.1},
    sharded=1e-4,  # rounding of the matrix is divided by its smallest eigenvalue, 0.1
)


def adagrad(gradients, eta, delta):
    """Duchi et al. (2011), Figure 1: H = delta I + S^{1/2}."""
    g_sum, steps = 0.0, np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        g_sum = g_sum + np.outer(g, g)
        w, q = np.linalg.eigh(g_sum)
        h = delta * np.eye(len(g)) + (q * np.sqrt(np.maximum(w, 0))) @ q.T
        steps[t] = -eta * np.linalg.solve(h, g)
    return steps


def online_newton(gradients, eta, eps):
    """Hazan et al. (2007) without the projection, by the formula for updates of rank one."""
    inverse, steps = np.eye(gradients.shape[1]) / eps, np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        x = inverse @ g
        inverse = inverse - np.outer(x, x) / (1 + g @ x)
        steps[t] = -eta * inverse @ g
    return steps


@pytest.mark.parametrize(
    ("loop", "numbers"),
    [(adagrad, {"eps": 0.5}), (online_newton, {"eps": 0.0, "eps_root": 0.5, "power": 1.0})],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_are_those_of_the_loop(loop, numbers, dtype):
    theta0, gradients = make_problem(0, 60, (7,))
    gradients = np.clip(gradients, -2, 2)
    with jax.enable_x64(dtype is np.float64):
        tx = gradpow.full_matrix_adagrad(0.125, **numbers)
        actual = updates_of(tx, jnp.asarray(theta0, dtype), jnp.asarray(gradients, dtype))
    expected = loop(gradients, 0.125, 0.5)
    # The matrix is rounded, and mixes coordinates: one that is 0 gets its share of the others.
    condition = 60 * 4 * 7 / 0.5
    floor = np.finfo(dtype).eps * condition * np.sqrt(np.mean(expected**2))
    assert_same_steps(actual, expected, 0, floor)


def test_in_one_dimension_it_is_adagrad_to_the_power():
    _, gradients = make_problem(1, 40, (1,))
    for power in (0.5, 1.0):
        tx = gradpow.full_matrix_adagrad(1.0, power, eps=0.0)
        actual = updates_of(tx, jnp.ones(1), jnp.float32(gradients))
        expected = -gradients / np.cumsum(gradients**2, axis=0) ** power
        np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_directions_without_a_gradient_stand_still_at_any_eps():
    tx = gradpow.full_matrix_adagrad(1.0)
    g = jnp.array([3.0, -4.0, 0.0, 12.0])
    updates, _ = tx.update(g, tx.init(jnp.zeros(4)))
    np.testing.assert_allclose(updates, -g / 13, atol=1e-6)
