"""AdaFom: Chen et al. (2019), Section 3."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate, product, step_number
from gradpow.transforms import decay_weights, moment_scale, running_mean

__all__ = ["adafom"]


def adafom(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    eps: Scalar = 0.0,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AdaFom: AdaGrad with first order momentum, or Adam over the mean of all squared gradients.

    .. math::
      m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
      v_t = (1 - 1/t)\, v_{t-1} + g_t^2 / t \\
      \theta_t &= \theta_{t-1} - \frac{\eta_t}{\sqrt t} \Bigl(\frac{m_t}{\sqrt{v_t} + \epsilon}
      + \lambda \theta_{t-1}\Bigr), \qquad 0/0 = 0

    The rate falls with :math:`t^{-1/2}` whatever its schedule: with b1 = 0 it is AdaGrad. The
    survey leaves this factor out. The paper's b1 may also fall in time.

    Args:
      learning_rate, b1, eps, weight_decay, mask: as in :func:`optax.adamw`, but for no decay and
        eps = 0, as in the paper.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.adafom(0.5, b1=0.0)
      >>> _, state = tx.update(jnp.array([3.0, 0.0]), tx.init(jnp.zeros(2)))
      >>> tx.update(jnp.array([4.0, 0.0]), state)[0].round(3)  # 0.5 * 4 / (9 + 16)^(1/2)
      Array([-0.4, -0. ], dtype=float32)

    References:
      Chen et al. (2019), Section 3.
    """
    check("in [0, 1)", b1=b1)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    falling = product(learning_rate, lambda count: step_number(count) ** -0.5)
    return chain(
        optax.ema(b1, debias=False),
        moment_scale(running_mean(), eps=eps),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(falling),
    )
