"""ASAM: Kwon et al. (2021), Algorithm 1."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Scalar, check, guarded_divide, norm, require_transformation
from gradpow.wrappers.ascend import ascend

__all__ = ["asam"]


def asam(
    base: optax.GradientTransformation, rho: Scalar = 0.5, eta: Scalar = 0.01
) -> optax.GradientTransformationExtraArgs:
    r"""ASAM: SAM in a neighbourhood that scales with the parameters.

    .. math::
      T = \mathrm{diag}(|\theta_{t-1}| + \eta), \qquad
      \epsilon_t = \rho \frac{T^2 g_t}{\|T g_t\|_2}, \qquad
      g_t \leftarrow \nabla f(\theta_{t-1} + \epsilon_t, \xi_t)

    T is 1 for leaves with one axis or none, biases and scales, as the authors' code has it for
    biases. The norm is over the whole tree. The survey has T for T^2. eta = 0 is what some ports
    have.

    Args:
      base: an optimizer.
      rho: finite and >= 0; the paper has 0.5 for images.
      eta: finite and >= 0; the paper has 0.01.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs the parameters and
      ``grad_fn``, see :func:`gradpow.inputs`. Twice the gradients; nothing is kept.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp, optax
      >>> tx, theta = gradpow.asam(optax.sgd(0.1), rho=0.5, eta=0.0), 2 * jnp.ones((1, 1))
      >>> grad_fn = jax.grad(lambda theta: jnp.sum(theta**2))
      >>> tx.update(grad_fn(theta), tx.init(theta), theta, grad_fn=grad_fn)[0]  # -0.1 * 2 * 3
      Array([[-0.6]], dtype=float32)

    References:
      Kwon et al. (2021), Algorithm 1.
    """
    check("finite and >= 0", rho=rho, eta=eta)

    def scale(theta: jax.Array) -> jax.Array:
        return jnp.abs(theta) + eta if theta.ndim > 1 else jnp.ones_like(theta)

    def perturb(g: Any, theta: Any) -> Any:
        t = jax.tree.map(lambda x, g: scale(x).astype(g.dtype), theta, g)
        scaled = jax.tree.map(lambda t, g: t * g, t, g)
        length = norm(scaled)

        def step(t, u):
            return rho * t * guarded_divide(u, jnp.asarray(length, u.dtype))

        return jax.tree.map(step, t, scaled)

    base = require_transformation("asam's base", base)
    return ascend(perturb, base)
