"""Clipping by a moment: Zhang et al. (2020), Algorithm 2."""

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Scalar, check, guarded_divide, require_grad, require_transformation

from .moment_scale import MomentState, moment_of, root_of

__all__ = ["moment_clip"]


def moment_clip(
    moment: optax.GradientTransformation, order: Scalar = 1.0, eps: Scalar = 0.0
) -> optax.GradientTransformationExtraArgs:
    r"""Shortens each coordinate of the update to a moment of the gradient, which a filter makes.

    .. math::
      u_t \leftarrow \min\Bigl(\frac{F(|g_t|^q)^{1/q}}{|u_t| + \epsilon},\ 1\Bigr)\, u_t,
      \qquad 0/0 = 0

    F and g are those of :func:`gradpow.transforms.moment_scale`, which divides by the moment.

    Args:
      moment: F, a filter.
      order: q, in [1, 100]; 1 in the paper, 2 in the authors' code.
      eps: added to the denominator, >= 0.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``grad``, which
      :func:`gradpow.chain` passes on.

    Examples:
      >>> import jax.numpy as jnp, optax
      >>> from gradpow.transforms import moment_clip
      >>> tx, g = moment_clip(optax.ema(0.5, debias=False)), jnp.array([4.0])
      >>> tx.update(jnp.array([1.0]), tx.init(g), grad=g)[0], tx.update(g, tx.init(g), grad=g)[0]
      (Array([1.], dtype=float32), Array([2.], dtype=float32))

    References:
      Zhang et al. (2020), Algorithm 2.
    """
    check("in [1, 100]", order=order)
    check("finite and >= 0", eps=eps)
    moment = require_transformation("moment_clip's moment", moment)

    def init(params):
        return MomentState(moment.init(params))

    def update(updates, state, params=None, *, grad=None, **extra_args):
        require_grad("moment_clip", grad, updates)
        v, state = moment_of(moment, order, grad, state, params, extra_args)

        def clip(u, v):
            return jnp.minimum(guarded_divide(root_of(v, order), jnp.abs(u) + eps), 1.0) * u

        return jax.tree.map(clip, updates, v), state

    return optax.GradientTransformationExtraArgs(init, update)
