"""Cautious weight decay: Chen et al. (2025), Algorithm 1."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import check, require_mask, require_params, value_at

__all__ = ["CautiousDecayWeightsState", "cautious_decay_weights"]


class CautiousDecayWeightsState(NamedTuple):
    """State of :func:`cautious_decay_weights`: the steps taken, an int32 scalar."""

    count: jax.typing.ArrayLike


def cautious_decay_weights(
    weight_decay: optax.ScalarOrSchedule | None, mask: Any = None
) -> optax.GradientTransformation:
    r"""Decays a parameter only where the update makes it smaller too.

    .. math::
      u \leftarrow u + \lambda_t\, [\lambda_t \theta u \ge 0]\, \theta

    In the place of :func:`gradpow.transforms.decay_weights` in any chain, before the rate, where u
    is a direction; or after an optimizer without a decay of its own, where u is a step and lambda
    minus rate times decay::

        gradpow.chain(gradpow.muon(rate, weight_decay=0.0),
                      cautious_decay_weights(gradpow.core.product(-1.0, rate, 0.1)))

    Args:
      weight_decay: lambda, a finite number or a schedule, or None for the identity, which keeps
        nothing and needs no parameters. Below 0 where u is a step.
      mask: which leaves to decay, as in :func:`optax.adamw`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import cautious_decay_weights
      >>> theta, u = jnp.array([3.0, 3.0, 3.0]), jnp.array([1.0, 0.0, -1.0])
      >>> tx = cautious_decay_weights(0.5)
      >>> print(tx.update(u, tx.init(theta), theta)[0])
      [ 2.5  1.5 -1. ]

    References:
      Chen et al. (2025), Algorithm 1: entrywise, u = 0 counts as agreement.
    """
    require_mask(mask)
    if weight_decay is None:
        return optax.identity()
    if not callable(weight_decay):
        check("finite", weight_decay=weight_decay)

    def init(params):
        del params
        return CautiousDecayWeightsState(count=jnp.zeros([], jnp.int32))

    def update(updates, state, params=None):
        require_params("cautious_decay_weights", params)
        rate = value_at(weight_decay, state.count)

        def decayed(u, theta):
            decay = jnp.asarray(rate, u.dtype) * theta
            # By signs, since the product underflows.
            return u + jnp.where(jnp.sign(decay) * jnp.sign(u) >= 0, decay, 0)

        updates = jax.tree.map(decayed, updates, params)
        return updates, CautiousDecayWeightsState(optax.safe_increment(state.count))

    decay = optax.GradientTransformation(init, update)
    return decay if mask is None else optax.masked(decay, mask)
