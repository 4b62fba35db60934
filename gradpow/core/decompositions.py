"""Orthonormal columns, and leading singular vectors, of stacks of matrices."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from gradpow.core.float32 import guarded_divide

__all__ = ["orthonormal", "precisely", "singular_vectors", "to_unit"]

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


def singular_vectors(
    x: jax.Array, left: int | None, right: int | None
) -> tuple[jax.Array | None, jax.Array | None]:
    """The leading singular vectors of both sides, the two of one value in the same place.

    Beyond the rank they are any that complete the others, by Householder's QR: what rounding makes
    of a null space differs between processors. For derivatives all are constants, since where
    singular values coincide they have no slope.

    Args:
      x: a stack (..., m, n), of any size that its type holds.
      left: how many left vectors, at most m; None for none.
      right: how many right ones, at most n.

    Returns:
      Stacks (..., m, left) and (..., n, right), or None.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import singular_vectors
      >>> u, _ = singular_vectors(jnp.diag(jnp.array([1.0, 2.0])), 1, None)
      >>> print(jnp.abs(u).T)
      [[0. 1.]]
    """
    x = to_unit(lax.stop_gradient(x), (-2, -1))
    u, s, vt = jnp.linalg.svd(x, full_matrices=False)
    # What rounding alone has made is replaced with all else of the null space.
    rounding = 4 * max(x.shape[-2:]) ** 0.5 * jnp.finfo(x.dtype).eps * s[..., :1]
    known = s > rounding
    return (
        None if left is None else _completed(u, known, left),
        None if right is None else _completed(vt.mT, known, right),
    )


def _completed(u: jax.Array, known: jax.Array, count: int) -> jax.Array:
    u = u * known[..., None, :].astype(u.dtype)
    full, r = jnp.linalg.qr(u, mode="complete" if count > u.shape[-1] else "reduced")
    diagonal = jnp.diagonal(r, axis1=-2, axis2=-1)
    signs = jnp.where(diagonal < 0, -1, 1).astype(full.dtype)  # QR turns columns round
    return jnp.concatenate(
        [full[..., : u.shape[-1]] * signs[..., None, :], full[..., u.shape[-1] :]], -1
    )[..., :count]


def to_unit(x: jax.Array, axis: int | tuple[int, ...]) -> jax.Array:
    """x with a largest number of 1 along axes, so that squares neither vanish nor overflow.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import to_unit
      >>> print(to_unit(jnp.array([1e-30, 2e-30]), axis=0))
      [0.5 1. ]
    """
    return guarded_divide(x, jnp.max(jnp.abs(x), axis=axis, keepdims=True, initial=0))
