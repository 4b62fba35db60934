"""Muon: Jordan et al. (2024), muon.py."""

from typing import Any

import optax

from gradpow.core import Matrices, Scalar, chain, check, check_rate, hidden_matrices, require_mask
from gradpow.methods.adam import adamw
from gradpow.transforms import (
    NS5,
    Polynomials,
    decay_weights,
    nesterov_pmoment,
    orthogonalize,
    shape_scale,
)
from gradpow.wrappers import on_matrices

__all__ = ["muon"]


def muon(
    learning_rate: optax.ScalarOrSchedule,
    b: Scalar = 0.95,
    eps: Scalar = 1e-7,
    weight_decay: optax.ScalarOrSchedule = 0.0,
    mask: Any = None,
    iteration: Polynomials = NS5,
    hidden: Matrices | Any = hidden_matrices,
    rest: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Muon: the orthogonal factor of Nesterov's momentum, for hidden matrices.

    .. math::
      m_t &= \beta m_{t-1} + (1 - \beta) g_t, \qquad
      O_t = \mathrm{orthogonalize}(\beta m_t + (1 - \beta) g_t) \\
      \theta_t &= \theta_{t-1} - \eta_t \bigl(\sqrt{\max(1, n_{out} / n_{in})}\; O_t
      + \lambda \theta_{t-1}\bigr)

    It is the author's code, at the precision of the parameters and not in bfloat16. Since
    :func:`optax.contrib.muon` corrects the bias of m and g by different counts before it adds them,
    its first steps point elsewhere.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`, by default without decay. The
        author's rate is 0.02, and 3e-4 for what AdamW takes.
      b: beta, the weight of the past, in [0, 1).
      eps: added to the norm by which the momentum is divided, >= 0.
      iteration: how the factor is found, as in :func:`gradpow.transforms.orthogonalize`.
      hidden: which leaves are hidden matrices, with their axes, as in :func:`gradpow.on_matrices`.
      rest: the optimizer of all other leaves; None is AdamW with b2 = 0.95 at the same rate and
        decay.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params = {"mlp": {"kernel": jnp.eye(2), "bias": jnp.ones(2)}}
      >>> tx = gradpow.muon(0.1)
      >>> updates, _ = tx.update(params, tx.init(params), params)
      >>> print(updates["mlp"]["kernel"].round(2), f"{updates['mlp']['bias'][0]:.2f}")
      [[-0.11 -0.  ]
       [-0.   -0.11]] -0.10

    References:
      Jordan et al. (2024), ``muon.py``.
    """
    check("in [0, 1)", b=b)
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    require_mask(mask)
    return on_matrices(
        chain(
            nesterov_pmoment(b),
            orthogonalize(iteration, eps, hidden),
            shape_scale("width", matrices=hidden),
            decay_weights(weight_decay, mask),
            optax.scale_by_learning_rate(learning_rate),
        ),
        rest or adamw(learning_rate, b2=0.95, weight_decay=weight_decay, mask=mask),
        hidden,
    )
