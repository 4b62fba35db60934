"""Weight decay after the step: AMS authors (2025), Algorithm 1, line 16."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import check_optional_rate, require_mask, require_params, value_at

__all__ = ["DecaySteppedWeightsState", "decay_stepped_weights"]


class DecaySteppedWeightsState(NamedTuple):
    """State of :func:`decay_stepped_weights`: the steps taken, an int32 scalar."""

    count: jax.typing.ArrayLike


def decay_stepped_weights(
    rate: optax.ScalarOrSchedule | None, mask: Any = None
) -> optax.GradientTransformation:
    r"""Decays the parameters that the step has reached, not those it started from.

    .. math::
      \theta &\leftarrow \theta + u, \quad \theta \leftarrow \theta - r_t \theta
      \qquad\text{in one step:} \\
      u &\leftarrow u - r_t (\theta + u)

    u is a step (negated, with the learning rate in it), so this link comes last. AdamW decays
    before the step; the two differ by r_t u, second order in the learning rate.

    Args:
      rate: the decay of one step, a number >= 0 or a schedule; usually learning rate times weight
        decay. None gives the identity, which keeps nothing and needs no parameters.
      mask: which leaves to decay, as in :func:`optax.add_decayed_weights`: a tree of booleans, a
        prefix of one, or a function of the parameters; None decays all.

    Returns:
      An :class:`optax.GradientTransformation`; its update needs the parameters.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import decay_stepped_weights
      >>> tx = decay_stepped_weights(0.5)
      >>> theta, step = jnp.array([3.0]), jnp.array([-1.0])
      >>> theta + tx.update(step, tx.init(theta), theta)[0]
      Array([1.], dtype=float32)

    References:
      AMS authors (2025), Algorithm 1, line 16, and Algorithm 2.
    """
    check_optional_rate(rate=rate)
    require_mask(mask)
    if rate is None:
        return optax.identity()

    def init(params):
        del params
        return DecaySteppedWeightsState(count=jnp.zeros([], jnp.int32))

    def update(updates, state, params=None):
        require_params("decay_stepped_weights", params)
        r = value_at(rate, state.count)
        updates = jax.tree.map(
            lambda u, theta: u - jnp.asarray(r, u.dtype) * (theta + u), updates, params
        )
        return updates, DecaySteppedWeightsState(optax.safe_increment(state.count))

    decay = optax.GradientTransformation(init, update)
    return decay if mask is None else optax.masked(decay, mask)
