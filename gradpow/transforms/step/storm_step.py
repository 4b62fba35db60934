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
    """State of :func:`storm_step`: d, the estimate; total, of squared norms; a; count."""

    d: optax.Updates
    total: jax.Array
    a: jax.Array
    count: jax.typing.ArrayLike

    def set_anchor(self, params: Any, full_gradient: Any) -> "StormStepState":
        del params
        # Not the first step any more, whose estimate would be the gradient alone.
        count = jnp.maximum(self.count, 1)
        return self._replace(d=copied(full_gradient, self.d), count=count)


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
        zeros = (jnp.zeros([], dtype) for dtype in (*2 * (scalar_dtype(params),), jnp.int32))
        return StormStepState(optax.tree.zeros_like(params), *zeros)

    def update(updates, state, params=None, *, reference_grad=None, **extra_args):
        del params, extra_args
        r = require_reference("storm_step", reference_grad, updates)

        kept = jnp.where(state.count > 0, 1 - state.a, 0)
        total = (state.total + sum_of_squares(updates)).astype(state.total.dtype)
        eta = value_at(k, state.count) / jnp.cbrt(w + total)
        a = jnp.minimum(c * jnp.square(eta), 1).astype(state.a.dtype)

        def recur(u, d, r):
            return (u + kept.astype(u.dtype) * (d - r)).astype(d.dtype)

        d = jax.tree.map(recur, updates, state.d, r)
        steps = jax.tree.map(lambda u, d: jnp.asarray(eta, u.dtype) * d, updates, d)
        return steps, StormStepState(d, total, a, optax.safe_increment(state.count))

    return optax.GradientTransformationExtraArgs(init, update)
