"""What an update may be handed beside the gradient, and what is said where it is missing."""

from typing import Any

import jax

__all__ = ["require_grad", "require_max_logits", "require_params"]


def require_params(name: str, params: Any) -> None:
    """Raises, with the remedy, if the link of this name got no parameters.

    Examples:
      >>> from gradpow.core import require_params
      >>> require_params("my_link", None)
      Traceback (most recent call last):
        ...
      ValueError: my_link needs the parameters: call update(grads, state, params).
    """
    if params is None:
        raise ValueError(f"{name} needs the parameters: call update(grads, state, params).")


def require_grad(name: str, grad: Any, updates: Any) -> None:
    """Raises, with the remedy, if the link of this name got no raw gradient, or another tree's.

    Examples:
      >>> from gradpow.core import require_grad
      >>> require_grad("my_link", grad={"w": 1.0}, updates={"w": 2.0})
    """
    if grad is None:
        raise ValueError(
            f"{name} reads the raw gradient beside the update: build the chain with gradpow.chain, "
            "which hands it on, or call update(..., grad=grads). optax.MultiSteps drops it: wrap "
            "the whole chain in MultiSteps, not a link of it."
        )
    if jax.tree.structure(grad) != jax.tree.structure(updates):
        raise ValueError(
            f"{name} got a gradient and an update of different structures: "
            f"{jax.tree.structure(grad)} and {jax.tree.structure(updates)}. Inside a chain, "
            "optax.masked and optax.partition need mask_compatible_extra_args=True around it."
        )


def require_max_logits(name: str, max_logits: Any) -> None:
    """Raises, with the remedy, if the link of this name got no logits of attention.

    Examples:
      >>> from gradpow.core import require_max_logits
      >>> require_max_logits("my_link", {"layers/0/attn": 12.0})
    """
    if max_logits is None:
        raise ValueError(
            f"{name} needs the largest logit of each head: call update(grads, state, params, "
            'max_logits={"layers/0/attn": logits, ...}), {} where there is no attention.'
        )
