"""AdaBelief: Zhuang et al. (2020), Algorithm 2."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate
from gradpow.transforms import decay_weights

__all__ = ["adabelief"]


def adabelief(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-16,
    eps_root: Scalar = 1e-16,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AdaBelief: Adam over how far gradients are from their average; optax's link in a chain.

    .. math::
      m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
      s_t = \beta_2 s_{t-1} + (1 - \beta_2) (g_t - m_t)^2 + \epsilon_{root} \\
      \theta_t &= \theta_{t-1} - \eta_t \Bigl(\frac{m_t / (1 - \beta_1^t)}
      {\sqrt{s_t / (1 - \beta_2^t)} + \epsilon} + \lambda \theta_{t-1}\Bigr)

    The paper's two eps are one number. The authors' package also decays weights and rectifies as
    RAdam by default, which the paper does not.

    Args:
      learning_rate, b1, b2, eps, eps_root, weight_decay, mask: as in :func:`optax.adamw`, but for
        no decay, eps > 0, and eps_root added at each step. 1e-16 is the authors' for what Adam
        trains best; for what SGD does they advise 1e-8.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.adabelief(0.1, b1=0.5)
      >>> tx.update(jnp.array([3.0, -0.5]), tx.init(jnp.zeros(2)))[0].round(3)
      Array([-0.2,  0.2], dtype=float32)

    References:
      Zhuang et al. (2020), Algorithm 2.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and > 0", eps=eps)  # with b1 = 0 all else is 0
    check("finite and >= 0", eps_root=eps_root)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        optax.scale_by_belief(b1, b2, eps, eps_root),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
