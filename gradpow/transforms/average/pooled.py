"""Pooling: Ward et al. (2019), Algorithm 1; Zhang et al. (2024), Algorithm 1."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import map_with_names, require_transformation, size

__all__ = ["Blocks", "PooledState", "pooled"]


class Blocks(NamedTuple):
    """An axis cut into blocks: all coordinates of a block are pooled, over the other axes too.

    Args:
      axis: which axis, counted from either end.
      count: how many blocks, which must divide its length: the number of heads, say.
    """

    axis: int
    count: int


Axes = int | tuple[int, ...] | Blocks | None


class PooledState(NamedTuple):
    """State of :func:`pooled`: inner, the filter's, of sums or means."""

    inner: optax.OptState


def pooled(
    inner: optax.GradientTransformation,
    over: Axes | Literal["tree"] | Callable[[str, jax.Array], Axes] = None,
    mean: bool = False,
) -> optax.GradientTransformationExtraArgs:
    r"""Gives a filter sums or means instead of coordinates, and keeps a state as small as those.

    .. math::
      y_B = \mathrm{inner}\Bigl(\sum_{i \in B} x_i\Bigr), \qquad
      \text{the same } y_B \text{ for all } i \in B

    B is a tensor by default. Of a Flax kernel of shape (in, out), ``over=0`` leaves a number for
    each output (Adam-mini), ``over=-1`` one for each input (DASGO), ``Blocks(1, heads)`` one for
    each head; ``over="tree"`` pools everything (AdaGrad-Norm).

    What comes out has axes of length 1 where it was pooled: it broadcasts, as
    :func:`gradpow.transforms.moment_scale` needs it. ``init`` pools the parameters, so that a state
    is sharded as their remaining axes are. No leaf of the state counts as a parameter's for
    :func:`optax.tree.map_params`, since it has not the parameter's shape.

    Args:
      inner: a filter, such as :func:`optax.ema`.
      over: the axes to pool over, or () for none; :class:`gradpow.transforms.Blocks`; None for a
        whole tensor; "tree"; or a function of a leaf's path (its names joined by "/") and the leaf
        to one of the first three.
      mean: the mean instead of the sum.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`.

    Raises:
      ValueError: at init, if a leaf has no such axis, or the blocks do not divide it.

    Examples:
      >>> import jax.numpy as jnp, optax
      >>> from gradpow.transforms import pooled
      >>> tx, x = pooled(optax.trace(1.0), over=0), jnp.array([[1.0, 2.0], [3.0, 4.0]])
      >>> tx.update(x, tx.init(x))[0]
      Array([[4., 6.]], dtype=float32)

    References:
      Ward et al. (2019), Algorithm 1; Zhang et al. (2024), Algorithm 1.
    """
    inner = require_transformation("pooled's inner", inner)

    def by_leaf(f: Callable[..., Any], *trees: Any) -> Any:
        axes: Any = over
        if callable(axes):
            return map_with_names(lambda path, x, *rest: f(axes(path, x), x, *rest), *trees)
        return jax.tree.map(lambda x, *rest: f(axes, x, *rest), *trees)

    def pool(tree: Any) -> Any:
        if over == "tree":
            return sum(map(jnp.sum, jax.tree.leaves(tree))) / (size(tree) if mean else 1)
        return by_leaf(lambda axes, x: _pool(x, axes, mean), tree)

    def init(params):
        leaves = jax.tree.leaves(params)
        if not leaves:  # optax.tree.map_params asks so for what is a parameter's
            small = jnp.zeros([])
        elif any(isinstance(x, jax.ShapeDtypeStruct) for x in leaves):
            small = jax.eval_shape(pool, params)
        else:
            small = pool(params)
        return PooledState(inner.init(optax.tree.zeros_like(small)))

    def update(updates, state, params=None, **extra_args):
        del params
        if not jax.tree.leaves(updates):
            return updates, state
        y, new_inner = inner.update(pool(updates), state.inner, None, **extra_args)
        if over == "tree":
            y = jax.tree.map(lambda _: y, updates)
        else:
            y = by_leaf(lambda axes, x, y: _spread(y, x, axes), updates, y)
        return y, PooledState(new_inner)

    return optax.GradientTransformationExtraArgs(init, update)


def _pool(x: jax.Array, axes: Axes, mean: bool) -> jax.Array:
    if isinstance(axes, Blocks):
        axis = range(x.ndim)[axes.axis]
        x = jnp.reshape(x, (*x.shape[:axis], axes.count, -1, *x.shape[axis + 1 :]))
        others = tuple(i for i in range(x.ndim) if i != axis)
        total = jnp.squeeze(jnp.sum(x, others, keepdims=True), axis + 1)
        return total / max(x.size // axes.count, 1) if mean else total
    total = jnp.sum(x, axes, keepdims=True)
    return total * (total.size / max(x.size, 1)) if mean else total


def _spread(y: jax.Array, x: jax.Array, axes: Axes) -> jax.Array:
    """Blocks as long as they were; all else broadcasts."""
    if not isinstance(axes, Blocks):
        return y
    axis = range(x.ndim)[axes.axis]
    return jnp.repeat(y, x.shape[axis] // axes.count, axis)
