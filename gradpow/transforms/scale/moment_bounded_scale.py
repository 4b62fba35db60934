"""Bounded scaling by a moment: Luo et al. (2019), Algorithm 2."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    Scalar,
    check,
    check_rate,
    guarded_divide,
    require_grad,
    require_transformation,
    value_at,
)

from .moment_scale import MomentState, moment_of, root_of

__all__ = ["MomentBoundedState", "moment_bounded_scale"]


class MomentBoundedState(NamedTuple):
    """State of :func:`moment_bounded_scale`: moment, the filter's; count, the steps taken."""

    moment: optax.OptState
    count: jax.typing.ArrayLike


def moment_bounded_scale(
    moment: optax.GradientTransformation,
    learning_rate: optax.ScalarOrSchedule,
    lower: optax.Schedule,
    upper: optax.Schedule,
    eps: Scalar = 0.0,
) -> optax.GradientTransformationExtraArgs:
    r"""Multiplies the update by a rate over a moment's root, within bounds that change in time.

    .. math::
      u_t \leftarrow \min\Bigl(\max\Bigl(\frac{\eta_t}{F(g_t^2)^{1/2} + \epsilon},\
      l_t\Bigr),\ h_t\Bigr)\, u_t

    The learning rate stands inside of the bounds: put none after it. Where the moment is 0 the
    factor is the upper bound. F and g are those of :func:`gradpow.transforms.moment_scale`.

    Args:
      moment: F, a filter.
      learning_rate: eta, a number or a schedule.
      lower: l, a schedule from the count, which is 0 at the first step.
      upper: h, likewise.
      eps: added to the denominator, >= 0.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``grad``, which
      :func:`gradpow.chain` passes on.

    Examples:
      >>> import jax.numpy as jnp, optax
      >>> from gradpow.transforms import moment_bounded_scale
      >>> within = optax.constant_schedule(0.1), optax.constant_schedule(0.4)
      >>> tx = moment_bounded_scale(optax.trace(1.0), 1.0, *within)
      >>> g = jnp.array([1.0, 5.0, 100.0])
      >>> tx.update(g, tx.init(g), grad=g)[0]
      Array([ 0.4,  1. , 10. ], dtype=float32)

    References:
      Luo et al. (2019), Algorithm 2.
    """
    check_rate(learning_rate=learning_rate)
    check("finite and >= 0", eps=eps)
    moment = require_transformation("moment_bounded_scale's moment", moment)

    def init(params):
        return MomentBoundedState(moment.init(params), jnp.zeros([], jnp.int32))

    def update(updates, state, params=None, *, grad=None, **extra_args):
        require_grad("moment_bounded_scale", grad, updates)
        count = state.count
        v, inner = moment_of(moment, 2, grad, MomentState(state.moment), params, extra_args)
        rate = value_at(learning_rate, count)

        def scale(u, v):
            low, high = (jnp.asarray(bound(count), u.dtype) for bound in (lower, upper))
            root = root_of(v, 2) + eps
            # Of a gradient that has died, or never came, nothing is known but the bounds.
            factor = jnp.where(root > 0, guarded_divide(jnp.asarray(rate, u.dtype), root), high)
            bounded = jnp.clip(factor, low, high)
            # An upper bound that has left float32 would make NaN of an update that is 0.
            return jnp.minimum(bounded, jnp.finfo(u.dtype).max) * u

        updates = jax.tree.map(scale, updates, v)
        return updates, MomentBoundedState(inner.moment, optax.safe_increment(count))

    return optax.GradientTransformationExtraArgs(init, update)
