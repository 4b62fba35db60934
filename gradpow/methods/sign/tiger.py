"""Tiger: Su (2023), tiger.py."""

from collections.abc import Callable
from typing import Any

import optax

from gradpow.core import (
    Scalar,
    chain,
    check,
    check_optional_rate,
    check_rate,
    map_with_names,
    parameter_kind,
)
from gradpow.transforms import decay_weights, parameter_rms_scale

__all__ = ["tiger"]


def tiger(
    learning_rate: optax.ScalarOrSchedule,
    b: Scalar = 0.965,
    weight_decay: optax.ScalarOrSchedule | None = 0.01,
    mask: Any = None,
    kind: Callable[[str], str] = parameter_kind,
    min_scale: Scalar = 0.0,
) -> optax.GradientTransformationExtraArgs:
    r"""Tiger: the sign of one momentum, at a rate relative to the size of the parameters.

    .. math::
      m_t &= \beta m_{t-1} + (1 - \beta) g_t \\
      \theta_t &= \theta_{t-1} - \eta_t\, \mathrm{RMS}(\theta_{t-1})
      (\mathrm{sign}(m_t) + \lambda \theta_{t-1}) && \text{matrices, and embeddings row by row} \\
      \theta_t &= \theta_{t-1} - \tfrac12 \eta_t\, \mathrm{sign}(m_t) && \text{norms and biases}

    Defaults are those of the author's code. The survey leaves out the rows. The code also skips
    gradients that are NaN and accumulates gradients in m, which is left to
    :func:`optax.apply_if_finite` and :class:`optax.MultiSteps`. Without the root mean squares it is
    Lion with equal betas, which some ports call Tiger.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`; a rate of 1e-3 moves matrices by
        a thousandth of their size.
      b: beta, the weight of the past, in [0, 1).
      kind: from the path of a leaf (its names joined by "/") to "matrix", "embedding" or "vector".
        With ``optax.inject_hyperparams`` pass ``static_args=("mask", "kind")``, or it takes
        callables for schedules.
      min_scale: lower bound of the root mean square, >= 0. Without one, as in the author's code, a
        matrix of zeros never moves.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params = {"kernel": jnp.array([3.0, -3.0]), "bias": jnp.ones(2)}
      >>> tx = gradpow.tiger(0.1, weight_decay=None)
      >>> tx.update({"kernel": jnp.ones(2), "bias": jnp.ones(2)}, tx.init(params), params)[0]
      {'bias': Array([-0.05, -0.05], dtype=float32), 'kernel': Array([-0.3, -0.3], dtype=float32)}

    References:
      Su (2023), ``tiger.py``.
    """
    check("in [0, 1)", b=b)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)

    def relative(rows: bool) -> optax.GradientTransformation:
        return optax.chain(decay_weights(weight_decay, mask), parameter_rms_scale(rows, min_scale))

    return chain(
        optax.ema(b, debias=False),
        optax.scale_by_sign(),
        optax.partition(
            {"matrix": relative(False), "embedding": relative(True), "vector": optax.scale(0.5)},
            lambda params: map_with_names(lambda path, _: kind(path), params),
        ),
        optax.scale_by_learning_rate(learning_rate),
    )
