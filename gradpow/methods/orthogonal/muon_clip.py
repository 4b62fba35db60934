"""MuonClip: Bai et al. (2025), Algorithm 1."""

from collections.abc import Callable
from typing import Any

import optax

from gradpow.core import (
    AttentionRole,
    Matrices,
    Scalar,
    attention_role,
    chain,
    check,
    check_rate,
    hidden_matrices,
    require_mask,
)
from gradpow.methods.adam import adamw
from gradpow.transforms import NS5, Polynomials, decay_weights, orthogonalize, shape_scale
from gradpow.wrappers import on_matrices, qk_clip

__all__ = ["muon_clip"]


def muon_clip(
    learning_rate: optax.ScalarOrSchedule,
    b: Scalar = 0.95,
    rms: Scalar = 0.2,
    tau: Scalar = 100.0,
    alpha: Scalar = 0.5,
    eps: Scalar = 1e-7,
    weight_decay: optax.ScalarOrSchedule = 0.1,
    mask: Any = None,
    iteration: Polynomials = NS5,
    roles: Callable[[str], AttentionRole] = attention_role,
    hidden: Matrices | Any = hidden_matrices,
    rest: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""MuonClip: Muon at AdamW's rate, after which queries and keys of large logits are clipped.

    .. math::
      m_t &= \beta m_{t-1} + g_t, \qquad O_t = \mathrm{orthogonalize}(m_t) \\
      \theta_t &= \theta_{t-1} - \eta_t \bigl(\rho \sqrt{\max(n_{in}, n_{out})}\; O_t
      + \lambda \theta_{t-1}\bigr), \qquad
      W_q^h, W_k^h \leftarrow \sqrt{\min(1, \tau / S_h)}\; (W_q^h, W_k^h)

    :func:`gradpow.qk_clip` around a :func:`gradpow.moonlight` that does not look ahead, as the
    paper's box has it. The update needs ``max_logits``, S, see there.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`, for both parts, but with a decay
        of 0.1.
      b: beta, the weight of the past, in [0, 1).
      rms: rho, finite and > 0.
      tau, alpha, roles: as in :func:`gradpow.qk_clip`.
      eps, iteration, hidden, rest: as in :func:`gradpow.muon`.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params = {"attn": {"query": jnp.ones((2, 2)), "key": jnp.ones((2, 2))}}
      >>> tx = gradpow.muon_clip(1e-3)
      >>> logits = {"attn": jnp.array([400.0])}
      >>> updates, _ = tx.update(params, tx.init(params), params, max_logits=logits)
      >>> updates["attn"]["query"].round(2)[0, 0]
      Array(-0.5, dtype=float32)

    References:
      Bai et al. (2025), Algorithm 1.
    """
    check("in [0, 1)", b=b)
    check("in [0, 1]", alpha=alpha)
    check("finite and > 0", rms=rms, tau=tau)
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    require_mask(mask)
    muon = on_matrices(
        chain(
            optax.trace(b),
            orthogonalize(iteration, eps, hidden),
            shape_scale("rms", rms, hidden),
            decay_weights(weight_decay, mask),
            optax.scale_by_learning_rate(learning_rate),
        ),
        rest or adamw(learning_rate, b2=0.95, weight_decay=weight_decay, mask=mask),
        hidden,
    )
    return qk_clip(muon, tau, alpha, roles)
