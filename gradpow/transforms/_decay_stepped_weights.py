"""Weight decay after the step: AMS, Algorithm 1, line 16."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from .._check import check_rate, require_params
from .._numerics import is_static


class DecaySteppedWeightsState(NamedTuple):
    """State of :func:`decay_stepped_weights`: the steps taken, an int32 scalar."""

    count: jax.typing.ArrayLike


def decay_stepped_weights(
    rate: optax.ScalarOrSchedule, mask: Any = None
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
        decay. A Python 0 gives the identity.
      mask: which leaves to decay, as in :func:`optax.add_decayed_weights`: a tree of booleans, a
        prefix of one, or a function of the parameters; None decays all.

    Returns:
      An :class:`optax.GradientTransformation`; its update needs the parameters.

    Raises:
      ValueError: if rate is negative or not finite; at update, without params.
      TypeError: if rate is neither number nor callable.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import decay_stepped_weights
      >>> tx = decay_stepped_weights(0.5)
      >>> theta, step = jnp.array([3.0]), jnp.array([-1.0])
      >>> theta + tx.update(step, tx.init(theta), theta)[0]
      Array([1.], dtype=float32)

    References:
      `Decoupling Sign and Magnitude in Optimization with Adaptive Momentum Scaling`, Algorithm 1,
      line 16, and Algorithm 2.
    """
    check_rate(rate=rate)
    if is_static(rate) and rate == 0:
        return optax.identity()
    schedule = rate if callable(rate) else optax.constant_schedule(rate)

    def init(params):
        del params
        return DecaySteppedWeightsState(count=jnp.zeros([], jnp.int32))

    def update(updates, state, params=None):
        require_params("decay_stepped_weights", params)
        r = schedule(state.count)
        updates = jax.tree.map(lambda u, theta: u - r * (theta + u), updates, params)
        return updates, DecaySteppedWeightsState(optax.safe_increment(state.count))

    decay = optax.GradientTransformation(init, update)
    return decay if mask is None else optax.masked(decay, mask)
