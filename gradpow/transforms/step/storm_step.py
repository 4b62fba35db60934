"""The step of STORM: Cutkosky and Orabona (2019), Algorithm 1."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    Scalar,
    check,
    check_rate,
    copied,
    require_reference,
    scalar_dtype,
    sum_of_squares,
    value_at,
)

__all__ = ["StormStepState", "storm_step"]


class StormStepState(NamedTuple):
    """State of :func:`storm_step`: d, the estimate; total, of squared norms; count, the steps."""

    d: optax.Updates
    total: jax.Array
    count: jax.typing.ArrayLike

    def set_anchor(self, params: Any, full_gradient: Any) -> "StormStepState":
        del params
        # Not the first step any more, whose estimate would be the gradient alone.
        count = jnp.maximum(self.count, 1)
        return StormStepState(copied(full_gradient, self.d), self.total, count)


def storm_step(
    k: optax.ScalarOrSchedule, w: Scalar = 0.1, c: Scalar = 1.0
) -> optax.GradientTransformationExtraArgs:
    r"""Recursive momentum whose weight and step follow the gradients' norms.

    .. math::
      d_t &= u_t + (1 - a_t)(d_{t-1} - r_t), \qquad d_1 = u_1 \\
      \eta_t &= k \Bigl(w + \sum_{i \le t} \|u_i\|_2^2\Bigr)^{-1/3}, \qquad
      a_{t+1} = \min(1, c\, \eta_t^2) \\
      u_t &\leftarrow \eta_t d_t

    Stands first in a chain, at the gradient; norms are over the whole tree. The paper needs a in
    [0, 1], which the minimum keeps for any c. In float32 the sum is infinite above 1e38, and steps
    are 0 from there on.

    Args:
      k: a number > 0 or a schedule.
      w: finite and > 0, of the size of a squared norm.
      c: finite and >= 0. 0 is SARAH's recursion.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``reference_grad``, which
      :func:`gradpow.at_previous_point` hands on.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import storm_step
      >>> tx, g = storm_step(k=0.5, w=4.0), jnp.array([2.0])
      >>> tx.update(g, tx.init(g), reference_grad=g)[0]  # 0.5 (4 + 4)^(-1/3) 2
      Array([0.5], dtype=float32)

    References:
      Cutkosky and Orabona (2019), Algorithm 1.
    """
    check_rate(k=k)
    check("finite and > 0", w=w)
    check("finite and >= 0", c=c)

    def init(params):
        total = jnp.zeros([], scalar_dtype(params))
        return StormStepState(optax.tree.zeros_like(params), total, jnp.zeros([], jnp.int32))

    def update(updates, state, params=None, *, reference_grad=None, **extra_args):
        del params, extra_args
        r = require_reference("storm_step", reference_grad, updates)

        def eta(total: jax.Array, count: Any) -> jax.Array:
            return value_at(k, count) / jnp.cbrt(w + total)

        a = jnp.minimum(c * jnp.square(eta(state.total, jnp.maximum(state.count - 1, 0))), 1)
        kept = jnp.where(state.count > 0, 1 - a, 0)
        total = (state.total + sum_of_squares(updates)).astype(state.total.dtype)
        step = eta(total, state.count)

        def recur(u, d, r):
            return (u + kept.astype(u.dtype) * (d - r)).astype(d.dtype)

        d = jax.tree.map(recur, updates, state.d, r)
        steps = jax.tree.map(lambda u, d: step.astype(u.dtype) * d, updates, d)
        return steps, StormStepState(d, total, optax.safe_increment(state.count))

    return optax.GradientTransformationExtraArgs(init, update)
