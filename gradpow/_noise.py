"""How much of a gradient is noise, from exponential averages of it and of its square."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from ._numerics import Scalar


def sum_of_squares(tree: Any) -> jax.Array:
    """Over all coordinates of all leaves, in at least float32."""

    def of_leaf(x):
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        return jnp.sum(x * x)

    return sum(map(of_leaf, jax.tree.leaves(tree)), start=jnp.zeros([]))


def size(tree: Any) -> float:
    """The number of coordinates, at least 1; as an integer it may exceed what int32 holds."""
    return float(max(optax.tree.size(tree), 1))


def variance_and_signal(
    average_squared: Any, square: Any, b: Scalar, count: jax.typing.ArrayLike
) -> tuple[jax.Array, jax.Array]:
    """Var g and (E g)^2, from the square of g's average and the average of g^2, both debiased.

    After t gradients the average with decay b has variance c Var g, with c the sum of its weights'
    squares, (1 - b)(1 + b^t) / ((1 + b)(1 - b^t)); hence E[average^2] = (E g)^2 + c Var g, while
    E[g^2] = (E g)^2 + Var g. NaN before the second gradient, when c is 1 and nothing is known.
    """
    t = jnp.asarray(count, jnp.float32)
    past = b**t
    c = (1 - b) * (1 + past) / ((1 + b) * (1 - past))
    variance = jnp.maximum(square - average_squared, 0) / jnp.where(t > 1, 1 - c, jnp.nan)
    return variance, jnp.maximum(square - variance, 0)
