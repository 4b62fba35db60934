"""Reference points and gradients there, which the training loop sets when it likes."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from gradpow.core.extra_arguments import within

__all__ = ["copied", "set_anchor", "set_own"]


def set_anchor(
    state: optax.OptState, params: optax.Params, full_gradient: optax.Updates
) -> optax.OptState:
    """Starts an epoch of variance reduction: the point, and the full gradient there.

    What SVRG calls the snapshot, SARAH and SPIDER a restart: points become ``params``, and what
    estimates the full gradient becomes ``full_gradient``. Pure, so that it may stand in
    :func:`jax.lax.cond`, and found however deep the optimizer is wrapped::

        state = gradpow.set_anchor(state, params, gradpow.full_gradient(grad_fn, params, batches))

    A link of one's own takes part if its state, a NamedTuple, has a method
    ``set_anchor(params, full_gradient)`` that returns the new state.

    Args:
      state: of the optimizer.
      params: where the full gradient was taken.
      full_gradient: the mean over all data, or over a large batch.

    Returns:
      The new state.

    Raises:
      ValueError: if nothing in it has an anchor.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.svrg(0.1)
      >>> state = gradpow.set_anchor(tx.init(jnp.ones(2)), jnp.ones(2), jnp.zeros(2))
      >>> tx.update(jnp.ones(2), state, jnp.ones(2), grad_fn=jnp.ones_like)[0]  # g - r + mu = 0
      Array([-0., -0.], dtype=float32)
    """
    if not any(map(_has_own, jax.tree.leaves(state, is_leaf=_has_own))):
        raise ValueError(
            "nothing in this state has an anchor: it belongs to methods such as gradpow.svrg and "
            "gradpow.sarah, or to what gradpow.at_anchor and at_previous_point wrap."
        )
    return set_own(state, params, full_gradient)


def set_own(state: Any, params: Any, full_gradient: Any) -> Any:
    """The same for the states inside of one that has an anchor itself; none need be there.

    Examples:
      >>> from gradpow.core import set_own
      >>> set_own((), 1.0, 0.0)
      ()
    """

    def of(node: Any) -> Any:
        return node.set_anchor(params, full_gradient) if _has_own(node) else node

    return jax.tree.map(of, state, is_leaf=_has_own)


def copied(tree: Any, like: Any) -> Any:
    """A tree's arrays as new ones, in the types of another and cut where that is masked.

    No state may be the parameters' own array: then both could not be donated.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import copied
      >>> copied(jnp.ones(2), jnp.zeros(2, jnp.bfloat16)).dtype
      dtype(bfloat16)
    """
    return jax.tree.map(lambda x, y: jnp.array(x, y.dtype), within(tree, like), like)


def _has_own(node: Any) -> bool:
    return hasattr(node, "set_anchor")
