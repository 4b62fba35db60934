"""PolarGrad: Lau et al. (2025), polar_grad.py."""

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

__all__ = ["polargrad"]


def polargrad(
    learning_rate: optax.ScalarOrSchedule,
    eps: Scalar = 0.0,
    weight_decay: optax.ScalarOrSchedule = 0.0,
    mask: Any = None,
    iteration: Polynomials = POLAR_EXPRESS,
    hidden: Matrices | Any = hidden_matrices,
    rest: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""PolarGrad: steepest descent for matrices by the spectral norm, with its length.

    .. math::
      g_t = U S V^\top, \qquad
      \theta_t = \theta_{t-1} - \eta_t \bigl(\mathrm{tr}(S)\, U V^\top
      + \lambda \theta_{t-1}\bigr)

    Unlike Muon's, its steps vanish with the gradient. tr S is the product of g and the factor that
    the iteration finds. The authors find it by QDWH, which solves systems and is exact; eight steps
    of :func:`gradpow.transforms.polar_express` are products alone, and exact for singular values
    above a thousandth of the norm.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`, by default without decay.
      eps: added to the norm by which the gradient is divided, >= 0.
      iteration, hidden, rest: as in :func:`gradpow.muon`.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params = {"mlp": {"kernel": jnp.diag(jnp.array([3.0, 1.0]))}}
      >>> tx = gradpow.polargrad(0.1)
      >>> print(tx.update(params, tx.init(params), params)[0]["mlp"]["kernel"].round(3))
      [[-0.4 -0. ]
       [-0.  -0.4]]

    References:
      Lau et al. (2025), and ``polar_grad.py`` of its authors.
    """
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    require_mask(mask)
    return on_matrices(
        chain(
            dual_norm_scale(orthogonalize(iteration, eps, hidden), matrices=hidden),
            decay_weights(weight_decay, mask),
            optax.scale_by_learning_rate(learning_rate),
        ),
        rest or adamw(learning_rate, b2=0.95, weight_decay=weight_decay, mask=mask),
        hidden,
    )
