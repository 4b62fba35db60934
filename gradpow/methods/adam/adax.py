"""AdaX (AdaX-W): Li et al. (2020), Algorithm 1."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate, step_number
from gradpow.transforms import decay_weights, moment_scale, running_mean

__all__ = ["adax"]


def adax(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 1e-4,
    eps: Scalar = 1e-12,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AdaX: Adam whose second moment remembers early gradients longer than late ones.

    .. math::
      m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
      v_t = (1 + \beta_2)\, v_{t-1} + \beta_2 g_t^2, \qquad
      \hat v_t = v_t / ((1 + \beta_2)^t - 1) \\
      \theta_t &= \theta_{t-1} - \eta_t \Bigl(\frac{m_t}{\sqrt{\hat v_t} + \epsilon}
      + \lambda \theta_{t-1}\Bigr)

    Here :math:`\hat v` itself is kept, a mean with the rate :math:`\beta_2 / ((1 + \beta_2)^t -
    1)`: as printed, v leaves float32 near step 887,000. The survey's "as Adam" would correct m,
    which the paper does not. The authors' code adds eps to the root of v instead.

    Args:
      learning_rate, b1, eps, weight_decay, mask: as in :func:`optax.adamw`, but for no decay and
        eps = 1e-12, as in the authors' code, whose rate is 1.5e-3. Their AdaX-W takes 5e-3 with a
        decay of 5e-2.
      b2: beta_2, > 0, and small: 1e-4 in the paper.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.adax(1.0, b1=0.0, b2=1.0)
      >>> _, state = tx.update(jnp.array([1.0]), tx.init(jnp.zeros(1)))
      >>> tx.update(jnp.array([5.0]), state)[0].round(2)  # 5 / ((2 * 1^2 + 5^2) / 3)^(1/2)
      Array([-1.67], dtype=float32)

    References:
      Li et al. (2020), Algorithm 1.
    """
    check("in [0, 1)", b1=b1)
    check("finite and > 0", b2=b2)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)

    def rate(count: ArrayLike) -> jax.Array:
        # (1 + b2)^-t, which vanishes in the end where (1 + b2)^t would be infinite.
        exponent = -step_number(count) * jnp.log1p(b2)
        return b2 * jnp.exp(exponent) / -jnp.expm1(exponent)

    return chain(
        optax.ema(b1, debias=False),
        moment_scale(running_mean(rate), eps=eps),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
