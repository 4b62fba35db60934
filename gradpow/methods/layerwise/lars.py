"""LARS: You et al. (2017), Algorithm 1; You et al. (2020), Algorithm 1."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import optax

from gradpow.core import Scalar, chain, check, check_choice, check_optional_rate, check_rate
from gradpow.transforms import decay_weights, trust_ratio

__all__ = ["lars"]


def lars(
    learning_rate: optax.ScalarOrSchedule,
    momentum: Scalar = 0.9,
    coefficient: Scalar = 1e-3,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    phi: Callable[[jax.Array], jax.Array] | None = None,
    form: Literal["paper", "norm", "lamb"] = "paper",
) -> optax.GradientTransformationExtraArgs:
    r"""LARS: momentum of gradients that are as long as a share of each tensor, for large batches.

    .. math::
      m_t = \mu m_{t-1} + \eta_t\, \frac{c\, \phi(\|\theta\|)}{\|g_t\| + \lambda \|\theta\|}\,
      (g_t + \lambda \theta), \qquad \theta \leftarrow \theta - m_t

    Norms are those of each tensor, and the fraction is 1 where one is 0. Two other forms:

    * "norm", that of :func:`optax.lars`, divides by the norm of the sum
      :math:`\|g_t + \lambda \theta\|`.
    * "lamb" is how the paper of LAMB restates it: m averages :math:`g_t + \lambda \theta` with
      :math:`\mu` and :math:`1 - \mu`, and the step is
      :math:`\eta_t\, c\, \phi(\|\theta\|)\, m_t / \|m_t\|`; there c is 1. The survey
      prints it with the norm of theta in the place of that of m.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`, but for no decay. Biases and
        norms are usually given to :func:`gradpow.sgd`, by :func:`optax.partition`.
      momentum: mu, the weight of the past, in [0, 1).
      coefficient: c, the share, finite and >= 0; 0.001 in the paper.
      phi: a function of a tensor's norm, see :func:`gradpow.lamb`; None for the norm itself.
      form: "paper", "norm" or "lamb".

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, params = gradpow.lars(0.1, coefficient=0.5), jnp.array([6.0, 8.0])
      >>> tx.update(jnp.array([0.0, 2.0]), tx.init(params), params)[0]  # -0.1 * 0.5 * 10
      Array([ 0. , -0.5], dtype=float32)

    References:
      You et al. (2017), Algorithm 1; You et al. (2020), Algorithm 1.
    """
    check("in [0, 1)", momentum=momentum)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    check_choice(("paper", "norm", "lamb"), form=form)
    decay = decay_weights(weight_decay, mask)
    ratio = trust_ratio(coefficient, phi=phi)
    rate = optax.scale_by_learning_rate(learning_rate)
    of_both = trust_ratio(coefficient, weight_decay, phi=phi, mask=mask)
    return {
        "paper": chain(of_both, rate, optax.trace(momentum)),
        "norm": chain(decay, ratio, rate, optax.trace(momentum)),
        "lamb": chain(decay, optax.ema(momentum, debias=False), ratio, rate),
    }[form]
