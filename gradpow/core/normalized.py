"""Matrices brought to unit norm."""

import jax
import jax.numpy as jnp

from gradpow.core.float32 import guarded_divide, powers_of_two
from gradpow.core.numbers import Scalar
from gradpow.core.powers import square_root

__all__ = ["unit_matrices"]


def unit_matrices(x: jax.Array, eps: Scalar = 0.0, factor: Scalar = 1.0) -> jax.Array:
    """Each matrix of a stack over factor times its Frobenius norm, plus eps; 0 stays 0.

    Norms of 1e-30 and of 1e30 are as exact as others.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import unit_matrices
      >>> unit_matrices(jnp.array([[[0.0, -4e-30]], [[0.0, 0.0]]])).tolist()
      [[[0.0, -1.0]], [[0.0, 0.0]]]
    """
    # Squared at a scale of its own, a power of two, since the square of 1e-30 is 0 in float32.
    scale, _ = powers_of_two(jnp.max(jnp.abs(x), axis=(-2, -1), keepdims=True))
    y = x * scale
    norm = square_root(jnp.sum(y * y, axis=(-2, -1), keepdims=True))
    return guarded_divide(y, jnp.asarray(factor * norm + eps * scale, x.dtype))
