"""Decoupled weight decay: Loshchilov and Hutter (2019), Algorithm 2."""

from typing import Any

import optax

from gradpow.core import check, require_mask

__all__ = ["decay_weights"]


def decay_weights(
    weight_decay: optax.ScalarOrSchedule | None, mask: Any = None
) -> optax.GradientTransformation:
    r"""Adds the decayed parameters to the direction; None decays nothing.

    .. math::
      u \leftarrow u + \lambda_t \theta

    Chain it before ``optax.scale_by_learning_rate``. It is :func:`optax.add_decayed_weights`, and
    for None the identity, which keeps nothing and needs no parameters.

    Args:
      weight_decay: lambda, a finite number or a schedule, or None. Below 0 where u is a step.
      mask: which leaves to decay, as in :func:`optax.adamw`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import decay_weights
      >>> theta, u = jnp.array([3.0]), jnp.array([-1.0])
      >>> tx = decay_weights(0.5)
      >>> tx.update(u, tx.init(theta), theta)[0]
      Array([0.5], dtype=float32)

    References:
      Loshchilov and Hutter (2019), Algorithm 2.
    """
    require_mask(mask)
    if weight_decay is None:
        return optax.identity()
    if not callable(weight_decay):
        check("finite", weight_decay=weight_decay)
    return optax.add_decayed_weights(weight_decay, mask)
