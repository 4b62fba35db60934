"""`gradpow.chain`: `optax.chain` whose links see the raw gradient and work in float32."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from gradpow.core.trees import alike, require_like, require_own_state

__all__ = ["chain"]


def chain(*transforms: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    r"""Chains transformations as :func:`optax.chain`, with two additions.

    **Two views of the gradient.** Every link receives as the extra argument ``grad`` the updates
    that entered this chain, beside the update made by the links before it: some ideas (the
    denominator of S3, the signs of AMS) need both. An outer ``grad`` does not leak in. What the
    reader of ``grad`` must see too (a power, an L2 penalty, clipping) goes before a *nested* chain,
    which starts a ``grad`` of its own::

        gradpow.chain(sign_power(1.2), gradpow.chain(nesterov_pmoment(b), p_norm_scale(b, 3)))

    **At least float32 inside.** Updates and parameters narrower than 32 bits become float32 on
    entry, so states are float32 too (a bfloat16 average with a decay near 1 stalls), and the result
    returns in the type of the incoming updates. Integers and float0 are left alone: mask them.

    Traps: :class:`optax.MultiSteps` goes around a chain, never inside it. Inside a chain,
    :func:`optax.masked` and :func:`optax.partition` around a reader of ``grad`` need
    ``mask_compatible_extra_args=True``. Under meshes with automatic axes ``jax.jit(tx.init)`` loses
    the sharding of its states, as optax's own does: call ``tx.init`` eagerly, or use explicit axes.

    Args:
      *transforms: the links, in the order in which they act. At least one.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`. Its state is the tuple of its links'.

    Raises:
      ValueError: if called without any link; at update, if parameters or state are not those of
        such updates, by structure or shape.
      TypeError: at init or update, if a leaf is complex.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> from gradpow.transforms import nesterov_pmoment, p_norm_scale
      >>> tx = gradpow.chain(nesterov_pmoment(0.95), p_norm_scale(0.95, p=3), optax.scale(-1e-3))
      >>> params = {"w": jnp.ones(3, jnp.bfloat16)}
      >>> updates, state = tx.update({"w": params["w"]}, tx.init(params))
      >>> updates["w"].dtype, state[0].s["w"].dtype
      (dtype(bfloat16), dtype('float32'))
    """
    if not transforms:
        raise ValueError("chain needs at least one transformation; optax.identity() does nothing.")
    inner = optax.chain(*transforms)

    def init(params: optax.Params) -> optax.OptState:
        return inner.init(jax.tree.map(_lift, params))

    def update(updates, state, params=None, **extra_args):
        grad = jax.tree.map(_lift, updates)
        params = jax.tree.map(_lift, params)
        if params is not None:
            require_like(updates, "the parameters", params)
        try:
            result, new_state = inner.update(grad, state, params, **(extra_args | {"grad": grad}))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            require_own_state(inner.init, grad, state)
            raise
        same_state = alike(new_state, state)  # optax.monitor's is not at its first step
        if not (same_state and alike(result, updates)):
            require_own_state(inner.init, grad, state)
        # A link fed wider gradients than params would otherwise widen its state, and break scan.
        if same_state:
            new_state = jax.tree.map(_as, new_state, state)
        return jax.tree.map(_as, result, updates), new_state

    return optax.GradientTransformationExtraArgs(init, update)


def _lift(x: Any) -> Any:
    dtype = jnp.result_type(x)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError(
            f"gradpow works on real arrays, not {dtype}: wrap the whole optimizer in "
            "optax.contrib.split_real_and_imaginary."
        )
    if not jnp.issubdtype(dtype, jnp.floating):
        return x
    return jnp.asarray(x, jnp.promote_types(dtype, jnp.float32))


def _as(x: Any, like: Any) -> Any:
    dtype = jnp.result_type(like)
    return x if jnp.result_type(x) == dtype else jnp.asarray(x, dtype)
