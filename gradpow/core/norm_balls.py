"""Norms of matrices: what each is, the point of its ball that a gradient points to, its dual."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax.contrib import MuonDimensionNumbers

from gradpow.core.float32 import guarded_divide, smallest_normal
from gradpow.core.numbers import Scalar, check_choice
from gradpow.core.powers import abs_power, square_root
from gradpow.core.trees import scalar_dtype

__all__ = ["NORMS", "VECTOR_NORMS", "Ball", "dual_norm", "matrix_norm", "unit_dual", "window"]

Axes = tuple[int, ...] | None
IN = {"l1": "rows", "mean": "rows", "l2": "spectral", "rms": "spectral"}
"""What a norm of the input makes of the matrix, beside l2 and rms of the output."""
OUT = ("l2", "rms", "linf")
VECTOR_NORMS = ("l2", "lp", "linf", "rms")
"""Norms of all entries, which may be those of a whole tree."""
NORMS = (
    *VECTOR_NORMS,
    *(f"{a}_to_{b}" for a in IN for b in OUT),
    *("spectral", "rms_to_rms_max", "conv"),
)
"""The norms that have a ball here.

"l2", "lp" (of order p), "linf" and "rms" are of all entries. The norm of a map, "a_to_b", is the
largest b of an output over the a of its input; "rms" and "mean" divide sums by their number.
"spectral" is "l2_to_l2", "rms_to_rms_max" the smaller of "spectral" and "rms_to_rms", and "conv"
"rms_to_rms" times the root of the window's size.
"""


@dataclass(frozen=True)
class Ball:
    """All x with a norm up to a radius, the shape that a layer's step or weights have.

    Args:
      norm: one of :data:`gradpow.core.NORMS`.
      radius: > 0.
      axes: which axes of the leaf are in and out.
    """

    norm: str
    radius: Scalar = 1.0
    axes: MuonDimensionNumbers | None = None


def matrix_norm(x: jax.Array, norm: str, p: Scalar = 2.0, window: int = 1) -> jax.Array:
    """The norm of each matrix of a stack.

    Args:
      x: a stack (..., in, out).
      norm: one of :data:`gradpow.core.NORMS`.
      p: the order of "lp".
      window: how many inputs of "conv" are one place's, 9 in a 3 x 3 convolution.

    Returns:
      An array (..., 1, 1).

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import matrix_norm
      >>> x = jnp.array([[3.0, 4.0], [0.0, 0.0]])
      >>> [float(matrix_norm(x, norm)[0, 0]) for norm in ("l2", "linf", "l1_to_l2", "l2_to_linf")]
      [5.0, 4.0, 5.0, 4.0]
    """
    kind, square = _kind(norm, x.shape, window)
    size = square**0.5
    if kind == "entries":
        return size * _lp_norm([x], p if norm == "lp" else 2.0, (-2, -1))
    if kind == "spectral":
        largest = _largest([x], (-2, -1))
        values = jnp.linalg.svd(guarded_divide(x, largest), compute_uv=False)
        return size * largest * values[..., :1, None]
    if kind == "linf":
        return size * _largest([x], (-2, -1))
    lengths = _lp_norm([x], 2.0, (-1,) if kind == "rows" else (-2,))
    return size * jnp.max(lengths, axis=(-2, -1), keepdims=True)


def unit_dual(
    x: Any, norm: str, p: Scalar = 2.0, polar: Any = None, window: int = 1, tree: bool = False
) -> Any:
    r"""The point of the norm's unit ball with the largest product with x; 0 for x = 0.

    .. math::
      \arg\max_{\|y\| \le 1} \langle x, y \rangle = -\mathrm{lmo}(x)

    At any size of x, as only its direction matters; below the smallest normal number x counts as 0.

    Args:
      x: a stack (..., in, out), each matrix by itself, or with ``tree`` a tree of arrays, which is
        one vector.
      norm: one of :data:`gradpow.core.NORMS`, with ``tree`` of ``VECTOR_NORMS``.
      p: the order of "lp", > 1.
      polar: from a stack to its orthogonal factors U V'; None takes singular values.
      window: as in :func:`gradpow.core.matrix_norm`.
      tree: whether x is one vector.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import unit_dual
      >>> x = jnp.array([[3.0, -4.0]])
      >>> print(unit_dual(x, "l2"), unit_dual(x, "linf"), unit_dual(x, "rms_to_linf"))
      [[ 0.6 -0.8]] [[ 1. -1.]] [[ 1. -1.]]
    """
    if tree:
        return _dual_of_entries(x, norm, p)
    kind, square = _kind(norm, x.shape, window)
    if kind == "entries":
        return _dual_of_entries(x, norm, p, (-2, -1))
    if kind == "spectral":
        return (polar or _polar_by_svd)(x) / square**0.5
    if kind == "linf":
        return jnp.sign(x) / square**0.5
    return _unit(x, (-1,) if kind == "rows" else (-2,), square)


def dual_norm(x: jax.Array, norm: str, p: Scalar = 2.0, polar: Any = None, window: int = 1) -> Any:
    """The largest product of each matrix of a stack with the points of the norm's unit ball.

    Of "linf" that is the sum of absolute values, of "spectral" the sum of singular values, the
    nuclear norm. By :func:`gradpow.core.unit_dual`, so as exact as ``polar`` is.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import dual_norm
      >>> x = jnp.diag(jnp.array([3.0, -4.0]))
      >>> [round(float(dual_norm(x, norm)[0, 0]), 4) for norm in ("l2", "linf", "spectral")]
      [5.0, 7.0, 7.0]
    """
    direction = unit_dual(x, norm, p, polar, window)
    return jnp.sum(x * direction, axis=(-2, -1), keepdims=True)


def window(axes: MuonDimensionNumbers, leaf: Any) -> int:
    """How many numbers a convolution takes of each channel: the size of its in axes but the last.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import window
      >>> from optax.contrib import MuonDimensionNumbers
      >>> window(MuonDimensionNumbers((0, 1, 2), 3), jnp.ones((3, 3, 16, 32)))
      9
    """
    inputs = axes.reduction_axis
    places = inputs[:-1] if isinstance(inputs, tuple) else ()
    return math.prod(leaf.shape[axis] for axis in places)


def _kind(norm: str, shape: tuple[int, ...], window: int) -> tuple[str, float]:
    """What the norm is of a matrix, and the square of the number it is multiplied by."""
    check_choice(NORMS, norm=norm)
    rows, columns = shape[-2:]
    if norm in VECTOR_NORMS:
        square = 1 / (rows * columns) if norm == "rms" else 1.0
        return "linf" if norm == "linf" else "entries", square
    if norm == "rms_to_rms_max":
        return "spectral", min(1.0, rows / columns)
    if norm in ("conv", "spectral"):
        return "spectral", rows / columns * window if norm == "conv" else 1.0
    a, _, b = norm.partition("_to_")
    square = {"l1": 1.0, "mean": rows**2, "l2": 1.0, "rms": rows}[a]
    if b == "linf":
        return "linf" if IN[a] == "rows" else "columns", square
    return IN[a], square / columns if b == "rms" else square


def _dual_of_entries(x: Any, norm: str, p: Scalar, axes: Axes = None) -> Any:
    """Of a tree as one vector, or of an array over some axes."""
    if norm == "linf":
        return jax.tree.map(jnp.sign, x)
    if norm == "lp":
        length = _lp_norm(jax.tree.leaves(x), 1 + 1 / (p - 1), axes)  # p / (p - 1), p = inf too

        def direction(u):  # abs_power, whose slope is finite at 0
            ratio = guarded_divide(jnp.abs(u), length.astype(u.dtype))
            return jnp.sign(u) * abs_power(ratio, 1 / (p - 1))

        return jax.tree.map(direction, x)
    count = optax.tree.size(x) if axes is None else x.shape[-1] * x.shape[-2]
    return _unit(x, axes, 1 / max(count, 1) if norm == "rms" else 1.0)


def _unit(x: Any, axes: Axes, square: float) -> Any:
    """x over the root of square times its sum of squares, over axes or a tree; 0/0 = 0."""
    largest = _largest(jax.tree.leaves(x), axes)
    # The direction is that of x over any number, so the number's slope does not matter.
    scaled = jax.tree.map(lambda u: guarded_divide(u, largest.astype(u.dtype)), x)
    length = square_root(square * _sum([u * u for u in jax.tree.leaves(scaled)], axes))
    return jax.tree.map(lambda u: guarded_divide(u, length.astype(u.dtype)), scaled)


def _lp_norm(leaves: list[jax.Array], q: Scalar, axes: Axes) -> jax.Array:
    """Of numbers over their largest, so that no power leaves the type."""
    largest = _largest(leaves, axes)
    powers = [abs_power(guarded_divide(u, largest.astype(u.dtype)), q) for u in leaves]
    return largest * abs_power(_sum(powers, axes), 1 / q)


def _largest(leaves: list[jax.Array], axes: Axes) -> jax.Array:
    """The largest absolute value, or 0 where that is no normal number; without a slope."""
    largest = jnp.zeros([], scalar_dtype(leaves))
    for u in map(jax.lax.stop_gradient, leaves):
        largest = jnp.maximum(
            largest, jnp.max(jnp.abs(u), axis=axes, keepdims=axes is not None, initial=0)
        )
    return jnp.where(largest < smallest_normal(largest), 0, largest)


def _sum(leaves: list[jax.Array], axes: Axes) -> jax.Array:
    sums = (jnp.sum(u, axis=axes, keepdims=axes is not None) for u in leaves)
    return sum(sums, start=jnp.zeros([], jnp.float32))


def _polar_by_svd(x: jax.Array) -> jax.Array:
    """U V' of U diag(s) V', without the directions in which x is 0 but for rounding."""
    x = guarded_divide(x, _largest([x], (-2, -1)))
    u, s, v = jnp.linalg.svd(x, full_matrices=False)
    rounding = max(x.shape[-2:]) * jnp.finfo(x.dtype).eps * s[..., :1]
    return (u * (s > rounding)[..., None, :]) @ v
