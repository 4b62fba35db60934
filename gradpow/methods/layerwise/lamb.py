"""LAMB: You et al. (2020), Algorithm 2."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate
from gradpow.transforms import decay_weights, trust_ratio

__all__ = ["lamb"]


def lamb(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-6,
    eps_root: Scalar = 0.0,
    weight_decay: optax.ScalarOrSchedule | None = 0.01,
    mask: Any = None,
    phi: Callable[[jax.Array], jax.Array] | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""LAMB: Adam whose steps are as long as a share of each tensor, for large batches.

    .. math::
      r_t = \hat m_t / (\sqrt{\hat v_t + \epsilon_{root}} + \epsilon), \qquad
      \theta_t = \theta_{t-1} - \eta_t\, \frac{\phi(\|\theta_{t-1}\|)}
      {\|r_t + \lambda \theta_{t-1}\|}\, (r_t + \lambda \theta_{t-1})

    Norms are those of each tensor, and the fraction is 1 where one is 0. Without phi it is
    :func:`optax.lamb`. The survey prints eps inside of the root, and one beside the norm.

    Args:
      learning_rate, b1, b2, eps, eps_root, weight_decay, mask: as in :func:`optax.adamw`, but for
        eps = 1e-6 and the decay of 0.01, the paper's.
      phi: a function of a tensor's norm, such as ``lambda norm: jnp.clip(norm, 0, 10)``, the
        survey's; None for the norm itself. The paper names no bounds. With
        ``optax.inject_hyperparams`` pass ``static_args=("mask", "phi")``.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params = jnp.array([3.0, 4.0])
      >>> for phi in (None, lambda norm: jnp.minimum(norm, 1.0)):
      ...   tx = gradpow.lamb(0.1, weight_decay=None, phi=phi)
      ...   print(tx.update(jnp.array([2.0, -2.0]), tx.init(params), params)[0].round(3))
      [-0.354  0.354]
      [-0.071  0.071]

    References:
      You et al. (2020), Algorithm 2.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        optax.scale_by_adam(b1, b2, eps, eps_root),
        decay_weights(weight_decay, mask),
        trust_ratio(phi=phi),
        optax.scale_by_learning_rate(learning_rate),
    )
