"""AdamP: Heo et al. (2021), Algorithm 2."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate
from gradpow.transforms import remove_radial

__all__ = ["adamp"]


def adamp(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    delta: Scalar = 0.1,
    wd_ratio: Scalar = 0.1,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    axis: int = -1,
) -> optax.GradientTransformationExtraArgs:
    r"""AdamP: Adam without the part along weights whose length does not matter.

    .. math::
      p_t = \hat m_t / (\sqrt{\hat v_t + \epsilon_{root}} + \epsilon), \qquad
      \theta_t = \theta_{t-1} - \eta_t (\Pi(p_t) + \rho_t \lambda \theta_{t-1})

    Where the gradient is at right angles to theta, Pi takes away the part along theta, and rho is
    ``wd_ratio``: :func:`gradpow.transforms.remove_radial`. The survey prints neither the absolute
    value of the cosine nor the channels.

    Args:
      learning_rate, b1, b2, eps, eps_root, weight_decay, mask: as in :func:`optax.adamw`, with no
        decay, the default of the authors' code; eps is that of the cosine, too.
      delta, axis: of the angle, finite and >= 0; of channels, the last of a Flax kernel.
      wd_ratio: rho, the share of the decay that is left, in [0, 1].

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params, grads = jnp.array([[2.0], [0.0]]), jnp.array([[0.0], [1.0]])
      >>> tx = gradpow.adamp(0.1)
      >>> tx.update(grads, tx.init(params), params)[0].ravel().round(3)
      Array([-0. , -0.1], dtype=float32)

    References:
      Heo et al. (2021), Algorithm 2.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        optax.scale_by_adam(b1, b2, eps, eps_root),
        remove_radial(delta, weight_decay, wd_ratio, eps, axis, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
