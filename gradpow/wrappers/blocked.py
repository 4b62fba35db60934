"""Blocks of matrices: Anil et al. (2020)."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax.contrib import MuonDimensionNumbers

from gradpow.core import (
    Matrices,
    dimension_numbers,
    from_stack,
    is_numbers,
    laid_out_as,
    last_two_axes,
    replicated,
    require_transformation,
    to_stack,
)

__all__ = ["blocked"]


def blocked(
    inner: optax.GradientTransformation, size: int = 1024, matrices: Matrices | Any = last_two_axes
) -> optax.GradientTransformationExtraArgs:
    r"""Takes each matrix for several, of at most so many rows and columns.

    .. math::
      U = \begin{pmatrix} U_{11} & U_{12} & \dots \\ U_{21} & U_{22} & \dots \end{pmatrix}
      \leftarrow \bigl(\mathrm{inner}(U_{ij})\bigr)_{ij}

    What costs the cube of an axis, and keeps its square, costs and keeps no more than that of a
    block. Each axis is cut after every ``size``, and what is left at its end is a block too. For
    inner a leaf is a tuple of stacks of alike blocks, (..., blocks down, blocks across, rows,
    columns), in gradients, parameters and ``grad``, whose last two axes are matrices. Other leaves,
    and other arguments, are handed on as they are.

    It is for links that mix rows and columns. What goes coordinate by coordinate needs no blocks,
    and its moments, were they inside, would lie on devices as blocks instead of as parameters.
    Across devices each matrix is whole.

    Args:
      inner: a transformation of matrices on the last two axes.
      size: of a block, a whole number >= 1. The default is what published runs of Shampoo have.
      matrices: which axes of a leaf are in and out, see :func:`gradpow.on_matrices`.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp, optax
      >>> from gradpow.transforms import kronecker_precondition
      >>> tx = gradpow.blocked(kronecker_precondition(optax.trace(1.0)), 4)
      >>> state = tx.init(jnp.ones((8, 6)))
      >>> jax.tree.map(jnp.shape, state.roots)[1]  # of the last two columns
      Sides(inputs=(2, 1, 4, 4), outputs=(2, 1, 2, 2))

    References:
      Anil et al. (2020).
    """
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"size must be a whole number >= 1, not {size!r}: the usual is 1024.")
    inner = require_transformation("blocked's inner", inner)

    def cut(tree: Any) -> Any:
        if tree is None:
            return None
        numbers = dimension_numbers(matrices, tree)
        return jax.tree.map(
            lambda n, x: x if n is None else _cut(to_stack(x, n), size),
            numbers, tree, is_leaf=is_numbers,
        )  # fmt: skip

    def init(params):
        if any(isinstance(x, jax.ShapeDtypeStruct) for x in jax.tree.leaves(params)):
            params = jax.eval_shape(cut, params)  # which the inner may take, or refuse
        else:
            params = cut(params)
        return inner.init(params)

    def update(updates, state, params=None, **extra_args):
        if "grad" in extra_args:
            extra_args["grad"] = cut(extra_args["grad"])
        blocks, state = inner.update(cut(updates), state, cut(params), **extra_args)
        numbers = dimension_numbers(matrices, updates)

        def joined(n, x, parts):
            if n is None:
                return parts
            return laid_out_as(x, from_stack(_join(parts, x, n, size), n, x))

        return jax.tree.map(joined, numbers, updates, blocks, is_leaf=is_numbers), state

    return optax.GradientTransformationExtraArgs(init, update)


def _spans(length: int, size: int) -> list[tuple[int, int, int]]:
    """Start of the whole blocks, how many they are, and their size; then what is left."""
    whole = length // size
    spans = (0, whole, size), (whole * size, 1, length - whole * size)
    return [span for span in spans if span[1] and span[2]]


def _cut(x: jax.Array, size: int) -> tuple[jax.Array, ...]:
    # Here and when they are joined, or blocks are divided from the second step on, and with them
    # statistics whose layout the first step was compiled for.
    x = replicated(x, 2)
    *batch, rows, columns = x.shape

    def blocks(down: tuple[int, int, int], across: tuple[int, int, int]) -> jax.Array:
        (i, p, r), (j, q, c) = down, across
        part = x[..., i : i + p * r, j : j + q * c]
        # One axis after the other, as the types of explicit mesh axes want it.
        part = part.reshape(*batch, p * r, q, c).reshape(*batch, p, r, q, c)
        return part.swapaxes(-3, -2)

    spans = itertools.product(_spans(rows, size), _spans(columns, size))
    return tuple(itertools.starmap(blocks, spans))


def _join(
    blocks: tuple[jax.Array, ...], like: Any, n: MuonDimensionNumbers, size: int
) -> jax.Array:
    """The inverse of :func:`_cut`."""
    *batch, _, columns = jax.eval_shape(lambda x: to_stack(x, n), like).shape

    def part(b: jax.Array) -> jax.Array:
        *_, p, q, r, c = b.shape
        b = replicated(b, 4).swapaxes(-3, -2).reshape(*batch, p * r, q, c)
        return b.reshape(*batch, p * r, q * c)

    parts, across = [*map(part, blocks)], len(_spans(columns, size))
    lines = [parts[i : i + across] for i in range(0, len(parts), across)]
    return jnp.concatenate([jnp.concatenate(line, -1) for line in lines], -2)
