"""The factored moment against its loop, and what is nearest of rank 1."""

import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from gradpow.core import Scalar, check
from gradpow.transforms import factored, moment_scale
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, in_both_types


def by_average(b: Scalar) -> optax.GradientTransformation:
    """As it is used: of what may be negative the mean of rows may be 0."""
    check("in [0, 1)", b=b)
    return moment_scale(factored(optax.ema(b, debias=False)), eps=0.1)


CASE = Case(by_average, {"b": 0.9}, by_rows=True)


def loop(theta0, gradients, b):
    """Of squares, whose rows and columns lie along the last two axes of the problems."""
    rows = columns = v = 0.0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        v = b * v + (1 - b) * g**2
        v_hat = v
        if g.ndim > 1:
            rows = b * rows + (1 - b) * np.sum(g**2, axis=-1, keepdims=True)
            columns = b * columns + (1 - b) * np.sum(g**2, axis=-2, keepdims=True)
            v_hat = rows * columns / np.sum(rows, axis=-2, keepdims=True)
        steps[t] = g / (np.sqrt(v_hat) + 0.1)
    return steps


@in_both_types
def test_steps_are_those_of_the_loop(dtype):
    def factory(b):
        return gradpow.chain(by_average(b))

    assert_steps_of_loop(factory, loop, dtype, b=0.9)


def test_the_two_longest_axes_are_factored_and_little_is_kept():
    params = {"kernel": jnp.zeros((3, 8, 2, 5)), "bias": jnp.zeros(8)}
    state = factored(optax.trace(1.0)).init(params)
    kept = {
        part: {name: optax.tree.get(getattr(state, part), "trace")[name].shape for name in params}
        for part in ("rows", "columns")
    }
    assert kept == {
        "rows": {"kernel": (3, 1, 2, 5), "bias": (8,)},
        "columns": {"kernel": (3, 8, 2, 1), "bias": (1,)},
    }


def test_what_leaves_float32_or_vanishes_gives_0_and_never_nan():
    tx = gradpow.chain(moment_scale(factored(optax.ema(0.9))))
    g = jnp.array([[1e30, 1.0], [0.0, 1.0]])
    for grads in (g, 1e-40 * g, jnp.zeros((2, 2))):
        updates, _ = tx.update(grads, tx.init(grads))
        assert np.all(np.isfinite(updates))
        np.testing.assert_array_equal(updates[:, 0], [0.0, 0.0])
