"""Adalayer: Zhao et al. (2024)."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate
from gradpow.transforms import decay_weights, moment_scale, pooled

__all__ = ["adalayer"]


def adalayer(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.95,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Adalayer: Adam with one second moment for each tensor.

    .. math::
      m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
      v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, \|g_t\|^2 / p \\
      \theta_t &= \theta_{t-1} - \eta_t \Bigl(\frac{m_t / (1 - \beta_1^t)}
      {\sqrt{v_t / (1 - \beta_2^t)} + \epsilon} + \lambda \theta_{t-1}\Bigr)

    p is the tensor's size, so that it is Adam where tensors have one coordinate. The survey prints
    the root of p, which changes the rate of large tensors, and eps inside of the root. It is
    :func:`gradpow.adam_mini` with a tensor for a block; layers stacked in one tensor share it.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, but for b2, which
        is usual for language models, and no decay.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.adalayer(0.1)
      >>> tx.update(jnp.array([1.0, 7.0]), tx.init(jnp.zeros(2)))[0].round(3)
      Array([-0.02, -0.14], dtype=float32)

    References:
      Zhao et al. (2024).
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        optax.ema(b1),
        moment_scale(pooled(optax.ema(b2), mean=True), eps=eps),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
