"""SAM: Foret et al. (2021), Algorithm 1."""

import optax

from gradpow.core import Scalar, check, require_transformation
from gradpow.wrappers.ascend import along_gradient, ascend

__all__ = ["sam"]


def sam(
    base: optax.GradientTransformation, rho: Scalar = 0.05
) -> optax.GradientTransformationExtraArgs:
    r"""SAM: any optimizer, on the gradient where the loss nearby is highest.

    .. math::
      \epsilon_t = \rho \frac{g_t}{\|g_t\|_2}, \qquad
      g_t \leftarrow \nabla f(\theta_{t-1} + \epsilon_t, \xi_t)

    The norm is over the whole tree; the paper's p is 2, its best. A gradient of 0 has epsilon 0.
    :func:`optax.contrib.sam` takes an optimizer for epsilon, and a function of (params, i).

    Args:
      base: an optimizer.
      rho: finite and >= 0; the paper's grid for images is 0.01 to 0.5, around 0.05.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs the parameters and
      ``grad_fn``, see :func:`gradpow.inputs`. Twice the gradients; nothing is kept.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp, optax
      >>> tx, theta = gradpow.sam(optax.sgd(0.1), rho=0.5), jnp.ones(1)
      >>> grad_fn = jax.grad(lambda theta: jnp.sum(theta**2))
      >>> tx.update(grad_fn(theta), tx.init(theta), theta, grad_fn=grad_fn)[0]  # -0.1 * 2 * 1.5
      Array([-0.3], dtype=float32)

    References:
      Foret et al. (2021), Algorithm 1.
    """
    check("finite and >= 0", rho=rho)

    base = require_transformation("sam's base", base)
    return ascend(along_gradient(rho), base)
