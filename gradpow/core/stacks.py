"""Leaves as stacks of matrices: batch axes first, then in, then out."""

import math
from collections.abc import Callable
from typing import Any

import jax
from optax.contrib import MuonDimensionNumbers

__all__ = ["from_stack", "is_numbers", "map_matrices", "matrix_shape", "to_stack"]


def to_stack(x: jax.Array, numbers: MuonDimensionNumbers) -> jax.Array:
    """A leaf as matrices: its batch axes as they are, then all in axes as one, all out as one.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import to_stack
      >>> from optax.contrib import MuonDimensionNumbers
      >>> to_stack(jnp.ones((12, 8, 2, 4)), MuonDimensionNumbers(1, (2, 3))).shape
      (12, 8, 8)
    """
    batch, rows, columns = _axes(x, numbers)
    x = x.transpose(*batch, *rows, *columns)
    inside = math.prod(x.shape[len(batch) : len(batch) + len(rows)])
    outside = math.prod(x.shape[len(batch) + len(rows) :])
    return x.reshape(*x.shape[: len(batch)], inside, outside)


def from_stack(y: jax.Array, numbers: MuonDimensionNumbers, like: Any) -> jax.Array:
    """The inverse of :func:`to_stack`: matrices as a leaf of the shape of ``like``.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import from_stack
      >>> from optax.contrib import MuonDimensionNumbers
      >>> x = jnp.ones((12, 8, 2, 4))
      >>> from_stack(jnp.ones((12, 8, 8)), MuonDimensionNumbers(1, (2, 3)), x).shape
      (12, 8, 2, 4)
    """
    batch, rows, columns = _axes(like, numbers)
    order = (*batch, *rows, *columns)
    y = y.reshape([like.shape[axis] for axis in order])
    return y.transpose([order.index(axis) for axis in range(len(order))])


def map_matrices(f: Callable[..., jax.Array], numbers: Any, tree: Any, *rest: Any) -> Any:
    """Maps a function of stacks of matrices over the leaves of trees that are matrices.

    Args:
      f: from stacks (..., in, out), one of each tree, to a stack of the first's shape.
      numbers: what :func:`gradpow.core.dimension_numbers` says of the first tree.
      tree: its leaves without numbers are returned as they are.
      *rest: trees of leaves in the same axes, or None for a tree.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import dimension_numbers, last_two_axes, map_matrices
      >>> x = {"w": jnp.array([[3.0, 4.0]])}
      >>> map_matrices(lambda w: w / jnp.linalg.norm(w), dimension_numbers(last_two_axes, x), x)
      {'w': Array([[0.6, 0.8]], dtype=float32)}
    """

    def of_leaf(n: MuonDimensionNumbers | None, x: Any, *others: Any) -> Any:
        if n is None:
            return x
        stacks = (other if other is None else to_stack(other, n) for other in others)
        return from_stack(f(to_stack(x, n), *stacks), n, x)

    return jax.tree.map(of_leaf, numbers, tree, *rest, is_leaf=is_numbers)


def matrix_shape(x: Any, numbers: MuonDimensionNumbers) -> tuple[int, int]:
    """How many inputs and outputs a leaf has as a matrix, or each matrix of it.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import matrix_shape
      >>> from optax.contrib import MuonDimensionNumbers
      >>> matrix_shape(jnp.ones((12, 8, 2, 4)), MuonDimensionNumbers(1, (2, 3)))
      (8, 8)
    """
    _, rows, columns = _axes(x, numbers)
    return math.prod(x.shape[a] for a in rows), math.prod(x.shape[a] for a in columns)


def is_numbers(x: Any) -> bool:
    """Whether a node of a tree of dimension numbers is the answer about one leaf.

    Examples:
      >>> from gradpow.core import is_numbers
      >>> is_numbers(None), is_numbers({})
      (True, False)
    """
    return x is None or isinstance(x, MuonDimensionNumbers)


def _axes(x: Any, numbers: MuonDimensionNumbers) -> tuple[tuple[int, ...], ...]:
    """The batch, in and out axes of a leaf, none negative."""

    def of(axes: Any) -> tuple[int, ...]:
        return tuple(a % x.ndim for a in (axes if isinstance(axes, tuple) else (axes,)))

    rows, columns = of(numbers.reduction_axis), of(numbers.output_axis)
    batch = tuple(a for a in range(x.ndim) if a not in rows + columns)
    return batch, rows, columns
