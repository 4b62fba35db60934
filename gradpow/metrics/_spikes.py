"""Loss spikes, seen coming in the update: S3, Section III and Figure 3."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Scalar, check, check_rate, guarded_divide, scalar_dtype, size

from ._steps import largest_update

__all__ = ["SpikeDetectorState", "spike_detector"]


class SpikeDetectorState(NamedTuple):
    """State of :func:`spike_detector`: usual, the average of mean sizes; count, the steps taken."""

    usual: jax.Array
    count: jax.typing.ArrayLike


def spike_detector(
    learning_rate: optax.ScalarOrSchedule = 1.0,
    bound: Scalar = 1.0,
    rise: Scalar = 2.0,
    b: Scalar = 0.99,
) -> optax.GradientTransformationExtraArgs:
    r"""Warns of a loss spike by the size of the update, before the loss has it.

    .. math::
      \text{spike}_t = \max_i |u_i| > \text{bound} \cdot \eta_t \ \text{ and } \
      \operatorname{mean}_i |u_i| > \text{rise} \cdot a_{t-1}, \qquad
      a_t = b\, a_{t-1} + (1 - b) \operatorname{mean}_i |u_i|

    a is debiased and in units of eta. The paper's reasoning: Adam's updates are usually far below
    1, but may reach 7.27 in a coordinate whose gradient bursts after a quiet time (Theorem 1); that
    throws other coordinates off, and all loss spikes of its GPT-2 followed an abrupt rise of the
    mean update upon a sharp rise of the largest (Figure 3). S3's updates never exceed 1 (Theorem
    2), so with the default bound it gives no warning. An update that is not finite always does.

    The first update is only looked at; updates of 0, as those of a warm-up's first step, do not
    count. It is a measurement for :func:`optax.monitor`, which stands
    in a chain where it is to look, or around an optimizer with its rate::

        optax.chain(tx, optax.monitor({"spikes": spike_detector(learning_rate)}))

    Args:
      learning_rate: eta, a number or a schedule: what u is multiplied by already. 1 before
        ``scale_by_learning_rate``.
      bound: > 0. The default is S3's bound on its own updates.
      rise: > 0, of the mean update over its usual size. 2 is ours.
      b: the weight of the past in the usual size, in [0, 1). 0.99 is ours.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs` whose updates are the measurement: a
      dictionary of the scalars ``largest`` and ``mean``, in units of eta, and the boolean
      ``spike``.

    Raises:
      ValueError: if an argument lies outside its range.
      TypeError: if an argument is no number.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> tx = gradpow.chain(
      ...   optax.scale_by_adam(),
      ...   optax.monitor({"update": gradpow.metrics.spike_detector()}),
      ...   optax.scale_by_learning_rate(1e-3),
      ... )
      >>> state = tx.init(jnp.zeros(2))
      >>> for step in range(300):  # noise, and at last a burst in one coordinate
      ...   noise = 0.01 * (-1) ** step
      ...   _, state = tx.update(jnp.array([noise, noise if step < 299 else 1.0]), state)
      >>> seen = optax.tree.get(state, "update")
      >>> print(f"{seen['largest']:.1f}", seen["spike"])
      1.6 True

    References:
      Peng et al. (2025), Section III, Theorem 1 and Figure 3.
    """
    check_rate(learning_rate=learning_rate)
    check("finite and > 0", bound=bound, rise=rise)
    check("in [0, 1)", b=b)
    rate = learning_rate if callable(learning_rate) else optax.constant_schedule(learning_rate)

    def init(params):
        return SpikeDetectorState(jnp.zeros([], scalar_dtype(params)), jnp.zeros([], jnp.int32))

    def update(updates, state, params=None, **extra_args):
        del params, extra_args
        dtype = scalar_dtype(updates)
        total = sum(jnp.sum(jnp.abs(u), dtype=dtype) for u in jax.tree.leaves(updates))
        eta = jnp.asarray(rate(state.count), dtype)
        largest = guarded_divide(largest_update(updates), eta)
        mean = guarded_divide(total / size(updates), eta)
        # Of the weights of t sizes, which add up to 1 - b^t; 0 before there is any.
        steps = jnp.asarray(state.count, dtype)
        usual = guarded_divide(state.usual, 1 - b**steps)
        rises = (usual > 0) & (mean > rise * usual)
        finite = jnp.isfinite(mean)
        seen: Any = {"largest": largest, "mean": mean, "spike": (largest > bound) & rises | ~finite}
        weights = 1 - b ** (steps + 1)
        share = jnp.where(usual > 0, (1 - b) / weights, 1)  # the first size is the average
        usual = jnp.where(finite & (mean > 0), usual + share * (mean - usual), usual)
        usual = jnp.asarray(weights * usual, state.usual.dtype)
        return seen, SpikeDetectorState(usual, optax.safe_increment(state.count))

    return optax.GradientTransformationExtraArgs(init, update)
