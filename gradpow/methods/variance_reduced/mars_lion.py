"""MARS-Lion: Yuan et al. (2025), Section 3."""

from collections.abc import Callable
from typing import Any

import optax

from gradpow.core import Matrices, Scalar, chain, check, check_rate, require_mask
from gradpow.methods.variance_reduced.mars_adamw import two_axes
from gradpow.transforms import clip_by_tensor_norm, decay_weights, gradient_correction
from gradpow.wrappers import at_previous_point, on_matrices

__all__ = ["mars_lion"]


def mars_lion(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.95,
    gamma: Scalar = 0.025,
    weight_decay: optax.ScalarOrSchedule = 0.0,
    mask: Any = None,
    rest: optax.GradientTransformation | None = None,
    matrices: Matrices | Any = two_axes,
    provider: Callable[
        [optax.GradientTransformation], optax.GradientTransformationExtraArgs
    ] = at_previous_point,
) -> optax.GradientTransformationExtraArgs:
    r"""MARS-Lion: the sign of a momentum of gradients of less variance.

    .. math::
      c_t &= g_t + \gamma \frac{\beta_1}{1 - \beta_1} (g_t - r_t), \qquad
      c_t \leftarrow \frac{c_t}{\max(1, \|c_t\|_2)} \\
      m_t &= \beta_1 m_{t-1} + (1 - \beta_1) c_t, \qquad
      \theta_t = \theta_{t-1} - \eta_t (\mathrm{sign}(m_t) + \lambda \theta_{t-1})

    One beta, where Lion has two. All else is as in :func:`gradpow.mars_adamw`.

    Its update needs the parameters, and the exact form ``grad_fn``, see :func:`gradpow.inputs`.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.lion`, of matrices.
      b1: beta_1, in [0, 1).
      gamma, rest, matrices, provider: as in :func:`gradpow.mars_adamw`.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp
      >>> tx, theta = gradpow.mars_lion(0.1), jnp.ones((1, 2))
      >>> grad_fn = jax.grad(lambda theta: jnp.sum(theta**2))
      >>> tx.update(grad_fn(theta), tx.init(theta), theta, grad_fn=grad_fn)[0]
      Array([[-0.1, -0.1]], dtype=float32)

    References:
      Yuan et al. (2025), Section 3.
    """
    check("in [0, 1)", b1=b1)
    check("finite and >= 0", gamma=gamma)
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    require_mask(mask)
    if rest is None:
        rest = optax.adamw(learning_rate, 0.9, 0.95, weight_decay=0.1)
    corrected = chain(
        gradient_correction(gamma * b1 / (1 - b1)),
        clip_by_tensor_norm(1.0),
        optax.ema(b1, debias=False),
        optax.scale_by_sign(),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
    return provider(chain(on_matrices(corrected, rest, matrices)))
