"""Steepest descent with its length: Lau et al. (2025), polar_grad.py."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    Matrices,
    dimension_numbers,
    last_two_axes,
    map_matrices,
    require_transformation,
)

__all__ = ["DualNormScaleState", "dual_norm_scale"]


class DualNormScaleState(NamedTuple):
    """State of :func:`dual_norm_scale`: those of direction and after."""

    direction: optax.OptState
    after: optax.OptState


def dual_norm_scale(
    direction: optax.GradientTransformation,
    after: optax.GradientTransformation | None = None,
    matrices: Matrices | Any = last_two_axes,
) -> optax.GradientTransformationExtraArgs:
    r"""A direction times its product with the update it was made of, which is a norm of that.

    .. math::
      D = \mathrm{direction}(u), \qquad u \leftarrow \langle u, D \rangle\, \mathrm{after}(D)

    Of a D that maximises the product over the unit ball of a norm, the product is the dual norm of
    u: the nuclear norm for :func:`gradpow.transforms.orthogonalize`, the sum of magnitudes for
    :func:`optax.scale_by_sign`. The result is then the direction of steepest descent with its
    length, and vanishes with the gradient. One product a matrix; other leaves are after(D).

    Args:
      direction: a transformation of the update.
      after: a transformation of the direction alone, such as an average; None for none.
      matrices: which axes are in and out, as in :func:`gradpow.on_matrices`. By default the last
        two, and all others are batch axes, with a product each.

    Examples:
      >>> import jax.numpy as jnp, optax
      >>> from gradpow.transforms import dual_norm_scale
      >>> tx, u = dual_norm_scale(optax.scale_by_sign()), jnp.array([3.0, -0.5])
      >>> tx.update(u, tx.init(u))[0]
      Array([ 3.5, -3.5], dtype=float32)

    References:
      Lau et al. (2025), and ``polar_grad.py`` of its authors.
    """
    inner = require_transformation("dual_norm_scale's direction", direction)
    averaged = require_transformation("dual_norm_scale's after", after or optax.identity())

    def init(params):
        return DualNormScaleState(inner.init(params), averaged.init(params))

    def scaled(a: jax.Array, u: jax.Array, d: jax.Array) -> jax.Array:
        return jnp.sum(u * d, axis=(-2, -1), keepdims=True) * a

    def update(updates, state, params=None, **extra_args):
        d, of_direction = inner.update(updates, state.direction, params, **extra_args)
        a, of_after = averaged.update(d, state.after, params, **extra_args)
        numbers = dimension_numbers(matrices, updates)
        emitted = map_matrices(scaled, numbers, a, updates, d)
        return emitted, DualNormScaleState(of_direction, of_after)

    return optax.GradientTransformationExtraArgs(init, update)
