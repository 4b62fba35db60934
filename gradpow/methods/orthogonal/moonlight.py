"""Moonlight: Liu et al. (2025), Section 2.2."""

from typing import Any

import optax

from gradpow.core import Matrices, Scalar, chain, check, check_rate, hidden_matrices, require_mask
from gradpow.methods.adam import adamw
from gradpow.transforms import NS5, Polynomials, decay_weights, orthogonalize, shape_scale
from gradpow.wrappers import on_matrices

__all__ = ["moonlight"]


def moonlight(
    learning_rate: optax.ScalarOrSchedule,
    b: Scalar = 0.95,
    rms: Scalar = 0.2,
    eps: Scalar = 1e-7,
    weight_decay: optax.ScalarOrSchedule = 0.1,
    mask: Any = None,
    iteration: Polynomials = NS5,
    hidden: Matrices | Any = hidden_matrices,
    rest: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Moonlight: Muon at AdamW's rate, by updates of its root mean square, with its decay.

    .. math::
      m_t &= \beta m_{t-1} + g_t, \qquad O_t = \mathrm{orthogonalize}(\beta m_t + g_t) \\
      \theta_t &= \theta_{t-1} - \eta_t \bigl(\rho \sqrt{\max(n_{in}, n_{out})}\; O_t
      + \lambda \theta_{t-1}\bigr)

    The momentum is a sum and looks ahead, as in the authors' code.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`, for both parts, but with a decay
        of 0.1.
      b: beta, the weight of the past, in [0, 1).
      rms: rho, finite and > 0: AdamW's updates have about 0.2.
      eps, iteration, hidden, rest: as in :func:`gradpow.muon`.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params = {"mlp": {"kernel": jnp.eye(2), "bias": jnp.ones(2)}}
      >>> tx = gradpow.moonlight(0.1, weight_decay=0.0)
      >>> updates, _ = tx.update(params, tx.init(params), params)
      >>> print(updates["mlp"]["kernel"].round(2), f"{updates['mlp']['bias'][0]:.2f}")
      [[-0.03 -0.  ]
       [-0.   -0.03]] -0.10

    References:
      Liu et al. (2025), Section 2.2.
    """
    check("in [0, 1)", b=b)
    check("finite and > 0", rms=rms)
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    require_mask(mask)
    return on_matrices(
        chain(
            optax.trace(b, nesterov=True),
            orthogonalize(iteration, eps, hidden),
            shape_scale("rms", rms, hidden),
            decay_weights(weight_decay, mask),
            optax.scale_by_learning_rate(learning_rate),
        ),
        rest or adamw(learning_rate, b2=0.95, weight_decay=weight_decay, mask=mask),
        hidden,
    )
