"""SGDP: Heo et al. (2021), Algorithm 1."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate, product
from gradpow.transforms import remove_radial

__all__ = ["sgdp"]


def sgdp(
    learning_rate: optax.ScalarOrSchedule,
    momentum: Scalar = 0.9,
    nesterov: bool = False,
    delta: Scalar = 0.1,
    wd_ratio: Scalar = 0.1,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    axis: int = -1,
) -> optax.GradientTransformationExtraArgs:
    r"""SGDP: momentum without the part along weights whose length does not matter.

    .. math::
      m_t = \mu m_{t-1} + g_t, \qquad
      \theta_t = \theta_{t-1} - \eta_t \Bigl(\Pi(m_t)
      + \frac{\rho_t \lambda}{1 - \mu}\, \theta_{t-1}\Bigr)

    Pi takes away the part along theta, and rho is ``wd_ratio``, where the gradient is at right
    angles to theta; elsewhere both are 1: :func:`gradpow.transforms.remove_radial`. The paper has
    no decay, its code has this one. The authors' package stores the projected momentum as the next
    m, by a slip, which neither the paper nor later ports do.

    Args:
      learning_rate, nesterov, weight_decay, mask: as in :func:`optax.sgd` and
        :func:`optax.adamw`, but for no decay.
      momentum: mu, the weight of the past, in [0, 1); 0.9 in the paper's experiments.
      delta: of the angle, finite and >= 0.
      wd_ratio: rho, the share of the decay that is left, in [0, 1].
      eps: of the norms, >= 0.
      axis: the axis of the channels: the last of a Flax kernel, the first in PyTorch.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params, grads = jnp.array([[2.0], [0.0]]), jnp.array([[0.0], [1.0]])
      >>> tx = gradpow.sgdp(0.1)
      >>> tx.update(grads, tx.init(params), params)[0].ravel()
      Array([-0. , -0.1], dtype=float32)

    References:
      Heo et al. (2021), Algorithm 1.
    """
    check("in [0, 1)", momentum=momentum)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    decay = product(weight_decay, 1 / (1 - momentum))
    return chain(
        optax.trace(momentum, nesterov),
        remove_radial(delta, decay, wd_ratio, eps, axis, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
