"""Full-matrix AdaGrad (AdaReg): Duchi et al. (2011), Figure 1; Gupta et al. (2017), Algorithm 1."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate
from gradpow.transforms import decay_weights, gram_precondition

__all__ = ["full_matrix_adagrad"]


def full_matrix_adagrad(
    learning_rate: optax.ScalarOrSchedule,
    power: Scalar = 0.5,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AdaGrad with the whole matrix, and AdaReg's two cases: AdaGrad and the online Newton step.

    .. math::
      G_t = G_{t-1} + g_t g_t^\top, \qquad
      \theta_t = \theta_{t-1}
      - \eta_t \bigl((G_t + \epsilon_{root} I)^{r} + \epsilon I\bigr)^{-1} g_t

    g is a tensor as one column, so G has the square of its size: for small tensors. r = 1/2 with
    eps is Duchi et al.'s full matrix, with eps_root it is AdaReg's for
    :math:`\Phi(H) = \eta^2 \mathrm{tr}\, H^{-1}`; r = 1 is AdaReg's for
    :math:`\Phi(H) = -\eta \log |H|`, the online Newton step without its projection. The survey
    prints both without eta and epsilon I, with a singular G. The default of eps is ours.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`, by default without decay.
      power: r, finite and > 0.
      eps: Duchi et al.'s delta, >= 0.
      eps_root: AdaReg's epsilon, >= 0.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.full_matrix_adagrad(1.25)
      >>> updates, _ = tx.update(jnp.array([3.0, -4.0]), tx.init(jnp.zeros(2)))
      >>> [f"{u:.3f}" for u in updates]  # 1.25 g / |g|
      ['-0.750', '1.000']

    References:
      Duchi et al. (2011), Figure 1; Gupta et al. (2017), Algorithm 1; Hazan et al. (2007).
    """
    check("finite and > 0", power=power)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        gram_precondition(optax.trace(1.0), power, eps, eps_root, flat=True),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
