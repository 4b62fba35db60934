"""Cautious Lion (C-Lion): Liang et al. (2024), Algorithm 1; Chen et al. (2023), Algorithm 2."""

from typing import Any

import jax.numpy as jnp
import optax

from gradpow.core import Scalar, chain, check_optional_rate, check_rate, product
from gradpow.transforms import (
    decay_stepped_weights,
    interpolated_momentum,
    lp_steepest,
    momentum_scaling,
)

__all__ = ["cautious_lion"]


def cautious_lion(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.99,
    floor: Scalar = 1e-3,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Cautious Lion: Lion without the coordinates that go against the gradient.

    **Differs from optax.lion** in its decay: none unless asked for, and after the step. Per tensor,
    with the mask phi = 1 where u g > 0 and 0 elsewhere:

    .. math::
      u_t &= \mathrm{sign}(\beta_1 m_{t-1} + (1 - \beta_1) g_t), \qquad
      m_t = \beta_2 m_{t-1} + (1 - \beta_2) g_t \\
      \theta_t &= \theta_{t-1} - \eta_t\, \phi \circ u_t / \max(\mathrm{mean}\,\phi,
      \mathrm{floor}), \qquad \theta_t \leftarrow \theta_t - \eta_t \gamma \theta_t

    The authors' code has d / (n + 1) for the normaliser, n being the coordinates kept of d, and
    decays before the step.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.lion`; Lion's rates are 3 to 10 times
        below Adam's.
      b1: the weight of the past in the step, in [0, 1).
      b2: the weight of the past in the momentum, in [0, 1).
      floor: lower bound of the mean of the mask, in (0, 1].

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.cautious_lion(0.1)
      >>> params = jnp.zeros(2)
      >>> _, state = tx.update(jnp.array([1.0, 1.0]), tx.init(params), params)
      >>> tx.update(jnp.array([1.0, -0.05]), state, params)[0]  # the second step is masked
      Array([-0.2, -0. ], dtype=float32)

    References:
      Liang et al. (2024), Algorithm 1; Chen et al. (2023), Algorithm 2.
    """
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        interpolated_momentum(b1, b2),
        lp_steepest(jnp.inf),  # the sign
        momentum_scaling(negative_scale=0.0, zero_scale=0.0, floor=floor),
        optax.scale_by_learning_rate(learning_rate),
        decay_stepped_weights(product(learning_rate, weight_decay), mask),
    )
