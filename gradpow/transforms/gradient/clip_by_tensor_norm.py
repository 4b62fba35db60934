"""Clipping by the norm of each tensor: Yuan et al. (2025), Algorithm 1."""

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Scalar, check, norm

__all__ = ["clip_by_tensor_norm"]


def clip_by_tensor_norm(max_norm: Scalar) -> optax.GradientTransformation:
    r"""Shrinks each tensor whose norm is above a bound to it.

    .. math::
      u \leftarrow u \cdot \min(1, c / \|u\|_2)

    :func:`optax.clip_by_global_norm` takes the norm of the whole tree,
    :func:`optax.clip_by_block_rms` that of a tensor over the root of its size. Stateless. In
    float32 a norm above 1e19 is infinite, and the tensor then 0.

    Args:
      max_norm: c, finite and > 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import clip_by_tensor_norm
      >>> tx = clip_by_tensor_norm(1.0)
      >>> print(tx.update(jnp.array([3.0, 4.0]), tx.init(jnp.zeros(2)))[0])
      [0.6 0.8]

    References:
      Yuan et al. (2025), Algorithm 1.
    """
    check("finite and > 0", max_norm=max_norm)

    def clip(u: jax.Array) -> jax.Array:
        length = jnp.asarray(norm(u), u.dtype)
        return jnp.where(length > max_norm, max_norm / jnp.maximum(length, max_norm), 1) * u

    def update(updates, state, params=None):
        del params
        return jax.tree.map(clip, updates), state

    return optax.GradientTransformation(optax.init_empty_state, update)
