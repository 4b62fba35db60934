"""Functions of symmetric matrices by their eigenvalues."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["matrix_function"]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def matrix_function(f: Callable[..., jax.Array], a: jax.Array, *args: Any) -> jax.Array:
    """Q f(w) Q' of a symmetric matrix Q diag(w) Q'.

    Its derivative is finite where eigenvalues coincide, as those of a sum of few outer products do,
    and that of the eigenvectors themselves is not.

    Args:
      f: from all eigenvalues, and the further arguments, to as many numbers.
      a: the matrix.
      *args: numbers that f takes, with respect to which it may be differentiated too.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import matrix_function
      >>> print(matrix_function(jnp.sqrt, jnp.diag(jnp.array([4.0, 9.0]))))
      [[2. 0.]
       [0. 3.]]
    """
    w, q = _eigh(a)
    return (q * f(w, *args)) @ q.T


@matrix_function.defjvp
def _matrix_function_jvp(f, primals, tangents):
    (a, *args), (da, *dargs) = primals, tangents
    w, q = _eigh(a)
    y, slope = jax.jvp(lambda w: f(w, *args), (w,), (jnp.ones_like(w),))
    # Divided differences (Daleckii and Krein), or slopes where eigenvalues are one up to rounding.
    gap = w[:, None] - w
    close = jnp.abs(gap) <= jnp.sqrt(jnp.finfo(w.dtype).eps) * jnp.max(jnp.abs(w), initial=0)
    quotient = (y[:, None] - y) / jnp.where(close, 1, gap)
    differences = jnp.where(close, (slope[:, None] + slope) / 2, quotient)
    dy = differences * (q.T @ da @ q)
    if args:
        dy += jnp.diag(jax.jvp(lambda *args: f(w, *args), tuple(args), tuple(dargs))[1])
    return (q * y) @ q.T, q @ dy @ q.T


def _eigh(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    # jnp's own symmetric part is (a + a') / 2, which overflows before a does.
    w, q = jnp.linalg.eigh(a / 2 + a.T / 2, symmetrize_input=False)
    return w, q
