"""Counts and means of masks: exact for tensors of any size, and without stored arrays on CPU."""

from typing import Any

import jax
import jax.numpy as jnp

from gradpow.core.numbers import Scalar, is_static

__all__ = ["Masks", "count_true", "mean_abs"]

COUNTED = 2**31  # elements of a tensor, all of which int32 counts
Masks = list[tuple[jax.Array, Scalar]]
"""Masks that exclude each other, each with the factor that acts where it is true."""


def mean_abs(masks: Masks, size: int) -> Any:
    """The mean of abs(k) over a tensor, k being 1 where no mask is true.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import mean_abs
      >>> float(mean_abs([(jnp.array([True, False, False, False]), -0.5)], size=4))  # 3.5 / 4
      0.875
    """
    whole = size if size < COUNTED else float(size)
    rest, total, real = whole, 0.0, jnp.result_type(float)
    for mask, k in masks:
        if not (is_static(k) and abs(k) == 1):
            count = count_true(mask)
            rest, total = rest - count, total + abs(k) * count.astype(real)
    return (jnp.asarray(rest, real) + total) / max(float(whole), 1.0)


def count_true(mask: jax.Array) -> jax.Array:
    """How often it is true, in integers, because float32 sums are inexact above 2^24.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import count_true
      >>> count_true(jnp.array([True, False, True]))
      Array(2, dtype=int32)
    """
    if mask.size >= COUNTED:
        return jnp.sum(jnp.sum(mask, axis=-1, dtype=jnp.int32), dtype=jnp.float32)

    def directly(mask):
        return jnp.sum(mask, dtype=jnp.int32)

    def in_a_pair(mask):
        # XLA on CPU stores an array in 32 bits before it sums it, but not before it reduces two.
        pair = mask.astype(jnp.int32), (~mask).astype(jnp.int32)
        zeros = 2 * (jnp.zeros([], jnp.int32),)
        true, false = jax.lax.reduce(
            pair, zeros, lambda x, y: (x[0] + y[0], x[1] + y[1]), range(mask.ndim)
        )
        return jnp.minimum(true, mask.size - false)  # equal; without use of both it drops one

    return jax.lax.platform_dependent(mask, cpu=in_a_pair, default=directly)
