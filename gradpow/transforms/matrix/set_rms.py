"""A matrix's root mean square set: An et al. (2025), asgo.py."""

import math
from typing import Any

import jax
import optax

from gradpow.core import (
    Matrices,
    Scalar,
    check,
    dimension_numbers,
    laid_out_as,
    last_two_axes,
    map_matrices,
    unit_matrices,
)

__all__ = ["set_rms"]


def set_rms(
    target: Scalar = 0.2, eps: Scalar = 0.0, matrices: Matrices | Any = last_two_axes
) -> optax.GradientTransformation:
    r"""Brings each matrix to one root mean square; 0 stays 0.

    .. math::
      u \leftarrow r\, \sqrt{n_{in} n_{out}}\; u / (\|u\|_F + \epsilon)

    Each matrix of a stack by itself, where :func:`gradpow.transforms.norm_scale` takes tensors, and
    for norms of 1e-30 to 1e30. Keeps nothing.

    Args:
      target: r, finite and > 0. The authors' 0.2 is about that of AdamW's updates.
      eps: added to the norm, >= 0.
      matrices: which axes are in and out, as in :func:`gradpow.on_matrices`. By default the last
        two, and all others are batch axes.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import set_rms
      >>> print(set_rms(0.5).update(jnp.array([[3e-20, -3e-20], [0.0, 0.0]]), ())[0].round(3))
      [[ 0.707 -0.707]
       [ 0.     0.   ]]

    References:
      An et al. (2025), and ``asgo.py`` of its authors; Liu et al. (2025), Section 2.2.
    """
    check("finite and > 0", target=target)
    check("finite and >= 0", eps=eps)

    def scaled(u: jax.Array) -> jax.Array:
        return target * math.sqrt(u.shape[-2] * u.shape[-1]) * unit_matrices(u, eps)

    def update(updates, state, params=None):
        del params
        set_ = map_matrices(scaled, dimension_numbers(matrices, updates), updates)
        return jax.tree.map(laid_out_as, updates, set_), state

    return optax.GradientTransformation(optax.init_empty_state, update)
