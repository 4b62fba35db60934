"""Yogi: Zaheer et al. (2018), Algorithm 2."""

from typing import Any, Literal

import optax

from gradpow.core import Scalar, chain, check, check_choice, check_optional_rate, check_rate
from gradpow.transforms import additive_mean, decay_weights, moment_scale

__all__ = ["yogi"]


def yogi(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-3,
    initial: Scalar = 1e-6,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    form: Literal["paper", "tensorflow"] = "paper",
) -> optax.GradientTransformationExtraArgs:
    r"""Yogi: Adam whose second moment moves by a share of the squared gradient, and no further.

    .. math::
      m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
      v_t = v_{t-1} - (1 - \beta_2)\, \mathrm{sign}(v_{t-1} - g_t^2)\, g_t^2 \\
      \theta_t &= \theta_{t-1} - \eta_t \Bigl(\frac{m_t}{\sqrt{v_t} + \epsilon}
      + \lambda \theta_{t-1}\Bigr)

    The paper corrects no bias. TensorFlow's form, which is :func:`optax.yogi`, does, and starts m
    at the initial value too: its first steps are about a third as long.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, but for no decay
        and eps = 1e-3, as in the paper, which advises a rate of 1e-2.
      initial: v_0, >= 0. The default is TensorFlow's.
      form: "paper" or "tensorflow".

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.yogi(0.1, b1=0.0, b2=0.75, eps=0.0, initial=0.0)
      >>> tx.update(jnp.array([3.0, -0.5]), tx.init(jnp.zeros(2)))[0]
      Array([-0.2,  0.2], dtype=float32)

    References:
      Zaheer et al. (2018), Algorithm 2.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, initial=initial)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    check_choice(("paper", "tensorflow"), form=form)
    scaled = {
        "paper": chain(
            optax.ema(b1, debias=False), moment_scale(additive_mean(b2, initial), eps=eps)
        ),
        "tensorflow": optax.scale_by_yogi(b1, b2, eps, initial_accumulator_value=initial),
    }
    return chain(
        scaled[form],
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
