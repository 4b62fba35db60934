"""PolarMuon: Lau et al. (2025), polar_grad.py."""

from typing import Any

import optax

from gradpow.core import Matrices, Scalar, chain, check_rate, hidden_matrices, require_mask
from gradpow.methods.adam import adamw
from gradpow.transforms import (
    POLAR_EXPRESS,
    Polynomials,
    decay_weights,
    dual_norm_scale,
    orthogonalize,
)
from gradpow.wrappers import on_matrices

__all__ = ["polarmuon"]


def polarmuon(
    learning_rate: optax.ScalarOrSchedule,
    b: Scalar = 0.95,
    eps: Scalar = 0.0,
    weight_decay: optax.ScalarOrSchedule = 0.0,
    mask: Any = None,
    iteration: Polynomials = POLAR_EXPRESS,
    hidden: Matrices | Any = hidden_matrices,
    rest: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""PolarMuon: PolarGrad of a momentum, and so Muon with the nuclear norm for its length.

    .. math::
      m_t &= \beta m_{t-1} + (1 - \beta) g_t = U S V^\top \\
      \theta_t &= \theta_{t-1} - \eta_t \bigl(\mathrm{tr}(S)\, U V^\top
      + \lambda \theta_{t-1}\bigr)

    No bias is corrected. The factor is found as in :func:`gradpow.polarmuon`.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`, by default without decay.
      b: beta, the weight of the past, in [0, 1).
      eps: added to the norm by which the momentum is divided, >= 0.
      iteration, hidden, rest: as in :func:`gradpow.muon`.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params = {"mlp": {"kernel": jnp.diag(jnp.array([3.0, 1.0]))}}
      >>> tx = gradpow.polarmuon(0.1, b=0.5)
      >>> print(tx.update(params, tx.init(params), params)[0]["mlp"]["kernel"].round(3))
      [[-0.2 -0. ]
       [-0.  -0.2]]

    References:
      Lau et al. (2025), and ``polar_grad.py`` of its authors.
    """
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    require_mask(mask)
    return on_matrices(
        chain(
            optax.ema(b, debias=False),
            dual_norm_scale(orthogonalize(iteration, eps, hidden), matrices=hidden),
            decay_weights(weight_decay, mask),
            optax.scale_by_learning_rate(learning_rate),
        ),
        rest or adamw(learning_rate, b2=0.95, weight_decay=weight_decay, mask=mask),
        hidden,
    )
