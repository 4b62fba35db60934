"""AMS: AMS authors (2025), Algorithm 1."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate, product
from gradpow.transforms import decay_stepped_weights, momentum_scaling

__all__ = ["ams"]


def ams(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    b3: Scalar | None = None,
    negative_scale: Scalar = -1.0,
    eps: Scalar = 1e-6,
    eps_root: Scalar = 0.0,
    floor: Scalar = 1e-3,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AMS: Adam whose coordinates are rescaled where they disagree in sign with the gradient.

    **Defaults differ from optax.adamw's**: eps = 1e-6 (Appendix F), no decay, and decay after the
    step instead of before it.

    .. math::
      u_t &= \hat m_t / (\sqrt{\hat v_t + \epsilon_{root}} + \epsilon), \qquad
      s_t = \beta_3 s_{t-1} + (1 - \beta_3) g_t \\
      k_t &= 1 \text{ where } u_t s_t \ge 0, \quad \lambda \text{ where } u_t s_t < 0 \\
      \theta_t &= \theta_{t-1} - \eta_t\, \frac{d}{\|k_t\|_1}\, k_t \circ u_t, \qquad
      \theta_t \leftarrow \theta_t - \eta_t \gamma \theta_t

    lambda = 1, or b3 = b1, is Adam; b3 = None, lambda = 0 is cautious Adam (masking by >=); lambda
    = -1 is Grams where no gradient is 0. The box decays with the normalised rate eta_hat; here, as
    in the public code, with eta_t: they differ only if lambda is not 1 or -1. It divides by 0 where
    lambda = 0 masks everything; here ``floor`` bounds the mean of abs(k).

    Args:
      learning_rate, b1, b2, eps, eps_root, weight_decay, mask: as in :func:`optax.adamw`.
      b3: the weight of the past in the signs, in [0, 1), or None as in all the paper's runs: the
        signs are the gradient's, and nothing is kept.
      negative_scale: lambda, finite. The paper tries 1, 0.5, 0, -0.5 and recommends -1 (Table 1).
      floor: lower bound of the mean of abs(k), in (0, 1]; see
        :func:`gradpow.transforms.momentum_scaling`.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.ams(0.1, negative_scale=0.5)
      >>> params = jnp.zeros(2)
      >>> _, state = tx.update(jnp.array([1.0, 1.0]), tx.init(params), params)
      >>> tx.update(jnp.array([1.0, -0.5]), state, params)[0].round(3)  # -0.1 [1, 0.335/2] / 0.75
      Array([-0.133, -0.018], dtype=float32)

    References:
      AMS authors (2025), Algorithm 1.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        optax.scale_by_adam(b1, b2, eps, eps_root),
        momentum_scaling(negative_scale, b3, floor=floor),
        optax.scale_by_learning_rate(learning_rate),
        decay_stepped_weights(product(learning_rate, weight_decay), mask),
    )
