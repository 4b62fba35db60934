"""Which parameters to evaluate: some optimizers train at another point than the one they give."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

__all__ = ["eval_params", "map_kept"]


def eval_params(state: optax.OptState, params: optax.Params) -> optax.Params:
    """The parameters to evaluate and to keep, of an optimizer's state and those that it trains.

    Some methods take gradients elsewhere than at their answer: :func:`gradpow.nag` ahead of it,
    :func:`gradpow.averaged_sgd` at iterates whose mean it is. A link of one's own takes part if
    its state, a NamedTuple, has a method ``eval_params(params)``; it is found however deep it
    stands, and works under ``jax.jit``. Without any the parameters themselves are returned.

    Args:
      state: of the optimizer, wrapped and chained as it may be.
      params: those that its last update led to.

    Returns:
      The parameters to evaluate, in the types of ``params``.

    Raises:
      ValueError: if several states in it have parameters of their own.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, params = gradpow.averaged_sgd(0.1), jnp.zeros(1)
      >>> _, state = tx.update(jnp.array([1.0]), tx.init(params), params)  # sees 0
      >>> _, state = tx.update(jnp.array([1.0]), state, params - 1)  # sees -1
      >>> gradpow.eval_params(state, params - 2)
      Array([-0.5], dtype=float32)
    """
    found = [node for node in jax.tree.leaves(state, is_leaf=_has_own) if _has_own(node)]
    if len(found) > 1:
        names = ", ".join(type(node).__name__ for node in found)
        raise ValueError(
            f"several states have parameters to evaluate: {names}. Call the eval_params of the one "
            "that you mean, or keep one such link in the optimizer."
        )
    if not found:
        return params
    own = found[0].eval_params(params)
    return jax.tree.map(lambda x, like: jnp.asarray(x, jnp.result_type(like)), own, params)


def map_kept(f: Callable[..., jax.Array], kept: Any, params: optax.Params) -> optax.Params:
    """f of what a state keeps for each parameter and of it, itself where :func:`optax.masked` cut.

    Examples:
      >>> import optax
      >>> from gradpow.core import map_kept
      >>> map_kept(lambda x, theta: theta - x, [3.0, optax.MaskedNode()], [1.0, 2.0])
      [-2.0, 2.0]
    """

    def own(x: Any, part: Any) -> Any:
        return part if isinstance(x, optax.MaskedNode) else f(x, part)

    return jax.tree.map(own, kept, params, is_leaf=lambda x: isinstance(x, optax.MaskedNode))


def _has_own(node: Any) -> bool:
    return hasattr(node, "eval_params")
