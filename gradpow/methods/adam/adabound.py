"""AdaBound: Luo et al. (2019), Algorithm 2."""

from typing import Any

import jax
import optax
from jax.typing import ArrayLike

from gradpow.core import (
    Scalar,
    chain,
    check,
    check_optional_rate,
    check_rate,
    filled,
    product,
    step_number,
)
from gradpow.transforms import decay_weights, moment_bounded_scale

__all__ = ["adabound"]


def adabound(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    final_rate: optax.ScalarOrSchedule = 0.1,
    gamma: Scalar = 1e-3,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AdaBound: Adam whose rates are bounded, ever closer to the one rate of SGD.

    m and v are Adam's raw averages, f is the final rate.

    .. math::
      \theta_t = \theta_{t-1} - \min\Bigl(\max\Bigl(\frac{\eta_t\, c_t}{\sqrt{v_t} + \epsilon},
      f \frac{\gamma t}{\gamma t + 1}\Bigr), f \frac{\gamma t + 1}{\gamma t}\Bigr) m_t
      - \eta_t \lambda \theta_{t-1}, \qquad c_t = \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}

    It is the authors' code: the paper has no c, and divides by :math:`\sqrt t` outside of the
    bounds. There f follows the schedule of the rate: hand it one. The survey leaves out that the
    bounds depend on t, which is the method.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, but for no decay.
      final_rate: f, a number >= 0 or a schedule. The default is the authors'.
      gamma: how fast the bounds close, > 0. The default is the authors'.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.adabound(1e-3, b1=0.0, gamma=1e9)  # closed from the first step: SGD
      >>> tx.update(jnp.array([3.0, -0.5]), tx.init(jnp.zeros(2)))[0].round(3)
      Array([-0.3 ,  0.05], dtype=float32)

    References:
      Luo et al. (2019), Algorithm 2.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and > 0", gamma=gamma)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate, final_rate=final_rate)
    check_optional_rate(weight_decay=weight_decay)
    corrected = product(learning_rate, bias_corrections(b1, b2))
    lower, upper = closing_bounds(final_rate, gamma)
    return chain(
        optax.ema(b1, debias=False),
        moment_bounded_scale(optax.ema(b2, debias=False), corrected, lower, upper, eps),
        decay_weights(product(learning_rate, weight_decay), mask),
        optax.scale(-1.0),
    )


def bias_corrections(b1: Scalar, b2: Scalar) -> optax.Schedule:
    """c, what Adam's two bias corrections are as a factor of the rate."""
    return lambda count: filled(b2, count) ** 0.5 / filled(b1, count)


def closing_bounds(
    final_rate: optax.ScalarOrSchedule, gamma: Scalar
) -> tuple[optax.Schedule, optax.Schedule]:
    """The lower and the upper bound of the rates, schedules that meet at the final rate."""

    def ratio(count: ArrayLike) -> jax.Array:
        t = step_number(count)
        return gamma * t / (gamma * t + 1)

    return product(final_rate, ratio), product(final_rate, lambda count: 1 / ratio(count))
