"""The gradient in the update's place: Xie et al. (2024), Algorithm 1."""

from typing import Any

import optax

from gradpow.core import require_grad

__all__ = ["take_grad"]


def take_grad() -> optax.GradientTransformationExtraArgs:
    r"""Replaces what comes in by the gradient that the chain was given.

    .. math::
      u_t \leftarrow g_t

    Within :func:`gradpow.transforms.with_view` that is what it shows. So
    ``mixture((1.0, take_grad()), (-1.0, optax.identity()))`` is what the view adds to the gradient.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``grad``, which
      :func:`gradpow.chain` passes on.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> from gradpow.transforms import take_grad
      >>> tx, g = gradpow.chain(optax.scale(10.0), take_grad()), jnp.array([3.0])
      >>> print(tx.update(g, tx.init(g))[0])
      [3.]

    References:
      Xie et al. (2024), Algorithm 1, lines 5 and 6, whose change of the gradient it recovers from
      the view of line 6; that it is a link is ours.
    """

    def init(params):
        del params
        return optax.EmptyState()

    def update(updates, state, params=None, *, grad: Any = None, **extra_args):
        del params, extra_args
        require_grad("take_grad", grad, updates)
        return grad, state

    return optax.GradientTransformationExtraArgs(init, update)
