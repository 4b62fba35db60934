"""Gradients at an anchor: Johnson and Zhang (2013), Figure 1."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    copied,
    reference_gradient,
    refuse_multi_steps,
    require_transformation,
    set_own,
)

__all__ = ["AtAnchorState", "at_anchor"]


class AtAnchorState(NamedTuple):
    """State of :func:`at_anchor`: anchor; mean, the full gradient there; is_set; inner."""

    anchor: optax.Params
    mean: optax.Updates
    is_set: jax.Array
    inner: optax.OptState

    def set_anchor(self, params: Any, full_gradient: Any) -> "AtAnchorState":
        return AtAnchorState(
            copied(params, self.anchor),
            copied(full_gradient, self.mean),
            jnp.ones([], bool),
            set_own(self.inner, params, full_gradient),
        )


def at_anchor(inner: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    r"""Hands the links inside this batch's gradient at an anchor, and the full gradient there.

    .. math::
      r_t = \nabla f(\tilde\theta, \xi_t), \qquad \mu = \nabla F(\tilde\theta)

    They receive the extra arguments ``reference_grad`` and ``reference_mean``, which
    :func:`gradpow.transforms.control_variate` reads. The loop sets the anchor when it likes, with
    :func:`gradpow.set_anchor`. Before the first time both are 0, so that gradients pass as they
    are, a warm start by plain SGD, and no second gradient is taken.

    Where it may stand, and what ``grad_fn`` must be, is as for :func:`gradpow.at_previous_point`.
    Keeps a copy of the parameters and a gradient.

    Args:
      inner: an optimizer, or links.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``grad_fn``, or the loop's
      own ``reference_grad``.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp, optax
      >>> from gradpow.transforms import control_variate
      >>> tx = gradpow.at_anchor(gradpow.chain(control_variate(), optax.sgd(0.1)))
      >>> state = gradpow.set_anchor(tx.init(jnp.ones(1)), jnp.ones(1), jnp.array([3.0]))
      >>> grad_fn = jax.grad(lambda theta: jnp.sum(theta**2))
      >>> tx.update(grad_fn(jnp.ones(1)), state, grad_fn=grad_fn)[0]  # -0.1 (2 - 2 + 3)
      Array([-0.3], dtype=float32)

    References:
      Johnson and Zhang (2013), Figure 1.
    """
    inner = require_transformation("at_anchor's inner", inner)

    def init(params):
        zeros = optax.tree.zeros_like(params)
        return AtAnchorState(copied(params, params), zeros, jnp.zeros([], bool), inner.init(params))

    def update(updates, state, params=None, *, grad_fn=None, reference_grad=None, **extra_args):
        refuse_multi_steps("at_anchor")

        def there():
            found = (state.anchor, updates, grad_fn, reference_grad)
            r = reference_gradient("at_anchor", *found)
            return jax.tree.map(lambda r, g: jnp.asarray(r, g.dtype), r, updates)

        r = jax.lax.cond(state.is_set, there, lambda: optax.tree.zeros_like(updates))
        extra_args |= {"reference_grad": r, "reference_mean": state.mean, "grad_fn": grad_fn}
        updates, new_inner = inner.update(updates, state.inner, params, **extra_args)
        return updates, state._replace(inner=new_inner)

    return optax.GradientTransformationExtraArgs(init, update)
