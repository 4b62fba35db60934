"""Scaled gradient correction: Yuan et al. (2025), Algorithm 1."""

import jax
import optax

from gradpow.core import Scalar, check, require_reference

__all__ = ["gradient_correction"]


def gradient_correction(scale: Scalar) -> optax.GradientTransformationExtraArgs:
    r"""Adds how this batch's gradient has changed from a reference point to here.

    .. math::
      u_t \leftarrow u_t + s\, (u_t - r_t)

    MARS has s = gamma b1 / (1 - b1). Stateless.

    Args:
      scale: s, finite and >= 0.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``reference_grad``, which
      :func:`gradpow.at_previous_point` and :func:`gradpow.lagged_gradient` hand on.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import gradient_correction
      >>> tx = gradient_correction(0.5)
      >>> tx.update(jnp.array([3.0]), tx.init(jnp.zeros(1)), reference_grad=jnp.array([1.0]))[0]
      Array([4.], dtype=float32)

    References:
      Yuan et al. (2025), Algorithm 1.
    """
    check("finite and >= 0", scale=scale)

    def update(updates, state, params=None, *, reference_grad=None, **extra_args):
        del params, extra_args
        r = require_reference("gradient_correction", reference_grad, updates)
        return jax.tree.map(lambda u, r: u + scale * (u - r), updates, r), state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)
