"""`gradpow.chain`: `optax.chain` whose links see the raw gradient and work in float32."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gradpow.core.misuse import refuse_foreign_states, require_transformation
from gradpow.core.trees import alike, map_with_names, require_like

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
    returns in the type of the incoming updates. Leaves that are no real numbers are refused: mask
    them.

    Traps: :class:`optax.MultiSteps` goes around a chain, never inside it. Inside a chain,
    :func:`optax.masked` and :func:`optax.partition` around a reader of ``grad`` need
    ``mask_compatible_extra_args=True``. Under meshes with automatic axes ``jax.jit(tx.init)`` loses
    the sharding of its states, as optax's own does: call ``tx.init`` eagerly, or use explicit axes.

    Args:
      *transforms: the links, in the order in which they act. At least one.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`. Its state is the tuple of its links'.

    Raises:
      ValueError: if called without any link; at init or update, if a leaf holds integers; at
        update, if parameters or state are not those of such updates, by structure or shape.
      TypeError: if a link is no transformation; at init or update, if a leaf is complex.

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
    for place, transform in enumerate(transforms):
        require_transformation(f"chain, at place {place},", transform)
    inner = optax.chain(*transforms)
    own = refuse_foreign_states(inner.init, inner.update)

    def init(params: optax.Params) -> optax.OptState:
        try:
            return inner.init(_lifted(params))
        except TypeError:
            if not any(isinstance(x, jax.ShapeDtypeStruct) for x in jax.tree.leaves(params)):
                raise
            raise TypeError(
                "a link's state is made of the parameters' values, and jax.ShapeDtypeStruct has "
                "none: pass arrays, or ask for shapes alone by jax.eval_shape(tx.init, params)."
            ) from None

    def update(updates, state, params=None, **extra_args):
        grad, params = _lifted(updates), _lifted(params)
        if params is not None:
            require_like(updates, "the parameters", params)
        with jax.numpy_dtype_promotion("standard"):  # optax's Adam mixes floats and counts
            result, new_state = own(grad, state, params, **(extra_args | {"grad": grad}))
        # A link fed wider gradients than params would otherwise widen its state, and break scan.
        if alike(new_state, state):  # optax.monitor's is not at its first step
            new_state = jax.tree.map(_as, new_state, state)
        return jax.tree.map(_as, result, updates), new_state

    return optax.GradientTransformationExtraArgs(init, update)


def _lifted(tree: Any) -> Any:
    """In at least float32; an error names the path of a leaf that has no place in a chain."""
    if not all(_is(jnp.floating, x) for x in jax.tree.leaves(tree)):
        map_with_names(_require_real, tree)
    return jax.tree.map(_lift, tree)


def _require_real(path: str, x: Any) -> None:
    name = path or "the root"
    if _is(jnp.complexfloating, x):
        raise TypeError(
            f"gradpow works on real arrays, not {_dtype(x)} at {name}: wrap the whole optimizer in "
            "optax.contrib.split_real_and_imaginary."
        )
    if not _is(jnp.floating, x):
        what = "float0" if _dtype(x) == jax.dtypes.float0 else _dtype(x) or repr(x)
        raise ValueError(
            f"gradpow works on real numbers, not {what} at {name}: leave this leaf out, by "
            "optax.masked(optimizer, mask) with False there, or by eqx.is_inexact_array in Equinox."
        )


def _is(kind: Any, x: Any) -> bool:
    dtype = _dtype(x)
    return dtype is not None and jnp.issubdtype(dtype, kind)


def _dtype(x: Any) -> Any:
    """None for what is no number, such as the functions in an Equinox module."""
    if isinstance(x, np.ndarray | np.generic) and x.dtype != jax.dtypes.float0:
        return jnp.result_type(x)  # NumPy's float64 is float32 to JAX by default
    if hasattr(x, "dtype"):
        return x.dtype
    return jnp.result_type(x) if isinstance(x, bool | int | float | complex) else None


def _lift(x: Any) -> Any:
    # By bits: float8 has no promotion to float32, and strict promotion has none at all.
    dtype = _dtype(x)
    wide = dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32
    if isinstance(x, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(x.shape, wide, sharding=x.sharding)
    return jnp.asarray(x, wide)


def _as(x: Any, like: Any) -> Any:
    dtype = _dtype(like)
    return x if _dtype(x) == dtype else jnp.asarray(x, dtype)
