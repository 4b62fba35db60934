"""Matrices and the rest, each with an optimizer of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax.contrib import MuonDimensionNumbers

import gradpow
from gradpow.core import dimension_numbers, from_stack, map_matrices, to_stack
from tests.contract.case import Case
from tests.contract.identities import assert_same

# Both alike, since the contract compares leaves of one kind with those of another.
CASE = Case(gradpow.on_matrices, other=dict.fromkeys(("inner", "rest"), optax.sgd(1e-2, 0.9)))


def test_each_part_is_its_optimizer_alone():
    def masked(tx, names):
        return optax.masked(tx, lambda params: {name: name in names for name in params})

    inner, rest = optax.sgd(1e-2, momentum=0.9), optax.adamw(1e-2)
    parts = optax.chain(masked(inner, ["matrix"]), masked(rest, ["vector", "scalar"]))
    assert_same(gradpow.on_matrices(inner, rest), parts)


def test_the_split_may_be_a_tree_or_a_prefix():
    params = {"a": {"w": jnp.ones((2, 3)), "b": jnp.ones(3)}, "c": [jnp.ones((2, 2))]}
    axes = MuonDimensionNumbers(1, 0)
    for matrices in (
        {"a": {"w": axes, "b": None}, "c": False},
        {"a": {"w": axes, "b": None}, "c": None},
    ):
        tx = gradpow.on_matrices(optax.sgd(1.0), optax.set_to_zero(), matrices)
        updates, _ = tx.update(params, tx.init(params))
        assert [u.sum() for u in jax.tree.leaves(updates)] == [0, -6, 0]


def test_stacks_have_batch_axes_first_and_go_back():
    x = jnp.arange(2.0 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    for axes, shape in {
        MuonDimensionNumbers(1, (2, 3)): (2, 3, 20),
        MuonDimensionNumbers((3, 1), 2): (2, 15, 4),
        MuonDimensionNumbers(-1, -2): (2, 3, 5, 4),
        MuonDimensionNumbers((), (0, 1, 2, 3)): (1, 120),
    }.items():
        stack = to_stack(x, axes)
        assert stack.shape == shape
        np.testing.assert_array_equal(from_stack(stack, axes, x), x)
    swapped = to_stack(x, MuonDimensionNumbers((3, 1), 2))
    np.testing.assert_array_equal(swapped[1, 7], x[1, 1, :, 2])  # in = 3 * (axis 3) + axis 1


def test_leaves_that_are_no_matrices_are_left_as_they_are():
    x = {"w": jnp.ones((2, 3)), "b": jnp.ones(3), "none": None}
    numbers = dimension_numbers(lambda path, leaf: leaf.ndim == 2, x)
    doubled = map_matrices(lambda u, other: u + other, numbers, x, x)
    assert doubled["w"].sum() == 12 and doubled["b"] is x["b"] and doubled["none"] is None
