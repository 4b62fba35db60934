"""Preconditioning by Gram matrices against its loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.core import Scalar
from gradpow.transforms import gram_precondition
from tests.contract.case import Case
from tests.contract.exact import assert_same_steps, make_problem, updates_of
from tests.contract.identities import assert_same


def by_sum(power: Scalar, eps: Scalar, eps_root: Scalar) -> optax.GradientTransformation:
    return gram_precondition(optax.trace(1.0), power, eps, eps_root)


def flat(power: Scalar, eps: Scalar, eps_root: Scalar) -> optax.GradientTransformation:
    return gram_precondition(optax.trace(1.0), power, eps, eps_root, flat=True)


NUMBERS = {"power": 0.4, "eps": 0.1, "eps_root": 0.1}
# Rounding of the matrix is divided by the smallest eigenvalue, 0.1.
CASE = Case(by_sum, NUMBERS, sharded=1e-4)
CASES = {"gram_precondition_flat": Case(flat, NUMBERS, sharded=1e-4)}


def loop(gradients, power, eps, eps_root, flat):
    """The inverse by the definition: eigenvectors of a positive matrix in float64."""
    steps, a = np.zeros(gradients.shape), 0.0
    for t, g in enumerate(gradients):
        x = g.reshape(-1, 1) if flat or g.ndim < 2 else g.reshape(len(g), -1)
        a = a + x @ x.T
        w, q = np.linalg.eigh(a + eps_root * np.eye(len(a)))
        root = q @ np.diag(w**power) @ q.T + eps * np.eye(len(a))
        steps[t] = np.linalg.solve(root, x).reshape(g.shape)
    return steps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 2, 3)])
@pytest.mark.parametrize("power", [0.5, 1.0])
def test_steps_are_those_of_the_loop(shape, power, dtype):
    _, gradients = make_problem(0, 30, shape)
    gradients = np.clip(gradients, -2, 2)
    for is_flat in (False, True):
        numbers = {"power": power, "eps": 0.25, "eps_root": 0.5}
        tx = gradpow.chain(gram_precondition(optax.trace(1.0), **numbers, flat=is_flat))
        with jax.enable_x64(dtype is np.float64):
            updates = updates_of(tx, jnp.zeros(shape, dtype), jnp.asarray(gradients, dtype))
        expected = loop(gradients, **numbers, flat=is_flat)
        # The matrix is rounded, and mixes coordinates: one that is 0 gets its share of the others.
        condition = 30 * 4 * gradients[0].size / numbers["eps_root"]
        floor = np.finfo(dtype).eps * condition * np.sqrt(np.mean(expected**2))
        assert_same_steps(updates, expected, 0, floor)


def test_of_one_row_it_is_the_scaling_by_the_norm():
    tx = gradpow.chain(gram_precondition(optax.trace(1.0), flat=True))
    g = jnp.array([3.0, -4.0])
    u, state = tx.update(g, tx.init(g))
    np.testing.assert_allclose(u, g / 5, rtol=1e-6)
    np.testing.assert_allclose(tx.update(2 * g, state)[0], 2 * g / np.sqrt(125), rtol=1e-6)


def test_a_column_or_row_vector_and_flat_are_one():
    vectors = {k: gram_precondition(optax.ema(0.9), eps_root=0.5, flat=k) for k in (False, True)}
    column = optax.masked(gradpow.chain(vectors[False]), {"matrix": False, "vector": True})
    flattened = optax.masked(gradpow.chain(vectors[True]), {"matrix": False, "vector": True})
    assert_same(column, flattened)


def test_what_rounding_cannot_tell_from_0_stands_still():
    g = jnp.array([1.0, 1e-6])
    tx = gradpow.chain(gram_precondition(optax.trace(1.0), eps=1e-8, flat=True))
    _, state = tx.update(g, tx.init(g))
    other = jnp.array([0.0, 1.0])  # orthogonal, but for what g has of it
    u, _ = tx.update(other * 1e-6, state)
    assert np.abs(u).max() < 1e-2


def test_zeros_and_what_leaves_float32_give_0_never_nan():
    tx = gradpow.chain(gram_precondition(optax.trace(1.0)))
    g = jnp.array([[1e30, -1e30], [1e30, 1e30]])
    for start in (jnp.zeros((2, 2)), g):
        state = tx.init(g)
        for gradient in (start, g, jnp.zeros((2, 2)), g):
            u, state = tx.update(gradient, state)
            assert not u.any()
        assert not jnp.isnan(state[0].moment.trace).any()
