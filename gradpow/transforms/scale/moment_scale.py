"""Scaling by a moment: Kingma and Ba (2015), Algorithm 1; Duchi et al. (2011), Figure 1."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    Scalar,
    abs_power,
    check,
    guarded_divide,
    is_static,
    require_grad,
    require_transformation,
    square_root,
)

__all__ = ["MomentState", "moment_scale"]


class MomentState(NamedTuple):
    """State of the links that read a moment: moment, the filter's."""

    moment: optax.OptState


def moment_scale(
    moment: optax.GradientTransformation,
    order: Scalar = 2.0,
    power: Scalar | None = None,
    eps: Scalar = 0.0,
    eps_root: Scalar = 0.0,
) -> optax.GradientTransformationExtraArgs:
    r"""Divides the update by a root of a moment of the gradient, which a filter makes.

    .. math::
      u_t \leftarrow u_t / \bigl((F(|g_t|^q) + \epsilon_{root})^{r} + \epsilon\bigr), \qquad 0/0 = 0

    Most of the adaptive methods differ in the filter F alone, which is any transformation, or a
    chain of them, that is fed the powers of the gradient::

        Adam      optax.ema(b2)                        AdaGrad  optax.trace(1.0)
        AMSGrad   optax.chain(ema, running_max())      AdaMax   running_max(b2), order=1
        AdaFom    running_mean()                       Yogi     additive_mean(b2)
        DASGO     pooled(optax.ema(b2), over=-1)       Padam    power=1/8

    g is the extra argument ``grad``, the gradient that entered the chain. What the statistic must
    see too (a power, an L2 penalty, clipping) goes before a *nested* :func:`gradpow.chain`; what it
    alone must see is made by :func:`gradpow.transforms.with_view`.

    In float32 the squares of gradients below 1e-19 vanish, and above 1e19 they are infinite, where
    the update is 0: at order 1 they do not, and :func:`gradpow.transforms.p_norm_scale` keeps the
    root of an average at a scale of its own.

    Args:
      moment: F, a filter; its result may be smaller than the update, if it broadcasts.
      order: q, in [1, 100].
      power: r, finite and > 0, or None for 1/q.
      eps: added to the denominator, >= 0.
      eps_root: added inside of the root, >= 0.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``grad``, which
      :func:`gradpow.chain` passes on.

    Raises:
      ValueError: at update, if ``grad`` is missing or of another structure than the updates.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> from gradpow.transforms import moment_scale
      >>> adagrad = gradpow.chain(moment_scale(optax.trace(1.0)), optax.scale(-1.0))
      >>> _, state = adagrad.update(jnp.array([3.0, 0.0]), adagrad.init(jnp.zeros(2)))
      >>> adagrad.update(jnp.array([4.0, 0.0]), state)[0]  # -4 / (9 + 16)^(1/2)
      Array([-0.8, -0. ], dtype=float32)

    References:
      Duchi et al. (2011), Figure 1; Kingma and Ba (2015), Algorithm 1. That the filter is a
      transformation of its own is ours.
    """
    check("in [1, 100]", order=order)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    if power is not None:
        check("finite and > 0", power=power)
    moment = require_transformation("moment_scale's moment", moment)

    def init(params):
        return MomentState(moment.init(params))

    def update(updates, state, params=None, *, grad=None, **extra_args):
        require_grad("moment_scale", grad, updates)
        v, state = moment_of(moment, order, grad, state, params, extra_args)

        def scale(u, v):
            return guarded_divide(u, root_of(v + eps_root, order, power) + eps)

        return jax.tree.map(scale, updates, v), state

    return optax.GradientTransformationExtraArgs(init, update)


def moment_of(
    moment: optax.GradientTransformationExtraArgs,
    order: Scalar,
    grad: Any,
    state: MomentState,
    params: Any,
    extra_args: dict[str, Any],
) -> tuple[Any, MomentState]:
    """F(|g|^q), and the state after it."""

    def power(g):
        x = abs_power(g, order)
        # High powers soon leave float32, and a filter that forgets all makes 0 * inf of that.
        return x if is_static(order) and order <= 2 else jnp.minimum(x, jnp.finfo(x.dtype).max)

    powers = jax.tree.map(power, grad)
    v, new_state = moment.update(powers, state.moment, params, **extra_args)
    return v, MomentState(new_state)


def root_of(v: jax.Array, order: Scalar, power: Scalar | None = None) -> jax.Array:
    """v^power, of the unit of the gradient by default."""
    power = 1 / order if power is None else power
    if is_static(power) and power == 0.5:
        return square_root(v)
    return v if is_static(power) and power == 1 else abs_power(v, power)
