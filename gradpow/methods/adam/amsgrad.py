"""AMSGrad: Reddi et al. (2018), Algorithm 2."""

from typing import Any, Literal

import optax

from gradpow.core import (
    Scalar,
    chain,
    check,
    check_choice,
    check_optional_rate,
    check_rate,
    filled,
)
from gradpow.transforms import decay_weights, moment_scale, running_max

__all__ = ["amsgrad"]


def amsgrad(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    form: Literal["torch", "paper"] = "torch",
) -> optax.GradientTransformationExtraArgs:
    r"""AMSGrad: Adam over the largest second moment so far, so that no step grows again.

    m and v are Adam's raw averages. By default, as in PyTorch and the survey,

    .. math::
      \tilde v_t = \max(\tilde v_{t-1}, v_t), \qquad
      \theta_t = \theta_{t-1} - \eta_t \Bigl(\frac{m_t / (1 - \beta_1^t)}
      {\sqrt{\tilde v_t / (1 - \beta_2^t)} + \epsilon} + \lambda \theta_{t-1}\Bigr)

    The paper, ``form="paper"``, corrects no bias, lets the rate fall with :math:`t^{-1/2}` and has
    no eps. :func:`optax.amsgrad` takes the maximum of corrected moments by default.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, but for no decay.
        The paper takes b2 = 0.99 or 0.999.
      form: "torch" or "paper".

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.amsgrad(0.1, b1=0.0, b2=0.0)
      >>> _, state = tx.update(jnp.array([4.0, 1.0]), tx.init(jnp.zeros(2)))
      >>> tx.update(jnp.array([1.0, 1.0]), state)[0]
      Array([-0.025, -0.1  ], dtype=float32)

    References:
      Reddi et al. (2018), Algorithm 2.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    check_choice(("torch", "paper"), form=form)
    top = optax.chain(optax.ema(b2, debias=False), running_max())
    unbias = optax.scale_by_schedule(lambda count: 1 / filled(b2, count))
    first, second = {
        "torch": (optax.ema(b1), optax.chain(top, unbias)),
        "paper": (optax.ema(b1, debias=False), top),
    }[form]
    return chain(
        first,
        moment_scale(second, eps=eps),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
