"""ACClip: Zhang et al. (2020), Algorithm 2."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate
from gradpow.transforms import decay_weights, moment_clip

__all__ = ["acclip"]


def acclip(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.99,
    order: Scalar = 1.0,
    eps: Scalar = 1e-5,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""ACClip: momentum, each coordinate of which is clipped to the gradient's usual size there.

    .. math::
      m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
      \tau_t^\alpha = \beta_2 \tau_{t-1}^\alpha + (1 - \beta_2) |g_t|^\alpha \\
      \theta_t &= \theta_{t-1} - \eta_t \Bigl(
      \min\Bigl(\frac{\tau_t}{|m_t| + \epsilon}, 1\Bigr) m_t + \lambda \theta_{t-1}\Bigr)

    The survey loses the index of tau on the right. The authors' code, by its defaults, takes order
    2, divides by a second moment too, and adds an L2 penalty of 1e-5.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, but for no decay,
        b2 = 0.99 and eps = 1e-5, as in the authors' code.
      order: alpha, in [1, 100]; 1 in the paper's experiments, whose theory has it up to 2.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.acclip(1.0, b1=0.0, b2=0.5, eps=0.0)
      >>> _, state = tx.update(jnp.array([1.0, 1.0]), tx.init(jnp.zeros(2)))
      >>> tx.update(jnp.array([0.1, 9.0]), state)[0]  # 9 is clipped to 0.5 * 0.5 + 0.5 * 9
      Array([-0.1 , -4.75], dtype=float32)

    References:
      Zhang et al. (2020), Algorithm 2.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("in [1, 100]", order=order)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        optax.ema(b1, debias=False),
        moment_clip(optax.ema(b2, debias=False), order, eps),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
