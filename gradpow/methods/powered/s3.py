"""S3 (SoftSignSGD): Peng et al. (2025), Algorithm 1."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check_optional_rate, check_rate
from gradpow.transforms import decay_weights, nesterov_pmoment, p_norm_scale

__all__ = ["s3"]


def s3(
    learning_rate: optax.ScalarOrSchedule,
    b: Scalar = 0.95,
    p: Scalar = 3.0,
    eps: Scalar = 0.0,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""S3 (SoftSignSGD): Nesterov momentum over an average p-norm of the gradient.

    **Differs from optax.adamw in kind**: one average coefficient, no bias correction, no eps, and
    no coordinate of the update exceeds 1 (Theorem 2), so that the paper trains without clipping at
    up to ten times AdamW's rate. It decays nothing unless told to; to carry AdamW's decay over,
    use :func:`gradpow.matched_weight_decay`.

    .. math::
      m_t &= \beta m_{t-1} + (1 - \beta) g_t, & n_t &= \beta m_t + (1 - \beta) g_t \\
      s_t &= \beta s_{t-1} + (1 - \beta) |g_t|^p,
      & b_t &= \bigl(\beta s_t + (1 - \beta) |g_t|^p\bigr)^{1/p} \\
      \theta_{t+1} &= \theta_t - \eta_t (n_t / b_t + \lambda \theta_t), & 0/0 &= 0

    One public copy adds eps inside the p-th root: with p = 3 that is a floor of eps^(1/3) = 0.002
    for eps = 1e-8, and small gradients lose their sign-like step.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`.
      b: beta, the weight of the past in both averages, in [0, 1). Default from the appendix.
      p: the order of the norm, in [1, 100]. Default from the appendix; 1 is the cheapest.
      eps: added to b_t, >= 0; none in the paper.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.s3(1e-3, b=0.5, p=1)
      >>> params = jnp.zeros(3)
      >>> tx.update(jnp.array([5.0, -1e-9, 0.0]), tx.init(params), params)[0]
      Array([-0.001,  0.001, -0.   ], dtype=float32)

    References:
      Peng et al. (2025), Algorithm 1.
    """
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        nesterov_pmoment(b),
        p_norm_scale(b, p, eps=eps),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
