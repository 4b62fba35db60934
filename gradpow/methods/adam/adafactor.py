"""Adafactor: Shazeer and Stern (2018), Algorithms 4 and 5."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate, step_number
from gradpow.transforms import (
    decay_weights,
    factored,
    moment_scale,
    parameter_rms_scale,
    running_mean,
)

__all__ = ["adafactor"]


def relative_rate(count: ArrayLike) -> jax.Array:
    """min(0.01, t^(-1/2)), the paper's rate."""
    return jnp.minimum(1e-2, step_number(count) ** -0.5)


def adafactor(
    learning_rate: optax.ScalarOrSchedule = relative_rate,
    decay_rate: Scalar = 0.8,
    clipping_threshold: Scalar = 1.0,
    eps: Scalar = 1e-30,
    min_scale: Scalar = 1e-3,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Adafactor: of a matrix's second moment it keeps the rows' and the columns' means alone.

    With :math:`\beta_{2,t} = 1 - t^{-\tau}`, R and C averages of the means of
    :math:`g_t^2 + \epsilon` over rows and columns, and V one of itself for vectors,

    .. math::
      \hat V_t = R_t C_t^\top / \mathrm{mean}(R_t), \qquad u_t = g_t / \sqrt{\hat V_t} \\
      \theta_t = \theta_{t-1} - \rho_t \Bigl(\max(\epsilon_2, \mathrm{RMS}(\theta_{t-1}))
      \frac{u_t}{\max(1, \mathrm{RMS}(u_t) / d)} + \lambda \theta_{t-1}\Bigr)

    :func:`optax.adafactor` factors only what is 128 or longer by default, here every matrix is; of
    more axes the two longest are. Its state is not sharded as the parameters are, and it gives NaN
    where squares leave float32, which is 0 here. The survey's step has the rate without the
    parameters' size, and its tau is -0.8.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`, but for no decay; rho, relative
        to a tensor's size, by default the paper's :math:`\min(10^{-2}, t^{-1/2})`.
      decay_rate: tau, > 0.
      clipping_threshold: d, > 0, the largest root mean square of u.
      eps: added to squared gradients, >= 0.
      min_scale: epsilon_2, >= 0, the size of a tensor that is smaller.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, params = gradpow.adafactor(), jnp.full((2, 3), 5.0)
      >>> tx.update(jnp.ones((2, 3)), tx.init(params), params)[0][0].round(3)  # a hundredth of 5
      Array([-0.05, -0.05, -0.05], dtype=float32)

    References:
      Shazeer and Stern (2018), Algorithms 4 and 5, with the defaults of Algorithm 6.
    """
    check("finite and > 0", decay_rate=decay_rate, clipping_threshold=clipping_threshold)
    check("finite and >= 0", eps=eps, min_scale=min_scale)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)

    def weight(count: ArrayLike) -> jax.Array:
        return step_number(count) ** -decay_rate

    plus_eps = optax.stateless(lambda squares, _: jax.tree.map(lambda x: x + eps, squares))
    return chain(
        moment_scale(optax.chain(plus_eps, factored(running_mean(weight)))),
        optax.clip_by_block_rms(clipping_threshold),
        parameter_rms_scale(min_scale=min_scale),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
