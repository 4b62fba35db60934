"""Amos' scaling: Tian and Parikh (2022), Algorithm 1."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    Scalar,
    check,
    check_rate,
    filled,
    guarded_divide,
    map_with_names,
    require_params,
    scalar_dtype,
    square_root,
    value_at,
)
from gradpow.transforms.average.pooled import Axes, PooledState, pooled
from gradpow.transforms.average.running_mean import running_mean

__all__ = ["AmosState", "amos_scale"]


class AmosState(NamedTuple):
    """State of :func:`amos_scale`: v, without its bias; b, how far rates have decayed; count."""

    v: optax.OptState
    b: optax.Updates
    count: jax.Array


def amos_scale(
    learning_rate: optax.ScalarOrSchedule,
    scale: Callable[[str, Any], Scalar],
    b2: Scalar = 0.999,
    over: Axes | Callable[[str, Any], Axes] = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Steps towards weights of an expected size, whose rate and weight decay decay by themselves.

    With e the expected size of a tensor's weights, and the mean of squares over a part of it:

    .. math::
      v_t &= \beta_2 v_{t-1} + (1 - \beta_2)\, \overline{u_t^2}, \qquad
      \hat v_t = v_t / (1 - \beta_2^t) \\
      \gamma_t &= (1 + \tfrac14 \sqrt{\eta_t}\, b_{t-1})^{-1/2}\, \eta_t^2\,
      \overline{u_t^2} / \hat v_t, \qquad b_t = b_{t-1} + \gamma_t (1 + b_{t-1}) \\
      u_t &\leftarrow (1 + \tfrac14 \sqrt{\eta_t e}\, b_{t-1})^{-1}
      \Bigl(\eta_t e\, u_t / \sqrt{\hat v_t} + \tfrac12 \gamma_t \theta_{t-1}\Bigr)

    The rate is inside, at three powers: end the chain by ``optax.scale(-1.0)``, without another
    rate or decay. 0/0 is 0, and where squares have left float32 the update is 0.

    Args:
      learning_rate: eta, a number >= 0 or a schedule.
      scale: from a leaf's path (its names joined by "/") and the leaf to e, > 0.
      b2: the weight of the past in v, in [0, 1).
      over: what shares a v and a b, as in :func:`gradpow.transforms.pooled`; by default a tensor.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs the parameters.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import amos_scale
      >>> tx, theta = amos_scale(0.5, lambda path, x: 1.0), jnp.array([4.0])
      >>> print(tx.update(jnp.array([7.0]), tx.init(theta), theta)[0].round(3))  # 0.5 + 0.25 / 2 4
      [1.]

    References:
      Tian and Parikh (2022), Algorithm 1. That the rate's share of the second factor is under the
      root with e is the authors' code.
    """
    check_rate(learning_rate=learning_rate)
    check("in [0, 1)", b2=b2)
    mean = pooled(optax.identity(), over, mean=True)
    average = pooled(running_mean(lambda count: (1 - b2) / filled(b2, count)), over, mean=True)

    def init(params):
        v: Any = average.init(params)
        b = optax.tree.zeros_like(v.inner.mean)  # of the same small shapes
        return AmosState(v, b, jnp.zeros([], jnp.int32))

    def update(updates, state, params=None, **extra_args):
        del extra_args
        require_params("amos_scale", params)
        if not jax.tree.leaves(updates):
            return updates, state
        squares = jax.tree.map(jnp.square, updates)
        square_means, _ = mean.update(squares, PooledState(optax.EmptyState()))
        v, new_v = average.update(squares, state.v)
        eta = jnp.asarray(value_at(learning_rate, state.count), scalar_dtype(updates))

        def scaled(path, u, theta, b, v, gamma):
            own = eta * scale(path, u)
            step = own * guarded_divide(u, square_root(v)) + gamma / 2 * theta
            return (step / (1 + square_root(own) * b / 4)).astype(u.dtype)

        gamma = jax.tree.map(functools.partial(_decay, eta), state.b, square_means, v)
        emitted = map_with_names(scaled, updates, params, state.b, v, gamma)
        b = jax.tree.map(lambda b, gamma: b + gamma * (1 + b), state.b, gamma)
        return emitted, AmosState(new_v, b, jnp.asarray(optax.safe_increment(state.count)))

    return optax.GradientTransformationExtraArgs(init, update)


def _decay(eta: jax.Array, b: jax.Array, square: jax.Array, v: jax.Array) -> jax.Array:
    """gamma. Where the mean square is infinite, v is too: finite over infinite is 0."""
    square = jnp.minimum(square, jnp.finfo(square.dtype).max)
    c = 1 / square_root(1 + square_root(eta) * b / 4)
    return (c * eta**2 * guarded_divide(square, v)).astype(b.dtype)
