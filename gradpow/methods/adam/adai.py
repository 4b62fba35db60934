"""Adai (AdaiW): Xie et al. (2022), adai.py."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check_optional_rate, check_rate
from gradpow.transforms import adaptive_inertia, decay_weights

__all__ = ["adai"]


def adai(
    learning_rate: optax.ScalarOrSchedule,
    b0: Scalar = 0.1,
    b2: Scalar = 0.99,
    eps: Scalar = 1e-3,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    decoupled: bool = False,
) -> optax.GradientTransformationExtraArgs:
    r"""Adai: one rate for all, and a momentum that is longer where gradients are small.

    .. math::
      \beta_{1,t} &= \mathrm{clip}(1 - \beta_0 \hat v_t / \bar v_t,\ 0,\ 1 - \epsilon), \qquad
      m_t = \beta_{1,t} m_{t-1} + (1 - \beta_{1,t})\, g_t \\
      \theta_t &= \theta_{t-1} - \eta_t\, m_t / \bigl(1 - \textstyle\prod_s \beta_{1,s}\bigr)

    v is Adam's, the bar its mean over all parameters: :func:`gradpow.transforms.adaptive_inertia`.
    The survey leaves out that m uses this beta_1.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`, with no decay and SGD's rates.
      b0, b2: beta_0, finite and >= 0, more of which is less inertia; of v, in [0, 1).
      eps: 1 - eps is the most inertia, in (0, 1].
      decoupled: whether the decay is added to the step (AdaiW) or to the gradient (Adai).

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.adai(0.1, b0=0.5)
      >>> _, state = tx.update(jnp.array([3.0, 0.1]), tx.init(jnp.zeros(2)))
      >>> tx.update(jnp.array([0.0, 0.0]), state)[0].round(3)  # only the small one goes on
      Array([-0.   , -0.005], dtype=float32)

    References:
      Xie et al. (2022), and ``adai.py`` of its authors.
    """
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    in_gradient, in_step = (None, weight_decay) if decoupled else (weight_decay, None)
    return chain(
        decay_weights(in_gradient, mask),
        adaptive_inertia(b0, b2, eps),
        decay_weights(in_step, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
