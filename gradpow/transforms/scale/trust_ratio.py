"""Trust ratio: You et al. (2017), Algorithm 1; You et al. (2020), Algorithms 1 and 2."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    Scalar,
    check,
    check_optional_rate,
    full_mask,
    guarded_divide,
    norm,
    require_mask,
    require_params,
    value_at,
)

__all__ = ["TrustRatioState", "trust_ratio"]


class TrustRatioState(NamedTuple):
    """State of :func:`trust_ratio`: count, the steps taken."""

    count: jax.typing.ArrayLike


def trust_ratio(
    coefficient: Scalar = 1.0,
    weight_decay: optax.ScalarOrSchedule | None = None,
    eps: Scalar = 0.0,
    phi: Callable[[jax.Array], jax.Array] | None = None,
    mask: Any = None,
) -> optax.GradientTransformation:
    r"""Makes a tensor's update as long as a share of the tensor itself.

    .. math::
      u \leftarrow \frac{c\, \phi(\|\theta\|)}{\|u\| + \lambda_t \|\theta\| + \epsilon}\,
      (u + \lambda_t \theta), \qquad \text{the fraction being 1 where } \|u\| = 0 \text{ or }
      \|\theta\| = 0

    Two norms a tensor: two passes, and where arrays are sharded a sum over the devices. With a
    decay its denominator is the sum of the two parts' norms, as in LARS of 2017; LAMB has the norm
    of the sum, for which :func:`gradpow.transforms.decay_weights` goes before this link.
    Without a decay and phi it is :func:`optax.scale_by_trust_ratio`.

    Args:
      coefficient: c, finite and >= 0.
      weight_decay: lambda, a number >= 0 or a schedule, or None for no decay.
      eps: added to the denominator, >= 0.
      phi: a function of the parameters' norm, such as ``lambda norm: jnp.clip(norm, 0, 10)``, or
        None for the norm itself.
      mask: which leaves decay, as in :func:`optax.add_decayed_weights`; None for all.

    Returns:
      An :class:`optax.GradientTransformation`; its update needs the parameters.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import trust_ratio
      >>> theta, u = jnp.array([6.0, 8.0]), jnp.array([0.0, 2.0])
      >>> tx = trust_ratio(coefficient=0.5)
      >>> tx.update(u, tx.init(theta), theta)[0]  # half as long as theta
      Array([0., 5.], dtype=float32)

    References:
      You et al. (2017), Algorithm 1; You et al. (2020), Algorithms 1 and 2.
    """
    check("finite and >= 0", coefficient=coefficient, eps=eps)
    check_optional_rate(weight_decay=weight_decay)
    require_mask(mask)

    def init(params):
        del params
        return TrustRatioState(jnp.zeros([], jnp.int32))

    def update(updates, state, params=None):
        require_params("trust_ratio", params)
        decay = value_at(weight_decay, state.count)
        wanted = full_mask(mask, params)

        def scale(u, theta, decays):
            length, size = norm(u), norm(theta)
            d = length + eps
            if decays and decay is not None:
                u, d = u + (decay * theta).astype(u.dtype), d + decay * size
            top = coefficient * (size if phi is None else phi(size))
            ratio = jnp.where((length > 0) & (size > 0), guarded_divide(top, d), 1)
            return ratio.astype(u.dtype) * u

        count = optax.safe_increment(state.count)
        return jax.tree.map(scale, updates, params, wanted), TrustRatioState(count)

    return optax.GradientTransformation(init, update)
