"""Recursive momentum: Cutkosky and Orabona (2019), Algorithm 1; Nguyen et al. (2017)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import check_rate, copied, require_reference, value_at

__all__ = ["RecursiveMomentumState", "recursive_momentum"]


class RecursiveMomentumState(NamedTuple):
    """State of :func:`recursive_momentum`: d, the estimate; count, the steps taken."""

    d: optax.Updates
    count: jax.typing.ArrayLike

    def set_anchor(self, params: Any, full_gradient: Any) -> "RecursiveMomentumState":
        del params
        # Not the first step any more, whose estimate would be the gradient alone.
        return RecursiveMomentumState(copied(full_gradient, self.d), jnp.maximum(self.count, 1))


def recursive_momentum(a: optax.ScalarOrSchedule) -> optax.GradientTransformationExtraArgs:
    r"""An estimate of the full gradient that follows the parameters.

    .. math::
      d_t = u_t + (1 - a_t)(d_{t-1} - r_t), \qquad d_1 = u_1

    r is this batch's gradient at the last point, so that d moves with the point, where a plain
    average lags behind. a = 0 is SARAH's and SPIDER's recursion, a = 1 is SGD; a schedule of 1/t
    is ROOT-SGD's. :func:`gradpow.set_anchor` puts a full gradient in the place of d.

    With a = 0 roundings add up over the steps from anchor to anchor.

    Args:
      a: in [0, 1], or a schedule.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``reference_grad``, which
      :func:`gradpow.at_previous_point` hands on.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import recursive_momentum
      >>> tx = recursive_momentum(0.5)
      >>> r = jnp.array([1.0])
      >>> first, state = tx.update(jnp.array([2.0]), tx.init(jnp.zeros(1)), reference_grad=r)
      >>> first, tx.update(jnp.array([3.0]), state, reference_grad=r)[0]  # 3 + (2 - 1) / 2
      (Array([2.], dtype=float32), Array([3.5], dtype=float32))

    References:
      Cutkosky and Orabona (2019), Algorithm 1; Nguyen et al. (2017), Algorithm 1.
    """
    check_rate(a=a)

    def init(params):
        return RecursiveMomentumState(optax.tree.zeros_like(params), jnp.zeros([], jnp.int32))

    def update(updates, state, params=None, *, reference_grad=None, **extra_args):
        del params, extra_args
        r = require_reference("recursive_momentum", reference_grad, updates)
        kept = jnp.where(state.count > 0, 1 - value_at(a, state.count), 0)

        def recur(u, d, r):
            return (u + jnp.asarray(kept, u.dtype) * (d - r)).astype(d.dtype)

        d = jax.tree.map(recur, updates, state.d, r)
        return d, RecursiveMomentumState(d, optax.safe_increment(state.count))

    return optax.GradientTransformationExtraArgs(init, update)
