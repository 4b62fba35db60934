"""AdamX: Phuong and Phong (2019), Algorithm 2."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate, product, step_number
from gradpow.transforms import decay_weights, moment_scale, running_max, running_mean

__all__ = ["adamx"]


def adamx(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    b1_decay: Scalar = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AdamX: AMSGrad whose momentum fades, and whose maximum grows by as much.

    .. math::
      \beta_{1,t} &= \beta_1 \lambda^{t-1}, \qquad
      m_t = \beta_{1,t} m_{t-1} + (1 - \beta_{1,t}) g_t, \qquad
      v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
      \hat v_t &= \max\Bigl(\frac{(1 - \beta_{1,t})^2}{(1 - \beta_{1,t-1})^2} \hat v_{t-1},
      v_t\Bigr), \qquad
      \theta_t = \theta_{t-1} - \frac{\eta_t}{\sqrt t} \frac{m_t}{\sqrt{\hat v_t} + \epsilon}

    The rate falls with :math:`t^{-1/2}` whatever its schedule, and scales a decay of the weights
    too. The survey leaves out this factor and how b1 falls. Where b1 stays, it is AMSGrad.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, but for no decay.
        The paper has no eps.
      b1_decay: lambda, in [0, 1]; 1 keeps b1. The default is ours.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.adamx(0.5, b1=0.5, b2=0.0, b1_decay=0.0)
      >>> _, state = tx.update(jnp.array([4.0]), tx.init(jnp.zeros(1)))
      >>> tx.update(jnp.array([4.0]), state)[0].round(3)  # 0.5 / 2^(1/2) * 4 / (2^2 4^2)^(1/2)
      Array([-0.177], dtype=float32)

    References:
      Phuong and Phong (2019), Algorithm 2 and Corollary 5.6.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("in [0, 1]", b1_decay=b1_decay)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)

    def weight(t: jax.Array) -> jax.Array:
        return 1 - b1 * b1_decay ** (t - 1)

    def growth(count: ArrayLike) -> jax.Array:
        t = step_number(count)
        return (weight(t) / weight(jnp.maximum(t - 1, 1))) ** 2

    falling = product(learning_rate, lambda count: step_number(count) ** -0.5)
    return chain(
        running_mean(lambda count: weight(step_number(count))),
        moment_scale(optax.chain(optax.ema(b2, debias=False), running_max(growth)), eps=eps),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(falling),
    )
