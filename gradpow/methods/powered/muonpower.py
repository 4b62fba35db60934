"""MuonPower: Wang et al. (2025), Section 3.4 and Appendix B.2; Liu et al. (2025), Section 2.2."""

from typing import Any

import optax

from gradpow.core import (
    Matrices,
    Scalar,
    chain,
    check,
    check_rate,
    hidden_matrices,
    require_mask,
)
from gradpow.transforms import decay_weights, orthogonalize, shape_scale
from gradpow.wrappers import gradpower, on_matrices

__all__ = ["muonpower"]


def muonpower(
    learning_rate: optax.ScalarOrSchedule,
    p: Scalar = 1.2,
    hidden: Matrices | Any = hidden_matrices,
    beta: Scalar = 0.95,
    consistent_rms: Scalar = 0.2,
    b1: Scalar = 0.9,
    b2: Scalar = 0.95,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule = 0.1,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""MuonPower: Muon on the powered gradients of hidden matrices, AdamPower on all else.

    :func:`gradpow.gradpower` around :func:`gradpow.moonlight`, whose techniques the paper adopts
    (weight decay, and updates brought to the root mean square of AdamW's, so that Adam's learning
    rate serves both), and :func:`optax.adamw`. For a hidden matrix of shape (a, b), with O the
    orthogonal factor that Newton and Schulz's iteration approximates, and rho = ``consistent_rms``:

    .. math::
      M_t &= \beta M_{t-1} + \varphi_p(G_t), \qquad
      \varphi_p(g) = \mathrm{sign}(g)\,|g|^p \\
      \Theta_{t+1} &= \Theta_t - \eta_t \bigl(\rho \sqrt{\max(a, b)}\;
      O(\beta M_t + \varphi_p(G_t)) + \lambda \Theta_t\bigr)

    Until version 0.2 it was around :func:`optax.contrib.muon`, which corrects the bias of M and G
    by different counts before it adds them: its first steps point elsewhere, by 0.3%.

    Args:
      learning_rate, b1, b2, weight_decay, mask: as in :func:`optax.adamw`, the rate and the decay
        of both parts.
      p: the power, > 0. Default from Section 3.4.
      hidden: which leaves are hidden matrices, with their axes, as in :func:`gradpow.on_matrices`.
        With ``optax.inject_hyperparams`` pass ``static_args=("mask", "hidden")``,
        or it takes callables for schedules.
      beta: decay of Muon's momentum, in [0, 1).
      consistent_rms: root mean square of Muon's updates, > 0; 0.2 is Moonlight's.
      eps: added to denominators, > 0.

    Raises:
      ValueError: at init, if ``hidden`` calls a leaf that is no matrix one.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params = {"embed": jnp.ones((4, 2)), "layer": {"kernel": jnp.ones((2, 2))}}
      >>> tx = gradpow.muonpower(1e-2)
      >>> updates, state = tx.update(params, tx.init(params), params)
      >>> sorted(state[1][0].inner_states)
      ['matrices', 'rest']

    References:
      Wang et al. (2025), Section 3.4 and Appendix B.2; Liu et al. (2025), Section 2.2.
    """
    check("in [0, 1)", beta=beta, b1=b1, b2=b2)
    check("finite and > 0", consistent_rms=consistent_rms, eps=eps)
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    require_mask(mask)

    moonlight = chain(
        optax.trace(beta, nesterov=True),
        orthogonalize(eps=eps, matrices=hidden),
        shape_scale("rms", consistent_rms, hidden),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
    adamw = optax.adamw(learning_rate, b1, b2, eps, weight_decay=weight_decay, mask=mask)
    return gradpower(on_matrices(moonlight, adamw, hidden), p)
