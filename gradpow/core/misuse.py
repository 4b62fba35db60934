"""What is often handed to the wrong place: functions for optimizers, states of other optimizers."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

from gradpow.core.trees import alike, shapes_by_name

__all__ = ["refuse_foreign_states", "require_mask", "require_transformation"]


def require_transformation(what: str, value: Any) -> optax.GradientTransformationExtraArgs:
    """The transformation, which takes any extra argument now; else an error with the remedy.

    Examples:
      >>> import optax
      >>> from gradpow.core import require_transformation
      >>> base = require_transformation("my_link's base", optax.sgd(0.1))
      >>> require_transformation("my_link's base", optax.sgd)
      Traceback (most recent call last):
        ...
      TypeError: my_link's base must be a transformation, not the function sgd: call it, sgd(...).
    """
    if hasattr(value, "init") and hasattr(value, "update"):
        return optax.with_extra_args_support(value)
    if callable(value):
        name = getattr(value, "__name__", repr(value))
        raise TypeError(
            f"{what} must be a transformation, not the function {name}: call it, {name}(...)."
        )
    raise TypeError(
        f"{what} must be a transformation, not {value!r}: pass an optimizer such as "
        "optax.adamw(1e-3), or a link."
    )


def require_mask(mask: Any) -> None:
    """Raises unless it is None, a function of the parameters, or a tree of booleans.

    Examples:
      >>> from gradpow.core import require_mask
      >>> require_mask({"kernel": True, "bias": False})
      >>> require_mask(0.1)
      Traceback (most recent call last):
        ...
      TypeError: mask must be a tree of booleans, or a function of the parameters to one, not 0.1.
    """
    if mask is None or callable(mask):
        return
    if not all(isinstance(x, bool | np.bool_) for x in jax.tree.leaves(mask)):
        raise TypeError(
            "mask must be a tree of booleans, or a function of the parameters to one, "
            f"not {mask!r}."
        )


def refuse_foreign_states(
    init: Callable[[Any], Any], update: Callable[..., tuple[Any, Any]]
) -> Callable[..., tuple[Any, Any]]:
    """The update, with a ValueError that names the place where a state is not what init makes.

    Without it another optimizer's state is an AttributeError somewhere inside, or broadcast.

    Examples:
      >>> import jax.numpy as jnp, optax
      >>> from gradpow.core import refuse_foreign_states
      >>> tx = optax.trace(0.9)
      >>> update = refuse_foreign_states(tx.init, tx.update)
      >>> update(jnp.ones(2), tx.init(jnp.ones(2)))[0]
      Array([1., 1.], dtype=float32)
    """

    @functools.wraps(update)
    def checked(updates, state, params=None, **extra_args):
        try:
            result, new_state = update(updates, state, params, **extra_args)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            _require_own(init, updates, state)
            raise
        if not (alike(new_state, state) and alike(result, updates)):
            _require_own(init, updates, state)
        return result, new_state

    return checked


def _require_own(init: Callable[[Any], Any], updates: Any, state: Any) -> None:
    own = jax.eval_shape(init, updates)
    if alike(own, state):
        return
    wanted, found = shapes_by_name(own), shapes_by_name(state)
    name = next((n for n in [*wanted, *found] if wanted.get(n) != found.get(n)), "")
    if not name:  # the same arrays at the same places, in other links
        wanted, found = {"": _links(own)}, {"": _links(state)}
    there, here = (shapes.get(name, "nothing") for shapes in (found, wanted))
    raise ValueError(
        "the state belongs to another optimizer, or to parameters of other structure or shapes, at "
        f"{name or 'the root'}: {there} there, {here} here. Take it from this optimizer's "
        "init(params); to go on with another's moments, put them into that with optax.tree.set."
    )


def _links(state: Any) -> str:
    links = state if type(state) is tuple else (state,)
    return ", ".join(type(link).__name__ for link in links)
