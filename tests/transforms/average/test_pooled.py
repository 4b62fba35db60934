"""Pooling against loops; its state is as small as what is pooled, and is no parameter's."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.core import Scalar, check
from gradpow.transforms import Blocks, moment_scale, pooled
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, divide, in_both_types


def by_tensor(b: Scalar, eps: Scalar) -> optax.GradientTransformation:
    check("in [0, 1)", b=b)
    return moment_scale(pooled(optax.ema(b, debias=False)), eps=eps)


CASE = Case(by_tensor, {"b": 0.9, "eps": 0.1})
CASES = {
    "pooled_columns": Case(
        lambda: moment_scale(pooled(optax.trace(1.0), lambda _, x: 0 if x.ndim else ())),
        by_rows=True,
    ),
    "pooled_tree": Case(lambda: moment_scale(pooled(optax.trace(1.0), "tree", mean=True))),
}
LAST = {"over": lambda path, x: -1 if x.ndim else ()}


def loop(theta0, gradients, b, eps, axis=None, mean=False):
    """Sums of squares over an axis, or a tensor."""
    v = 0.0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        axes = axis if g.ndim else None
        pool = np.mean if mean else np.sum
        v = b * v + (1 - b) * pool(g**2, axis=axes, keepdims=True)
        steps[t] = divide(g, np.sqrt(v) + eps)
    return steps


@in_both_types
@pytest.mark.parametrize("mean", [False, True], ids=["sum", "mean"])
@pytest.mark.parametrize(("axis", "other"), [(None, {}), (-1, LAST)], ids=["tensor", "last"])
def test_steps_are_those_of_the_loop(axis, other, mean, dtype):
    def factory(b, eps):
        return gradpow.chain(
            moment_scale(pooled(optax.ema(b, debias=False), mean=mean, **other), eps=eps)
        )

    def summed(*problem, **numbers):
        return loop(*problem, axis=axis, mean=mean, **numbers)

    assert_steps_of_loop(factory, summed, dtype, b=0.9, eps=1e-3)


@pytest.mark.parametrize("mean", [False, True])
def test_over_the_tree_all_coordinates_share_one_number(mean):
    tree = {"a": jnp.array([3.0, 0.0]), "b": jnp.array(4.0)}
    tx = pooled(optax.trace(1.0), "tree", mean)
    state = tx.init(tree)
    assert jax.tree.map(jnp.shape, state) == jax.tree.map(lambda _: (), state)
    y, state = tx.update(tree, state)
    assert float(y["a"]) == pytest.approx(7 / 3 if mean else 7)
    assert float(y["b"]) == float(y["a"])


@pytest.mark.parametrize("axis", [1, -2])
@pytest.mark.parametrize("mean", [False, True])
def test_blocks_of_an_axis_are_pooled_over_the_other_axes_too(axis, mean):
    x = jnp.arange(24.0).reshape(2, 6, 2)
    tx = pooled(optax.trace(1.0), Blocks(axis, 3), mean)
    y, state = tx.update(x, tx.init(x))
    pool = np.mean if mean else np.sum
    expected = [pool(x[:, 2 * i : 2 * i + 2]) for i in range(3)]
    np.testing.assert_allclose(np.broadcast_to(y, (1, 6, 1))[0, ::2, 0], expected)
    np.testing.assert_allclose(np.broadcast_to(y, (1, 6, 1))[0, 1::2, 0], expected)
    assert [leaf.shape for leaf in jax.tree.leaves(state)] == [(1, 3, 1)]


def test_what_does_not_fit_is_an_error_at_init():
    for over in (2, Blocks(0, 3), Blocks(2, 1)):
        with pytest.raises((ValueError, TypeError, IndexError)):
            pooled(optax.trace(1.0), over).init(jnp.ones((4, 2)))


def test_no_state_is_taken_for_a_parameter_of_another_shape():
    params = {"w": jnp.ones((8, 4)), "b": jnp.ones(4)}
    tx = gradpow.chain(optax.trace(0.9), moment_scale(pooled(optax.ema(0.9), lambda *_: 0)))
    state = tx.init(params)
    marked = optax.tree.map_params(tx, lambda _: True, state)
    assert jax.tree.leaves(marked[0]) == [True, True]
    assert [leaf.shape for leaf in jax.tree.leaves(marked[1])] == [(), (1,), (1, 4)]
