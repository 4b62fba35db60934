"""MARS around any optimizer: Yuan et al. (2025), Algorithm 1."""

from collections.abc import Callable

import optax

from gradpow.core import Scalar, chain, check, require_transformation
from gradpow.transforms import clip_by_tensor_norm, gradient_correction
from gradpow.wrappers.at_previous_point import at_previous_point

__all__ = ["mars"]


def mars(
    base: optax.GradientTransformation,
    b1: Scalar = 0.95,
    gamma: Scalar = 0.025,
    max_norm: Scalar = 1.0,
    provider: Callable[
        [optax.GradientTransformation], optax.GradientTransformationExtraArgs
    ] = at_previous_point,
) -> optax.GradientTransformationExtraArgs:
    r"""Feeds an optimizer with gradients of less variance.

    .. math::
      c_t = g_t + \gamma \frac{\beta_1}{1 - \beta_1} (g_t - r_t), \qquad
      c_t \leftarrow \frac{c_t}{\max(1, \|c_t\|_2)} \text{ for each tensor}

    With :func:`gradpow.at_previous_point` r is this batch's gradient at the last parameters, the
    exact form, at twice the gradients; with :func:`gradpow.lagged_gradient` it is the last
    gradient, the approximate form, at no cost. ``base`` sees c alone. The paper corrects matrices
    alone and leaves the rest to AdamW, as :func:`gradpow.mars_adamw` does.

    Args:
      base: an optimizer, whose momentum is b1.
      b1: beta_1, of the base, in [0, 1).
      gamma: finite and >= 0; 0.025 is the authors', 0 leaves the clipping alone.
      max_norm: of a tensor, finite and > 0; the paper has 1.
      provider: what hands r on.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs what the provider does.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp, optax
      >>> tx, theta = gradpow.mars(optax.sgd(0.1), b1=0.5, gamma=0.5), jnp.ones(1)
      >>> grad_fn = jax.grad(lambda theta: jnp.sum(theta**2) / 4)
      >>> tx.update(grad_fn(theta), tx.init(theta), theta, grad_fn=grad_fn)[0]
      Array([-0.05], dtype=float32)

    References:
      Yuan et al. (2025), Algorithm 1.
    """
    check("in [0, 1)", b1=b1)
    check("finite and >= 0", gamma=gamma)
    base = require_transformation("mars's base", base)
    correction = gradient_correction(gamma * b1 / (1 - b1))
    return provider(chain(correction, clip_by_tensor_norm(max_norm), base))
