"""Scion (uScion): Pethick et al. (2025), Algorithms 1 and 2, Section 4 and scion.py."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import optax

from gradpow.core import Scalar, chain, check, check_rate, layer_balls, layer_role
from gradpow.transforms import NS5, Polynomials, decay_weights, lmo

__all__ = ["scion"]


def scion(
    learning_rate: optax.ScalarOrSchedule,
    radius: Scalar = 50.0,
    output_radius: Scalar = 3000.0,
    b: Scalar = 0.9,
    constrained: bool = True,
    norms: Mapping[str, str] | None = None,
    role: Callable[[str, Any], str] = layer_role,
    iteration: Polynomials | Literal["svd"] = NS5,
) -> optax.GradientTransformationExtraArgs:
    r"""Scion: steps of the same size in each layer's own norm, so that rates carry over to widths.

    .. math::
      M_t = \beta M_{t-1} + (1 - \beta) G_t, \qquad
      \Theta_t = (1 - \eta_t) \Theta_{t-1} + \eta_t\, \mathrm{lmo}(M_t)

    is :func:`gradpow.scg`, without (1 - eta) if not ``constrained``, in the norm that
    :func:`gradpow.core.layer_role` calls for. With m inputs, n outputs, M = U S V':

    ==============  ============================================  =====================
    role            -lmo(M) / rho                                 norm
    ==============  ============================================  =====================
    ``hidden``      :math:`\sqrt{n/m}\; U V^\top`                 ``"rms_to_rms"``
    ``embedding``   every word's row over its RMS                 ``"l1_to_rms"``
    ``input``       :math:`\max(1, \sqrt{n/m})\; U V^\top`        ``"rms_to_rms_max"``
    ``conv``        :math:`\sqrt{n/m}\; U V^\top / k`             ``"conv"``
    ``output``      sign(M) / m                                   ``"mean_to_linf"``
    ``tied``        sign(M) / m, m the axis of features           ``"mean_to_linf"``
    ``vector``      M over its RMS                                ``"rms"``
    ==============  ============================================  =====================

    of a k x k convolution m counts :math:`k^2` places, as the authors' code has it. Weights should
    start on the ball: :func:`gradpow.core.start_on_balls`. Constrained, all decays, vectors too.

    Args:
      learning_rate: eta, a number in [0, 1] or a schedule; 2^-12 in the authors' nanoGPT.
      radius: of all layers but the output, > 0. 50 in nanoGPT, 25 in DeiT, 8 in a small CNN.
      output_radius: of outputs and tied embeddings, > 0; 3000, 500 and 128 there.
      b: beta, the weight of the past, in [0, 1); 1 less the authors' momentum.
      constrained: whether the weights stay in the balls.
      norms: of the roles whose norm shall be another, such as ``{"output": "rms_to_linf"}``.
      role: from path and leaf to a role. Print ``gradpow.describe_split(params, layer_role)``.
      iteration: as in :func:`gradpow.transforms.lmo`.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params = {"mlp": {"kernel": jnp.eye(2)}, "lm_head": {"kernel": jnp.ones((2, 4))}}
      >>> tx = gradpow.scion(0.25, 1.0, output_radius=4.0, constrained=False, iteration="svd")
      >>> updates, _ = tx.update(params, tx.init(params), params)
      >>> print(updates["mlp"]["kernel"], updates["lm_head"]["kernel"][0])
      [[-0.25 -0.  ]
       [-0.   -0.25]] [-0.5 -0.5 -0.5 -0.5]

    References:
      Pethick et al. (2025), Algorithms 1 and 2, Section 4; ``scion.py``.
    """
    check("in [0, 1)", b=b)
    check("finite and > 0", radius=radius, output_radius=output_radius)
    check_rate(learning_rate=learning_rate)
    radii = {"hidden": radius, "output": output_radius, "tied": output_radius}
    return chain(
        optax.ema(b, debias=False),
        lmo(layer_balls(radii, norms, role), iteration=iteration),
        decay_weights(1.0 if constrained else None),
        optax.scale_by_learning_rate(learning_rate),
    )
