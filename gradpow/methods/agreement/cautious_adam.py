"""Cautious Adam (C-AdamW): Liang et al. (2024), Algorithm 1; AMS authors (2025), Definition 3.2."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate, product
from gradpow.transforms import decay_stepped_weights, momentum_scaling

__all__ = ["cautious_adam"]


def cautious_adam(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-6,
    eps_root: Scalar = 0.0,
    floor: Scalar = 1e-3,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Cautious Adam: Adam without the coordinates that go against the gradient.

    **Defaults differ from optax.adamw's**: eps = 1e-6 (Appendix F of the AMS paper) and no decay,
    which comes after the step. Per tensor, phi is 1 where u g > 0 and 0 elsewhere, u Adam's update:

    .. math::
      \theta_t = \theta_{t-1} - \eta_t\, \phi \circ u_t / \max(\mathrm{mean}\,\phi, \mathrm{floor}),
      \qquad \theta_t \leftarrow \theta_t - \eta_t \gamma \theta_t

    The AMS paper masks by >=, which is ``gradpow.ams(..., negative_scale=0.0)``: the two differ
    where gradients are exactly 0. Its Definition 3.2 prints a normaliser by the norm of u where its
    Algorithm 1 needs that of the mask, as here. Liang et al.'s code decays before the step.

    Args:
      learning_rate, b1, b2, eps, eps_root, weight_decay, mask: as in :func:`optax.adamw`.
      floor: lower bound of the mean of the mask, in (0, 1]; 1e-3 is that of the authors' code.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.cautious_adam(0.1)
      >>> _, state = tx.update(jnp.array([1.0, 1.0]), tx.init(jnp.zeros(2)))
      >>> tx.update(jnp.array([1.0, -0.5]), state)[0].round(3)
      Array([-0.2, -0. ], dtype=float32)

    References:
      Liang et al. (2024), Algorithm 1; AMS authors (2025), Definition 3.2.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        optax.scale_by_adam(b1, b2, eps, eps_root),
        momentum_scaling(negative_scale=0.0, zero_scale=0.0, floor=floor),
        optax.scale_by_learning_rate(learning_rate),
        decay_stepped_weights(product(learning_rate, weight_decay), mask),
    )
