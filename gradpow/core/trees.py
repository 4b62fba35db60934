"""Trees of arrays: their shapes, the names of their leaves, sums over all of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gradpow.core.powers import square_root

__all__ = [
    "alike",
    "full_mask",
    "is_function",
    "map_with_names",
    "norm",
    "require_like",
    "scalar_dtype",
    "shapes_by_name",
    "size",
    "state_bytes",
    "sum_of_squares",
]


def is_function(given: Any, params: Any) -> bool:
    """Whether what may be a function or a tree like the parameters is a function.

    A model's tree may be callable too, an Equinox module with its ``__call__``; it then has the
    type of the parameters, which no function has. Bound methods of modules are trees as well.

    Examples:
      >>> from gradpow.core import is_function
      >>> is_function(lambda path: True, {"w": 1.0}), is_function({"w": True}, {"w": 1.0})
      (True, False)
    """
    return callable(given) and type(given) is not type(params)


def map_with_names(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: Any = None) -> Any:
    """jax.tree.map whose function receives first the leaf's path, its names joined by slashes.

    Examples:
      >>> from gradpow.core import map_with_names
      >>> map_with_names(lambda path, x: path, {"layers": [{"kernel": 1.0}]})
      {'layers': [{'kernel': 'layers/0/kernel'}]}
    """

    def named(path: Any, *leaves: Any) -> Any:
        return f(jax.tree_util.keystr(path, simple=True, separator="/"), *leaves)

    return jax.tree_util.tree_map_with_path(named, tree, *rest, is_leaf=is_leaf)


def scalar_dtype(tree: Any) -> Any:
    """The type of a number that sums up a tree: float32, or float64 where a leaf is.

    JAX's own default is float64 under ``jax_enable_x64``, whatever the leaves are.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import scalar_dtype
      >>> print(scalar_dtype({"a": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(3)}))
      float32
    """
    leaves = jax.tree.leaves(tree)
    floats = [x for x in leaves if jnp.issubdtype(jnp.result_type(x), jnp.floating)]
    return jnp.result_type(jnp.float32, *floats)


def sum_of_squares(tree: Any) -> jax.Array:
    """Over all coordinates of all leaves, in at least float32.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import sum_of_squares
      >>> sum_of_squares({"a": jnp.array([3.0]), "b": jnp.array([4.0])})
      Array(25., dtype=float32)
    """

    def of_leaf(x):
        x = jnp.asarray(x, jnp.promote_types(x.dtype, jnp.float32))
        return jnp.sum(x * x)

    return sum(map(of_leaf, jax.tree.leaves(tree)), start=jnp.zeros([], jnp.float32))


def full_mask(mask: Any, params: Any) -> Any:
    """A mask as optax takes it, as a tree of booleans: None is all, a prefix stands for its leaves.

    Examples:
      >>> from gradpow.core import full_mask
      >>> full_mask({"a": True, "b": False}, {"a": 1.0, "b": [2.0, 3.0]})
      {'a': True, 'b': [False, False]}
    """
    given = mask(params) if callable(mask) else True if mask is None else mask
    return jax.tree.broadcast(given, params)


def norm(tree: Any, mean: bool = False) -> jax.Array:
    """The Euclidean norm, or the root of the mean square, over all coordinates of all leaves.

    Its slope at 0 is 0. In float32 a norm below 1e-19 is 0, one above 1e19 infinite.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import norm
      >>> norm({"a": jnp.array([3.0]), "b": jnp.array([4.0])})
      Array(5., dtype=float32)
    """
    return square_root(sum_of_squares(tree) / (size(tree) if mean else 1))


def size(tree: Any) -> float:
    """The number of coordinates, at least 1; a float, since int32 may not hold it.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import size
      >>> size({"a": jnp.ones((2, 3)), "b": jnp.ones(4)})
      10.0
    """
    return float(max(optax.tree.size(tree), 1))


def state_bytes(tx: optax.GradientTransformation, params: Any) -> float:
    """Bytes that an optimizer keeps for each parameter, in arrays: counters are not counted.

    Computed from shapes: ``params`` may be abstract, and nothing is allocated.

    Examples:
      >>> import jax, jax.numpy as jnp, optax
      >>> from gradpow.core import state_bytes
      >>> state_bytes(optax.adam(1e-3), {"w": jax.ShapeDtypeStruct((8, 8), jnp.float32)})
      8.0
    """
    arrays = [x for x in jax.tree.leaves(jax.eval_shape(tx.init, params)) if x.ndim]
    parameters = sum(x.size for x in jax.tree.leaves(params))
    return sum(x.size * x.dtype.itemsize for x in arrays) / parameters


def alike(tree: Any, other: Any) -> bool:
    """Whether two trees have the same structure and shapes.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import alike
      >>> alike({"w": jnp.ones(2)}, {"w": jnp.zeros(2)}), alike(jnp.ones(2), jnp.ones(3))
      (True, False)
    """
    return jax.tree.structure(tree) == jax.tree.structure(other) and _same_shapes(tree, other)


def require_like(updates: Any, what: str, tree: Any) -> None:
    """Raises unless a tree's leaves have the updates' shapes: broadcasting would hide a mistake.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import require_like
      >>> require_like(jnp.ones(2), "the parameters", jnp.zeros(2))
    """
    if _same_shapes(updates, tree):
        return  # the names may differ: a box around a leaf is one
    wanted, found = shapes_by_name(updates), shapes_by_name(tree)
    if wanted == found:
        return
    name = next((n for n in [*wanted, *found] if wanted.get(n) != found.get(n)), "")
    raise ValueError(
        f"{what} and the updates differ at {name or 'the root'}: {found.get(name, 'nothing')} and "
        f"{wanted.get(name, 'nothing')}. Both need the structure and the shapes of the parameters."
    )


def _same_shapes(tree: Any, other: Any) -> bool:
    return [*map(jnp.shape, jax.tree.leaves(tree))] == [*map(jnp.shape, jax.tree.leaves(other))]


def shapes_by_name(tree: Any) -> dict[str, tuple[int, ...]]:
    """The leaves' shapes by their paths, as jax.tree_util.keystr writes them.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import shapes_by_name
      >>> shapes_by_name({"w": jnp.ones((2, 3))})
      {"['w']": (2, 3)}
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): jnp.shape(leaf) for path, leaf in leaves}
