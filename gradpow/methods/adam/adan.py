"""Adan: Xie et al. (2024), Algorithm 1."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate, product
from gradpow.transforms import (
    difference,
    mixture,
    moment_scale,
    proximal_decay,
    take_grad,
    with_view,
)

__all__ = ["adan"]


def adan(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.98,
    b2: Scalar = 0.92,
    b3: Scalar = 0.99,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Adan: Nesterov's momentum by the gradient's change, in both moments, and a proximal decay.

    .. math::
      \Delta_t &= g_t - g_{t-1}, \quad \Delta_1 = 0, \qquad
      m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
      v_t = \beta_2 v_{t-1} + (1 - \beta_2) \Delta_t \\
      n_t &= \beta_3 n_{t-1} + (1 - \beta_3) (g_t + \beta_2 \Delta_t)^2 \\
      \theta_t &= \frac{1}{1 + \eta_t \lambda} \Bigl(\theta_{t-1} - \eta_t\,
      \frac{\hat m_t + \beta_2 \hat v_t}{\sqrt{\hat n_t} + \epsilon}\Bigr)

    Each beta is one minus the paper's, as in every implementation; by that the survey's m is to be
    read. Bias corrections and eps outside of the root are the authors' code's, not the box's.
    :func:`optax.adan` takes 1 - b2 for b2 in n and in the step, and decays as AdamW.

    Args:
      learning_rate, eps, weight_decay, mask: as in :func:`optax.adan`, by default without decay.
      b1, b2, b3: the weights of past gradients, changes and squares, in [0, 1).

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, params = gradpow.adan(0.5, weight_decay=2.0), jnp.ones(2)
      >>> step, _ = tx.update(jnp.array([3.0, -0.1]), tx.init(params), params)
      >>> [f"{theta:.3f}" for theta in params + step]  # (1 -+ 0.5) / (1 + 1)
      ['0.250', '0.750']

    References:
      Xie et al. (2024), Algorithm 1, and the authors' code, whose defaults these are.
    """
    check("in [0, 1)", b1=b1, b2=b2, b3=b3)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    change = mixture((1.0, take_grad()), (-1.0, optax.identity()))  # b2 Delta, by the view's state
    return chain(
        with_view(
            mixture((1.0, optax.identity()), (b2, difference())),
            optax.chain(
                mixture((1.0, optax.ema(b1)), (1.0, optax.chain(change, optax.ema(b2)))),
                moment_scale(optax.ema(b3), eps=eps),
            ),
        ),
        optax.scale_by_learning_rate(learning_rate),
        proximal_decay(product(learning_rate, weight_decay), mask),
    )
