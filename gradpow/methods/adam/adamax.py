"""AdaMax: Kingma and Ba (2015), Algorithm 2."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate
from gradpow.transforms import decay_weights, moment_scale, running_max

__all__ = ["adamax"]


def adamax(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 0.0,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AdaMax: Adam over a decaying maximum of the gradient's size, its norm of infinite order.

    .. math::
      m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad u_t = \max(\beta_2 u_{t-1}, |g_t|) \\
      \theta_t &= \theta_{t-1} - \eta_t \Bigl(\frac{m_t / (1 - \beta_1^t)}{u_t + \epsilon}
      + \lambda \theta_{t-1}\Bigr), \qquad 0/0 = 0

    :func:`optax.adamax` and PyTorch add eps to every gradient's size; without it they give NaN
    where the first gradient is 0. The survey cites the paper of AdamW for it.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, but for no decay
        and eps = 0, as in the paper, which advises a rate of 2e-3.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.adamax(0.5)
      >>> tx.update(jnp.array([3.0, -1e-9, 0.0]), tx.init(jnp.zeros(3)))[0].round(3)
      Array([-0.5,  0.5, -0. ], dtype=float32)

    References:
      Kingma and Ba (2015), Algorithm 2.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        optax.ema(b1),
        moment_scale(running_max(b2), order=1, eps=eps),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
