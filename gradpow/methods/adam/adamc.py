"""AdamC: Defazio (2025)."""

from collections.abc import Callable
from typing import Any

import optax

from gradpow.core import (
    Scalar,
    chain,
    check,
    check_rate,
    map_with_names,
    parameter_kind,
    parameter_part,
    product,
    require_mask,
)
from gradpow.transforms import decay_weights

__all__ = ["adamc"]


def _followed_by_a_norm(path: str) -> bool:
    """All matrices of a transformer but its head and embeddings."""
    return parameter_kind(path) == "matrix" and parameter_part(path) != "head"


def adamc(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    weight_decay: optax.ScalarOrSchedule = 1e-4,
    mask: Any = None,
    peak: Scalar | None = None,
    normalized: Callable[[str], bool] = _followed_by_a_norm,
) -> optax.GradientTransformationExtraArgs:
    r"""AdamC: AdamW whose decay falls with the rate, so that gradients do not grow at the end.

    .. math::
      \theta_t = \theta_{t-1} - \eta_t \Bigl(\hat m_t / (\sqrt{\hat v_t + \epsilon_{root}}
      + \epsilon) + \frac{\eta_t}{\eta_{\max}}\, \lambda\, \theta_{t-1}\Bigr)

    for the layers that a normalisation follows, in a transformer all linear ones but the head; the
    other leaves decay as in AdamW, which it is at a constant rate.

    Args:
      learning_rate, b1, b2, eps, eps_root, weight_decay, mask: as in :func:`optax.adamw`, with its
        defaults.
      peak: the largest rate of the schedule, finite and > 0; None where the rate is no schedule.
      normalized: from the path of a leaf (its names joined by "/") to whether a normalisation
        follows. With ``optax.inject_hyperparams`` pass ``static_args=("mask", "normalized")``.

    Raises:
      ValueError: if the rate is a schedule, and its peak is not given.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> rate = optax.linear_schedule(0.2, 0.0, 10)
      >>> tx, params = gradpow.adamc(rate, weight_decay=1.0, peak=0.4), {"kernel": jnp.ones(1)}
      >>> tx.update({"kernel": jnp.zeros(1)}, tx.init(params), params)[0]
      {'kernel': Array([-0.1], dtype=float32)}

    References:
      Defazio (2025).
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check("finite and > 0", **({} if peak is None else {"peak": peak}))
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    require_mask(mask)
    if peak is None and callable(learning_rate):
        raise ValueError("adamc needs the largest rate of the schedule: pass peak.")
    corrected = weight_decay if peak is None else product(weight_decay, learning_rate, 1 / peak)
    decay = optax.partition(
        {"normalized": decay_weights(corrected), "other": decay_weights(weight_decay)},
        lambda params: map_with_names(
            lambda path, _: "normalized" if normalized(path) else "other", params
        ),
    )
    return chain(
        optax.scale_by_adam(b1, b2, eps, eps_root),
        optax.masked(decay, True if mask is None else mask),
        optax.scale_by_learning_rate(learning_rate),
    )
