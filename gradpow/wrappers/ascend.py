"""Gradients uphill: Foret et al. (2021), Algorithm 1; Liu et al. (2022), Algorithm 1."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    Scalar,
    check,
    check_count,
    copied,
    guarded_divide,
    norm,
    reference_gradient,
    refuse_multi_steps,
    require_params,
    require_transformation,
)

__all__ = ["AscendState", "ascend"]


class AscendState(NamedTuple):
    """State of :func:`ascend`: g_v, kept where it is reused; count, the steps; inner."""

    g_v: Any
    count: jax.typing.ArrayLike
    inner: optax.OptState


def ascend(
    perturb: Callable[[Any, Any], Any],
    inner: optax.GradientTransformation,
    every: int = 1,
    reuse: Scalar = 0.0,
) -> optax.GradientTransformationExtraArgs:
    r"""Hands an optimizer this batch's gradient at a point uphill, every k-th step.

    .. math::
      g_s &= \nabla f(\theta + \epsilon(g, \theta), \xi_t), \qquad
      g_v = g_s - \frac{\langle g, g_s \rangle}{\|g\|_2^2}\, g
      && t \bmod k = 0 \\
      g_s &= g + \alpha \frac{\|g\|_2}{\|g_v\|_2}\, g_v && \text{else}

    Norms and products are over the whole tree. The second gradient is paid every k-th step alone.
    Where it may stand, and what ``grad_fn`` must be, is as for :func:`gradpow.at_previous_point`.
    With k = 1 nothing is kept, else g_v, of a gradient's size. In float32 norms above 1e19 are
    infinite.

    Args:
      perturb: from gradient and parameters to epsilon.
      inner: an optimizer.
      every: k, an integer >= 1.
      reuse: alpha, finite and >= 0.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs the parameters and
      ``grad_fn``, see :func:`gradpow.inputs`. A ``grad`` that is handed in becomes g_s too.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp, optax
      >>> tx = gradpow.ascend(lambda g, theta: g / 4, optax.sgd(0.1))
      >>> grad_fn, theta = jax.grad(lambda theta: jnp.sum(theta**2)), jnp.ones(1)
      >>> tx.update(grad_fn(theta), tx.init(theta), theta, grad_fn=grad_fn)[0]  # -0.1 * 2 * 1.5
      Array([-0.3], dtype=float32)

    References:
      Foret et al. (2021), Algorithm 1; Liu et al. (2022), Algorithm 1.
    """
    inner = require_transformation("ascend's inner", inner)
    check("finite and >= 0", reuse=reuse)
    check_count(every=every)

    def init(params):
        g_v = optax.tree.zeros_like(params) if every > 1 else ()
        return AscendState(g_v, jnp.zeros([], jnp.int32), inner.init(params))

    def update(updates, state, params=None, *, grad_fn=None, **extra_args):
        require_params("ascend", params)
        refuse_multi_steps("ascend")

        def uphill():
            point = jax.tree.map(
                lambda x, e: x + e.astype(x.dtype), params, perturb(updates, params)
            )
            return copied(reference_gradient("ascend", point, updates, grad_fn, None), updates)

        def fresh():
            g_s = uphill()
            return g_s, copied(_across(updates, g_s), state.g_v)

        if every == 1:
            g_s, g_v = uphill(), ()
        else:
            g_s, g_v = jax.lax.cond(
                state.count % every == 0, fresh, lambda: _reused(updates, state.g_v, reuse)
            )
        extra_args |= {"grad_fn": grad_fn} | ({"grad": g_s} if "grad" in extra_args else {})
        new_updates, new_inner = inner.update(g_s, state.inner, params, **extra_args)
        return new_updates, AscendState(g_v, optax.safe_increment(state.count), new_inner)

    return optax.GradientTransformationExtraArgs(init, update)


def along_gradient(rho: Scalar) -> Callable[[Any, Any], Any]:
    """SAM's perturbation: a step of length rho along the gradient, over the whole tree."""

    def perturb(g: Any, theta: Any) -> Any:
        del theta
        length = norm(g)
        return jax.tree.map(lambda g: rho * guarded_divide(g, length.astype(g.dtype)), g)

    return perturb


def _reused(g: Any, g_v: Any, reuse: Scalar) -> tuple[Any, Any]:
    scale = reuse * guarded_divide(norm(g), norm(g_v))
    return jax.tree.map(lambda g, v: g + (scale * v).astype(g.dtype), g, g_v), g_v


def _across(g: Any, g_s: Any) -> Any:
    """g_s without its part along g, by unit vectors, whose squares neither vanish nor overflow."""
    length = norm(g)
    unit = jax.tree.map(lambda g: guarded_divide(g, length.astype(g.dtype)), g)
    # jnp.vdot refuses axes that are sharded explicitly.
    products = jax.tree.map(lambda u, s: jnp.sum(u * s), unit, g_s)
    along = sum(jax.tree.leaves(products), start=jnp.zeros([]))
    return jax.tree.map(lambda s, u: s - along.astype(s.dtype) * u, g_s, unit)
