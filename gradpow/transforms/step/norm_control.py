"""Weight norm control: Loshchilov (2023), Section 2."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    check,
    check_rate,
    guarded_divide,
    norm,
    require_mask,
    require_params,
    value_at,
)

__all__ = ["NormControlState", "norm_control"]


class NormControlState(NamedTuple):
    """State of :func:`norm_control`: first, each tensor's norm at init; count, the steps taken."""

    first: Any
    count: jax.typing.ArrayLike


def norm_control(
    strength: optax.ScalarOrSchedule, ratio: optax.ScalarOrSchedule = 1.0, mask: Any = None
) -> optax.GradientTransformation:
    r"""Pulls the norm of each tensor to a target, as weight decay pulls it to 0.

    .. math::
      \hat\theta = \theta + u, \qquad
      u \leftarrow u - k_t \Bigl(1 - \frac{r_t \|\theta_0\|}{\|\hat\theta\|}\Bigr)\, \hat\theta

    u is a step (negated, with the learning rate in it), so this link comes last. r = 0 is
    :func:`gradpow.transforms.decay_stepped_weights`; k = 1 puts the parameters on the sphere of the
    target. A tensor that starts at 0 has the target 0: mask biases. The norm is that of the stepped
    parameters: a pass after the step, and where arrays are sharded a sum over the devices.

    Args:
      strength: k, in [0, 1], or a schedule.
      ratio: r, the target over the norm at first, a number >= 0 or a schedule.
      mask: which leaves to control, as in :func:`optax.add_decayed_weights`; None for all.

    Returns:
      An :class:`optax.GradientTransformation`; its update needs the parameters.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import norm_control
      >>> tx, theta = norm_control(strength=1.0), jnp.array([3.0, 4.0])
      >>> theta + tx.update(jnp.array([-3.0, 0.0]), tx.init(theta), theta)[0]
      Array([0., 5.], dtype=float32)

    References:
      Loshchilov (2023), Section 2.
    """
    check("in [0, 1]", **({} if callable(strength) else {"strength": strength}))
    check_rate(ratio=ratio)
    require_mask(mask)

    def init(params):
        # Without a leaf for optax.tree.map_params, which must not take a norm for a parameter.
        first = jax.tree.map(norm, params) if jax.tree.leaves(params) else jnp.zeros([])
        return NormControlState(first, jnp.zeros([], jnp.int32))

    def update(updates, state, params=None):
        require_params("norm_control", params)
        if not jax.tree.leaves(updates):
            return updates, state
        k = value_at(strength, state.count)
        r = value_at(ratio, state.count)

        def control(u, theta, first):
            stepped = theta + u
            pull = k * (1 - r * guarded_divide(first, norm(stepped)))
            return u - pull.astype(u.dtype) * stepped

        updates = jax.tree.map(control, updates, params, state.first)
        return updates, NormControlState(state.first, optax.safe_increment(state.count))

    tx = optax.GradientTransformation(init, update)
    return tx if mask is None else optax.masked(tx, mask)
