"""Another view of the gradient: Xie et al. (2024), Algorithm 1."""

from typing import Any, NamedTuple

import optax

from gradpow.core import require_grad, require_transformation

__all__ = ["WithViewState", "with_view"]


class WithViewState(NamedTuple):
    """State of :func:`with_view`: view, that of what is seen; inner, that of who sees it."""

    view: optax.OptState
    inner: optax.OptState


def with_view(
    view: optax.GradientTransformation, inner: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    r"""Shows one link another gradient than the chain's: what a transformation makes of it.

    .. math::
      u_t \leftarrow \mathrm{inner}(u_t;\ \mathrm{grad} = \mathrm{view}(g_t))

    In :func:`gradpow.adan` the second moment is that of the gradient and its change, and the
    direction is another mixture of the two.

    Args:
      view: a transformation of the gradient.
      inner: a link that reads ``grad``, such as :func:`gradpow.transforms.moment_scale`.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``grad``, which
      :func:`gradpow.chain` passes on.

    Examples:
      >>> import jax.numpy as jnp, optax
      >>> from gradpow.transforms import moment_scale, with_view
      >>> tx, g = with_view(optax.scale(10.0), moment_scale(optax.trace(1.0))), jnp.array([3.0])
      >>> tx.update(g, tx.init(g), grad=g)[0]  # 3 / (30^2)^(1/2)
      Array([0.1], dtype=float32)

    References:
      Xie et al. (2024), Algorithm 1, line 6, has such a view; that it is a link is ours.
    """
    view = require_transformation("with_view's view", view)
    inner = require_transformation("with_view's inner", inner)

    def init(params):
        return WithViewState(view.init(params), inner.init(params))

    def update(updates, state, params=None, *, grad: Any = None, **extra_args):
        require_grad("with_view", grad, updates)
        seen, view_state = view.update(grad, state.view, params, **extra_args)
        updates, inner_state = inner.update(updates, state.inner, params, grad=seen, **extra_args)
        return updates, WithViewState(view_state, inner_state)

    return optax.GradientTransformationExtraArgs(init, update)
