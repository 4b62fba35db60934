"""Division by a p-norm of the gradient's past: Peng et al. (2025), Algorithm 1, lines 5 to 7."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Scalar, check, guarded_divide, power_mean, require_grad

__all__ = ["PNormScaleState", "p_norm_scale"]


class PNormScaleState(NamedTuple):
    """State of :func:`p_norm_scale`: root = s_t(p)^{1/p}, shaped as the parameters."""

    root: optax.Updates


def p_norm_scale(
    b: Scalar, p: Scalar, nesterov: bool = True, eps: Scalar = 0.0
) -> optax.GradientTransformationExtraArgs:
    r"""Divides the update by an average p-norm of the raw gradient.

    .. math::
      s_t &= \beta s_{t-1} + (1 - \beta)\,|g_t|^p \\
      b_t &= \bigl(\beta s_t + (1 - \beta)\,|g_t|^p\bigr)^{1/p} \\
      u_t &\leftarrow u_t / (b_t + \epsilon), \qquad 0/0 = 0

    Elementwise, without bias correction, s_0 = 0. g is the extra argument ``grad``, the gradient
    that entered the chain, and u the update that the links before this one made of it.

    The state holds s^{1/p}, in the units of the gradient, and is averaged at a scale of its own:
    gradients of 1e-28 to 1e34 count in float32, where the bare cube would lose those below 1e-13.
    Where no gradient has come yet, or where its trace has decayed below the smallest normal number,
    the update is 0 and never NaN. At p = 1 a coordinate whose gradient has died keeps its last
    ratio until then (some 1,700 steps at b = 0.95) and drops to 0 at once: that is the method.

    Args:
      b: the weight of the past, in [0, 1). S3 uses 0.95, the same as for its momentum: then no
        update exceeds 1 (Theorem 2).
      p: the order of the norm, in [1, 100]. S3 recommends 3; 1 is the cheapest.
      nesterov: divide by the look-ahead b_t of S3, or by s_t^{1/p} if False.
      eps: added to the denominator, >= 0. S3 has none.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``grad``, which
      :func:`gradpow.chain` passes on.

    Raises:
      ValueError: at update, if ``grad`` is missing or of another structure than the updates.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import p_norm_scale
      >>> tx = p_norm_scale(0.5, p=2)
      >>> g = jnp.array([2.0, -1e-20, 0.0])
      >>> updates, state = tx.update(g, tx.init(g), grad=g)
      >>> print(updates.round(2))  # g / (0.75 g^2)^(1/2)
      [ 1.15 -1.15  0.  ]

    References:
      Peng et al. (2025), Algorithm 1 and Theorem 2.
    """
    check("in [0, 1)", b=b)
    check("in [1, 100]", p=p)
    check("finite and >= 0", eps=eps)

    def init(params):
        return PNormScaleState(root=optax.tree.zeros_like(params))

    def update(updates, state, params=None, *, grad=None, **extra_args):
        del params, extra_args
        require_grad("p_norm_scale", grad, updates)

        def average(root, g):
            return power_mean(root, jnp.abs(g), b, p)

        root = jax.tree.map(average, state.root, grad)
        # From the new average, though b^2 on the old one would take fewer powers: XLA on CPU copies
        # a state that is read after its successor is written, and that took twice as long.
        norm = jax.tree.map(average, root, grad) if nesterov else root
        updates = jax.tree.map(lambda u, d: guarded_divide(u, d + eps), updates, norm)
        return updates, PNormScaleState(root)

    return optax.GradientTransformationExtraArgs(init, update)
