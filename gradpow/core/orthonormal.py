"""Orthonormal columns, and leading singular vectors, of stacks of matrices."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from gradpow.core.float32 import guarded_divide

__all__ = ["left_vectors", "orthonormal", "precisely", "to_unit"]

precisely = functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST)
"""A product in the type's own digits: TPUs multiply float32 in bfloat16 by default."""


def orthonormal(x: jax.Array) -> jax.Array:
    """Orthonormal columns Q with X = QR, where the diagonal of R is >= 0.

    So columns do not turn round when x hardly moves. By Householder's QR; on TPU, where that is
    slow, by two rounds of Cholesky's, and by Householder's where x is too near to losing rank.
    Columns of 0 are completed to an orthonormal set. For derivatives the result is a constant.

    Args:
      x: a stack (..., m, r) with r <= m, of any size that its type holds.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import orthonormal
      >>> print(orthonormal(jnp.array([[3.0], [-4.0]])).T)
      [[ 0.6 -0.8]]
    """
    x = to_unit(lax.stop_gradient(x), axis=-2)
    return lax.platform_dependent(x, tpu=_cholesky, default=_householder)


def _householder(x: jax.Array) -> jax.Array:
    q, r = jnp.linalg.qr(x)
    diagonal = jnp.diagonal(r, axis1=-2, axis2=-1)
    return q * jnp.where(diagonal < 0, -1, 1).astype(q.dtype)[..., None, :]


def _cholesky(x: jax.Array) -> jax.Array:
    def gram(q: jax.Array) -> jax.Array:
        return precisely(q.mT, q)

    # Of columns of length 1, so that a wide spectrum is no loss of rank.
    q = guarded_divide(x, jnp.linalg.norm(x, axis=-2, keepdims=True))
    for _ in range(2):
        factor = lax.linalg.cholesky(gram(q))  # NaN where it fails
        q = lax.linalg.triangular_solve(factor, q, lower=True, transpose_a=True)
    error = jnp.max(jnp.abs(gram(q) - jnp.eye(q.shape[-1], dtype=q.dtype)), initial=0)
    good = error < 100 * jnp.finfo(q.dtype).eps
    return lax.cond(good, lambda: q, lambda: _householder(x))


def left_vectors(x: jax.Array, count: int) -> jax.Array:
    """The leading left singular vectors; beyond the rank, any that complete them.

    For derivatives they are constants: where singular values coincide they have no slope.

    Args:
      x: a stack (..., m, n), of any size that its type holds.
      count: how many vectors, at most m.

    Returns:
      A stack (..., m, count).

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import left_vectors
      >>> print(jnp.abs(left_vectors(jnp.diag(jnp.array([1.0, 2.0])), 1)).T)
      [[0. 1.]]
    """
    u, _, _ = jnp.linalg.svd(to_unit(lax.stop_gradient(x), (-2, -1)), full_matrices=False)
    if count > u.shape[-1]:
        # QR turns columns round.
        full, r = jnp.linalg.qr(u, mode="complete")
        known = jnp.diagonal(r, axis1=-2, axis2=-1)
        signs = jnp.ones(full.shape[:-2] + full.shape[-1:], full.dtype)
        signs = signs.at[..., : u.shape[-1]].set(jnp.where(known < 0, -1, 1).astype(full.dtype))
        u = full * signs[..., None, :]
    return u[..., :count]


def to_unit(x: jax.Array, axis: int | tuple[int, ...]) -> jax.Array:
    """x with a largest number of 1 along axes, so that squares neither vanish nor overflow.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import to_unit
      >>> print(to_unit(jnp.array([1e-30, 2e-30]), axis=0))
      [0.5 1. ]
    """
    return guarded_divide(x, jnp.max(jnp.abs(x), axis=axis, keepdims=True, initial=0))
