"""Running maximum: Kingma and Ba (2015), Section 7.1; Reddi et al. (2018), Algorithm 2."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Scalar, check, value_at

__all__ = ["RunningMaxState", "running_max"]


class RunningMaxState(NamedTuple):
    """State of :func:`running_max`: top, y; count, the steps taken, read by a schedule alone."""

    top: optax.Updates
    count: jax.typing.ArrayLike


def running_max(growth: Scalar | optax.Schedule = 1.0) -> optax.GradientTransformation:
    r"""Replaces what comes in by its maximum so far.

    .. math::
      y_t = \max(\gamma_t\, y_{t-1},\ x_t), \qquad y_0 = 0

    A filter for :func:`gradpow.transforms.moment_scale`, where nothing that comes in is negative:
    after an average it is AMSGrad's, alone with ``growth`` = b2 it is AdaMax's, and AdamX has a
    ``growth`` that varies.

    Args:
      growth: gamma, finite and >= 0; or a schedule from the count, which is 0 at the first step.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import running_max
      >>> tx = running_max(0.5)
      >>> _, state = tx.update(jnp.array([4.0, 1.0]), tx.init(jnp.zeros(2)))
      >>> tx.update(jnp.array([1.0, 3.0]), state)[0]
      Array([2., 3.], dtype=float32)

    References:
      Kingma and Ba (2015), Section 7.1, equation (12); Reddi et al. (2018), Algorithm 2.
    """
    if not callable(growth):
        check("finite and >= 0", growth=growth)

    def init(params):
        return RunningMaxState(optax.tree.zeros_like(params), jnp.zeros([], jnp.int32))

    def update(updates, state, params=None):
        del params
        gamma = value_at(growth, state.count)
        top = jax.tree.map(
            lambda y, x: jnp.maximum(jnp.asarray(gamma, y.dtype) * y, x), state.top, updates
        )
        return top, RunningMaxState(top, optax.safe_increment(state.count))

    return optax.GradientTransformation(init, update)
