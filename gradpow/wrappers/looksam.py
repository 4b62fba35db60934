"""LookSAM: Liu et al. (2022), Algorithm 1."""

import optax

from gradpow.core import Scalar, check, require_transformation
from gradpow.wrappers.ascend import along_gradient, ascend

__all__ = ["looksam"]


def looksam(
    base: optax.GradientTransformation, rho: Scalar = 0.1, every: int = 5, alpha: Scalar = 0.7
) -> optax.GradientTransformationExtraArgs:
    r"""LookSAM: SAM whose second gradient is taken every k-th step, and reused between.

    .. math::
      g_s &= \nabla f(\theta + \rho\, g / \|g\|_2), \qquad
      g_v = g_s - \frac{\langle g, g_s \rangle}{\|g\|_2^2}\, g && t \bmod k = 0 \\
      g_s &= g + \alpha \frac{\|g\|_2}{\|g_v\|_2}\, g_v && \text{else}

    ``base`` sees g_s. Norms are over the whole tree; public ports split leaf by leaf. The survey
    steps along g_v, and divides by another norm. With k = 1 it is :func:`gradpow.sam`.

    Args:
      base: an optimizer.
      rho: finite and >= 0; 0.1 is that of ports.
      every: k, an integer >= 1; the paper has 5 and 10.
      alpha: finite and >= 0; 0.7 is the paper's.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs the parameters and
      ``grad_fn``, see :func:`gradpow.inputs`.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp, optax
      >>> tx, theta = gradpow.looksam(optax.sgd(0.1), rho=0.5), jnp.ones(1)
      >>> grad_fn = jax.grad(lambda theta: jnp.sum(theta**2))
      >>> tx.update(grad_fn(theta), tx.init(theta), theta, grad_fn=grad_fn)[0]  # -0.1 * 2 * 1.5
      Array([-0.3], dtype=float32)

    References:
      Liu et al. (2022), Algorithm 1.
    """
    check("finite and >= 0", rho=rho, alpha=alpha)

    base = require_transformation("looksam's base", base)
    return ascend(along_gradient(rho), base, every, alpha)
