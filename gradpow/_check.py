"""What a user may pass: one check for hyper-parameters, one each for `grad` and `params`."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

RULES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "finite and > 0": (lambda v: 0 < v < math.inf, "pass a positive number"),
    "finite and >= 0": (lambda v: 0 <= v < math.inf, "pass 0 to switch it off"),
    "finite": (lambda v: -math.inf < v < math.inf, "pass a finite number"),
    "in [0, 1)": (lambda v: 0 <= v < 1, "the usual averages lie between 0.9 and 0.999"),
    "in [0, 1]": (lambda v: 0 <= v <= 1, "pass the fraction to keep"),
    "in (0, 1]": (lambda v: 0 < v <= 1, "pass a small positive number such as 0.001"),
    "in [1, 100]": (lambda v: 1 <= v <= 100, "the papers use 1 to 3"),
    "in [2, inf)": (lambda v: 2 <= v < math.inf, "2 is the Euclidean step"),
    "in [2, inf]": (lambda v: v >= 2, "2 is the Euclidean step, jnp.inf the sign step"),
}


def check(rule: str, **arguments: Any) -> None:
    """Raises unless every argument is a scalar that keeps the rule; tracers are trusted."""
    allowed, remedy = RULES[rule]
    for name, value in arguments.items():
        if callable(value):
            raise TypeError(
                f"{name} must be a number {rule}, not the callable {value!r}: to schedule it, wrap "
                "the factory in optax.inject_hyperparams(..., hyperparam_dtype=jnp.float32)."
            )
        if not isinstance(value, int | float | np.number | np.ndarray | jax.Array):
            raise TypeError(f"{name} must be a number {rule}, not {value!r}: {remedy}.")
        if jnp.ndim(value):
            raise ValueError(
                f"{name} must be a scalar {rule}, not an array of shape {jnp.shape(value)}: use "
                "jax.vmap over the whole update to sweep it."
            )
        # `not allowed`, so that NaN, which satisfies no comparison, is refused as well.
        if not isinstance(value, Tracer) and not allowed(value):
            raise ValueError(f"{name} must be {rule}, not {value!r}: {remedy}.")


def check_rate(**arguments: Any) -> None:
    """Checks numbers that may also be schedules: learning rates and weight decays."""
    check("finite and >= 0", **{k: v for k, v in arguments.items() if not callable(v)})


def check_order(**arguments: Any) -> None:
    """Raises unless the arguments rise in the order given; tracers are trusted."""
    values = list(arguments.values())
    if any(isinstance(value, Tracer) for value in values):
        return
    if any(a > b for a, b in itertools.pairwise(values)):
        said = ", ".join(f"{name} = {value!r}" for name, value in arguments.items())
        raise ValueError(f"{' <= '.join(arguments)} must hold, not {said}.")


def require_params(name: str, params: Any) -> None:
    if params is None:
        raise ValueError(f"{name} needs the parameters: call update(grads, state, params).")


def require_grad(name: str, grad: Any, updates: Any) -> None:
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


def alike(tree: Any, other: Any) -> bool:
    """Whether two trees have the same structure and shapes."""
    return jax.tree.structure(tree) == jax.tree.structure(other) and _same_shapes(tree, other)


def require_like(updates: Any, what: str, tree: Any) -> None:
    """Raises unless a tree's leaves have the updates' shapes: broadcasting would hide a mistake."""
    if _same_shapes(updates, tree):
        return  # the names may differ: a box around a leaf is one
    wanted, found = _shapes(updates), _shapes(tree)
    if wanted == found:
        return
    name = next((n for n in [*wanted, *found] if wanted.get(n) != found.get(n)), "")
    raise ValueError(
        f"{what} and the updates differ at {name or 'the root'}: {found.get(name, 'nothing')} and "
        f"{wanted.get(name, 'nothing')}. Both need the structure and the shapes of the parameters."
    )


def require_own_state(init: Callable[[Any], Any], updates: Any, state: Any) -> None:
    """Raises if the state is not what init makes for such updates."""
    own = jax.eval_shape(init, updates)
    if alike(own, state):
        return
    wanted, found = _shapes(own), _shapes(state)
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


def _same_shapes(tree: Any, other: Any) -> bool:
    return [*map(jnp.shape, jax.tree.leaves(tree))] == [*map(jnp.shape, jax.tree.leaves(other))]


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): jnp.shape(leaf) for path, leaf in leaves}
