"""QK-Clip: Bai et al. (2025), Algorithm 1."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    AttentionPart,
    AttentionRole,
    Scalar,
    attention_role,
    chain,
    check,
    map_with_names,
    require_max_logits,
    require_params,
    require_transformation,
)

__all__ = ["qk_clip"]


def qk_clip(
    base: optax.GradientTransformation,
    tau: Scalar = 100.0,
    alpha: Scalar = 0.5,
    roles: Callable[[str], AttentionRole] = attention_role,
) -> optax.GradientTransformationExtraArgs:
    r"""QK-Clip around any complete optimizer: heads whose attention logits grew are made smaller.

    After the step of ``base``, for each head h, with S its largest logit q k / sqrt(d) over all of
    the batch:

    .. math::
      \gamma_h = \min(1, \tau / S_h), \qquad
      W_q^h \leftarrow \gamma_h^{\alpha}\, W_q^h, \qquad
      W_k^h \leftarrow \gamma_h^{1 - \alpha}\, W_k^h

    The update needs the extra argument ``max_logits``, which the model must hand out: an array
    (..., heads) for each attention, in a dictionary by the path of the part of the parameters in
    which its queries and keys lie (``{"layers/0/attn": logits}``), or in a tree that has it in that
    part's place, and None elsewhere. Leading axes are those of stacked layers. Take the maximum
    over devices and micro-batches too.

    Leaves are (..., model, heads, head), or have the heads one after the other in their last axis;
    biases too, without model. Where fewer heads of keys than of queries are shared in groups, no
    head may clip a key alone: then the queries take all of gamma, as those of rotated keys, which
    all heads share, do in the paper. The paper does not speak of groups.

    Args:
      base: an optimizer such as ``gradpow.moonlight(1e-3)``.
      tau: the largest logit allowed, finite and > 0. The paper's.
      alpha: the share of the queries, in [0, 1].
      roles: from the path of a leaf to "query", "key", "rotary_query", which takes all of gamma,
        or None; or to pairs of one of these and a slice of each head, so that latent attention's
        joined projections are ``[("query", slice(128)), ("rotary_query", slice(128, None))]`` and
        ``[("key", slice(128))]``. By default by names. With ``optax.inject_hyperparams`` pass
        ``static_args="roles"``.

    Raises:
      ValueError: at update, if ``max_logits`` is missing, or no query or key is known below one of
        its paths, or its heads do not fit.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> params = {"query": jnp.ones((1, 2)), "key": jnp.ones((1, 2))}  # two heads
      >>> tx = gradpow.qk_clip(optax.set_to_zero(), tau=100)
      >>> updates, _ = tx.update(params, tx.init(params), params, max_logits=jnp.array([400., 50.]))
      >>> print(updates["query"], updates["key"])
      [[-0.5  0. ]] [[-0.5  0. ]]

    References:
      Bai et al. (2025), Algorithm 1.
    """
    check("finite and > 0", tau=tau)
    check("in [0, 1]", alpha=alpha)
    powers: dict[str, Any] = {"query": alpha, "key": 1 - alpha, "rotary_query": 1.0}

    def update(updates, state, params=None, *, max_logits=None, **extra_args):
        del extra_args
        require_params("qk_clip", params)
        require_max_logits("qk_clip", max_logits)
        logits = _by_path(max_logits)
        found = _parts(params, roles, logits)

        def clipped(path: str, u: Any, theta: Any) -> Any:
            if path not in found:
                return u
            place, parts = found[path]
            gamma = tau / jnp.maximum(jnp.asarray(logits[place], u.dtype), tau)
            stepped = _by_heads(path, theta + u, gamma.shape)
            factor = jnp.ones(stepped.shape[-1], u.dtype)
            factor = jnp.broadcast_to(factor, (*gamma.shape, *factor.shape))
            for part, where in parts:
                power = jnp.asarray(powers[part], u.dtype)
                factor = factor.at[..., where].multiply(gamma[..., None] ** power)
            between = stepped.ndim - factor.ndim
            factor = jnp.expand_dims(factor, tuple(range(gamma.ndim - 1, gamma.ndim - 1 + between)))
            # Added to the step, so that a head that is not clipped keeps it to the last bit.
            return u + ((factor - 1) * stepped).reshape(u.shape)

        return map_with_names(clipped, updates, params), state

    clip = optax.GradientTransformationExtraArgs(optax.init_empty_state, update)
    return chain(require_transformation("qk_clip's base", base), clip)


def _by_path(max_logits: Any) -> dict[str, jax.Array]:
    found: dict[str, jax.Array] = {}
    map_with_names(found.__setitem__, max_logits)
    return found


def _parts(
    params: Any, roles: Callable[[str], AttentionRole], logits: dict[str, jax.Array]
) -> dict[str, tuple[str, Sequence[tuple[AttentionPart, slice]]]]:
    """For each leaf to be clipped: which logits it has, and the parts of its heads."""
    found: dict[str, tuple[str, Any]] = {}
    shapes: dict[str, dict[str, set[int]]] = {place: {} for place in logits}

    def note(path: str, leaf: Any) -> None:
        role = roles(path)
        above = [place for place in logits if not place or f"{path}/".startswith(f"{place}/")]
        if role is None or not above:
            return
        place = max(above, key=len)
        found[path] = place, [(role, slice(None))] if isinstance(role, str) else role
        if isinstance(role, str):
            shapes[place].setdefault(role, set()).add(leaf.size)

    map_with_names(note, params)
    for place, sizes in shapes.items():
        clipped = [path for path, (at, _) in found.items() if at == place]
        if not clipped:
            raise ValueError(
                f"max_logits has {place!r}, but no query or key is known below it: pass qk_clip's "
                "roles, a function of the path of a leaf."
            )
        if "key" in sizes and max(sizes["key"]) < max(sizes.get("query", {0})):
            for path in clipped:  # groups of heads share a key
                parts = [("rotary_query", where) for part, where in found[path][1] if part != "key"]
                found[path] = place, parts
    return {path: (place, parts) for path, (place, parts) in found.items() if parts}


def _by_heads(path: str, x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """A leaf as (*layers, ..., heads, head) for logits of shape (*layers, heads)."""
    *layers, heads = shape
    inner: tuple[int, ...] = x.shape[len(layers) :]
    if list(x.shape[: len(layers)]) == layers and len(inner) > 0:
        if len(inner) > 1 and inner[-2] == heads and (len(inner) > 2 or path.endswith("bias")):
            return x
        if inner[-1] % heads == 0:
            return x.reshape(*x.shape[:-1], heads, inner[-1] // heads)
    raise ValueError(f"max_logits of shape {shape} does not fit {path!r} of shape {x.shape}.")
