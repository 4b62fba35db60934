"""Trees that can be called: a module of Equinox with its __call__ is a tree, not a function."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import pytest
from optax.contrib import MuonDimensionNumbers

import gradpow
from gradpow.core import is_function
from gradpow.transforms import decay_stepped_weights
from tests.contract.exact import assert_same_steps, updates_of


class Model(eqx.Module):
    query: jax.Array
    head: jax.Array
    matrix: str = eqx.field(static=True, default="query")

    def __call__(self, x):
        return x @ self.query @ self.head

    def block(self, path):
        return "qk" if self.matrix in path else "rest"


MODEL = Model(jnp.linspace(1.0, 2.0, 12).reshape(3, 4), jnp.linspace(-1.0, 1.0, 8).reshape(4, 2))
GRADS = jax.tree.map(lambda x: jnp.stack([x, x**2]), MODEL)


def like_model(query, head):
    return Model(query, head)


def by_path(tree):
    return lambda path, *leaf: tree.query if path == "query" else tree.head


def by_params(tree):
    return lambda params: tree


MASK = like_model(True, False)
TAKES = {
    "hidden": (lambda x: gradpow.muonpower(0.1, hidden=x), MASK, by_path),
    "hidden as axes": (
        lambda x: gradpow.muonpower(0.1, hidden=x),
        like_model(MuonDimensionNumbers(0, 1), None),
        by_path,
    ),
    "labels": (
        lambda x: gradpow.blockwise_learning_rate(labels=x),
        like_model("qk", "rest"),
        by_path,
    ),
    "mask": (lambda x: gradpow.adampower(0.1, weight_decay=0.1, mask=x), MASK, by_params),
    "mask of a link": (lambda x: decay_stepped_weights(0.1, x), MASK, by_params),
}


@pytest.mark.parametrize("name", TAKES)
def test_a_tree_that_can_be_called_is_taken_for_a_tree(name):
    factory, tree, as_function = TAKES[name]
    expected = updates_of(factory(as_function(tree)), MODEL, GRADS)
    assert_same_steps(updates_of(factory(tree), MODEL, GRADS), expected, 0)


@pytest.mark.parametrize("function", [MODEL.block, jax.tree_util.Partial(MODEL.block)])
def test_a_function_that_is_a_tree_is_taken_for_a_function(function):
    assert not jax.tree_util.all_leaves([function])
    expected = updates_of(gradpow.blockwise_learning_rate(), MODEL, GRADS)
    actual = updates_of(gradpow.blockwise_learning_rate(labels=function), MODEL, GRADS)
    assert_same_steps(actual, expected, 0)


def test_what_optax_calls_may_be_wrapped_in_a_function():
    labels = like_model("a", "b")
    parts = {"a": optax.sgd(0.1), "b": optax.set_to_zero()}
    tx = optax.partition(parts, lambda params: labels)
    updates, _ = tx.update(MODEL, tx.init(MODEL), MODEL)
    assert not jnp.any(updates.head) and jnp.all(updates.query != 0)


def test_only_what_can_be_called_and_is_not_like_the_parameters_is_a_function():
    assert is_function(len, MODEL) and is_function(MODEL.block, MODEL)
    assert not is_function(MODEL, MODEL) and not is_function({"query": True}, MODEL)
