"""Grams: Cao et al. (2024), Algorithm 1; AMS authors (2025), Definition 5.1, equation (6)."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate, product
from gradpow.transforms import decay_stepped_weights, momentum_scaling

__all__ = ["grams"]


def grams(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-6,
    eps_root: Scalar = 0.0,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Grams: Adam's magnitude with the gradient's sign.

    **Defaults differ from optax.adamw's**: eps = 1e-6 (Appendix F), no decay, and decay after the
    step instead of before it.

    .. math::
      u_t &= \hat m_t / (\sqrt{\hat v_t + \epsilon_{root}} + \epsilon) \\
      \theta_t &= \theta_{t-1} - \eta_t\, \mathrm{sign}(g_t) \circ |u_t|, \qquad
      \theta_t \leftarrow \theta_t - \eta_t \gamma \theta_t

    A coordinate whose gradient is 0 stands still; AMS with lambda = -1 would move it along its
    momentum, so Corollary 5.2 of the AMS paper holds only where no gradient is 0. The authors' own
    package, grams-pytorch, decays before the step and folds the bias corrections into the rate,
    so that its eps acts as eps / (1 - b2^t)^(1/2) does here.

    Args:
      learning_rate, b1, b2, eps, eps_root, weight_decay, mask: as in :func:`optax.adamw`.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.grams(0.1)
      >>> tx.update(jnp.array([2.0, -3.0]), tx.init(jnp.zeros(2)))[0].round(3)
      Array([-0.1,  0.1], dtype=float32)

    References:
      Cao et al. (2024), Algorithm 1; AMS authors (2025), Definition 5.1, equation (6).
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        optax.scale_by_adam(b1, b2, eps, eps_root),
        momentum_scaling(-1.0, zero_scale=0.0, normalize=False),
        optax.scale_by_learning_rate(learning_rate),
        decay_stepped_weights(product(learning_rate, weight_decay), mask),
    )
