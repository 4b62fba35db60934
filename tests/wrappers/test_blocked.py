"""Blocks against each of them by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax.contrib import MuonDimensionNumbers

import gradpow
from gradpow.transforms import kronecker_precondition
from tests.contract.case import Case
from tests.contract.exact import make_problem, updates_of


def shampoo():
    return kronecker_precondition(optax.ema(0.9, debias=False), eps=0.1)


# Rounding of the squares is divided by the smallest eigenvalue, 0.1.
CASE = Case(gradpow.blocked, other={"inner": shampoo(), "size": 2}, sharded=1e-4)


def test_each_block_is_a_matrix_by_itself():
    for shape in ((4, 6), (5, 7), (3, 9), (1, 5), (2, 5, 4)):
        gradients = jnp.asarray(np.clip(make_problem(0, 4, shape)[1], -2, 2), jnp.float32)
        alone, size = gradpow.chain(shampoo()), 4

        def expected(g, alone=alone, size=size):
            lines = [
                [
                    updates_of(alone, g[0, ..., i : i + size, j : j + size],
                               g[..., i : i + size, j : j + size], jit=lambda f: f)
                    for j in range(0, g.shape[-1], size)
                ]
                for i in range(0, g.shape[-2], size)
            ]  # fmt: skip
            return jnp.concatenate([jnp.concatenate(line, -1) for line in lines], -2)

        tx = gradpow.chain(gradpow.blocked(shampoo(), size))
        actual, wanted = jax.jit(
            lambda g, tx=tx, expected=expected: (
                updates_of(tx, g[0], g, jit=lambda f: f), expected(g)
            )
        )(gradients)  # fmt: skip
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-6)


def test_blocks_larger_than_all_matrices_change_nothing_but_the_state():
    g = {"w": jnp.arange(6.0).reshape(2, 3), "b": jnp.array([1.0, -2.0])}
    tx, whole = gradpow.chain(gradpow.blocked(shampoo())), gradpow.chain(shampoo())
    updates, state = tx.update(g, tx.init(g))
    expected, plain = whole.update(g, whole.init(g))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), updates, expected)
    (blocks,), alone = state[0].roots["w"], plain[0].roots["w"]
    assert blocks.inputs.shape == (1, 1, 2, 2) and alone.inputs.shape == (2, 2)


def test_blocks_are_cut_from_the_axes_that_are_in_and_out():
    g = jnp.arange(2.0 * 5 * 3 * 4).reshape(2, 5, 3, 4)
    axes = {"w": MuonDimensionNumbers((1,), (0, 3)), "b": None}  # three matrices, 5 x 8
    seen = []

    def update(updates, state, params=None, **extra_args):
        del params, extra_args
        seen.append(jax.tree.map(jnp.shape, updates))
        return jax.tree.map(lambda x: 2 * x, updates), state

    link = optax.GradientTransformation(optax.init_empty_state, update)
    tx = gradpow.blocked(link, 4, axes)
    updates, _ = tx.update({"w": g, "b": g[0]}, tx.init({"w": g, "b": g[0]}))
    assert seen[0] == {"w": ((3, 1, 2, 4, 4), (3, 1, 2, 1, 4)), "b": (5, 3, 4)}
    np.testing.assert_array_equal(updates["w"], 2 * g)


def test_parameters_are_cut_too_and_a_size_is_a_whole_number():
    tx = gradpow.blocked(optax.add_decayed_weights(0.5), 2)
    theta = jnp.arange(12.0).reshape(3, 4)
    np.testing.assert_allclose(tx.update(0 * theta, tx.init(theta), theta)[0], 0.5 * theta)
    for size in (0, 2.0):
        with pytest.raises(ValueError, match="size must be a whole number >= 1"):
            gradpow.blocked(optax.identity(), size)
