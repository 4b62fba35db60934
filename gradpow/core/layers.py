"""What a layer is to the model, by its names, and the norm in which its steps are measured."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from optax.contrib import MuonDimensionNumbers

from gradpow.core.axes import last_two_axes
from gradpow.core.axes_by_name import matrix_axes
from gradpow.core.names import nearest, parameter_kind, parameter_part
from gradpow.core.norm_balls import Ball, unit_dual, window
from gradpow.core.numbers import Scalar
from gradpow.core.stacks import from_stack, to_stack
from gradpow.core.trees import map_with_names

__all__ = ["LAYER_NORMS", "LayerRole", "layer_balls", "layer_role", "start_on_balls"]

LayerRole = Literal["hidden", "embedding", "input", "conv", "output", "tied", "vector"]
"""What :func:`layer_role` tells apart, and "tied", an embedding that is the output too."""

LAYER_NORMS: Mapping[str, str] = {
    "hidden": "rms_to_rms",
    "embedding": "l1_to_rms",
    "input": "rms_to_rms_max",
    "conv": "conv",
    "output": "mean_to_linf",
    "tied": "mean_to_linf",
    "vector": "rms",
}
"""The norms of maps between typical inputs and outputs of each layer: an embedding's input is one
of its rows, a hidden layer's has a root mean square of 1, and of logits the largest counts."""


def layer_role(path: str, leaf: Any) -> LayerRole:
    """What a layer is, by :func:`gradpow.core.parameter_part` and the number of axes.

    A guess from names: print ``gradpow.describe_split(params, gradpow.core.layer_role)`` before you
    train. No name tells "tied": where an embedding is the output too, answer so by a function of
    your own. Names that say nothing, such as Dense_0, are hidden layers.

    Args:
      path: the names on the way to the leaf, joined by "/".
      leaf: the parameter.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import layer_role
      >>> w = jnp.ones((4, 4))
      >>> [layer_role(path, w) for path in ("wte/embedding", "h/0/mlp/kernel", "lm_head/kernel")]
      ['embedding', 'hidden', 'output']
    """
    kind, part = parameter_kind(path), parameter_part(path)
    if leaf.ndim < 2 or kind == "vector":
        return "vector"
    if part in ("embedding", "input", "conv"):
        return part
    return "output" if part == "head" else "hidden"


def layer_balls(
    radii: Mapping[str, Scalar],
    norms: Mapping[str, str] | None = None,
    role: Callable[[str, Any], str] = layer_role,
) -> Callable[[str, Any], Ball]:
    """A ball for each layer, by its role, for :func:`gradpow.transforms.lmo`.

    Axes of hidden layers go by names, :func:`gradpow.core.matrix_axes`, or else, and in other
    roles, as in Flax: the last two are in and out, all before them stack layers; all axes of a
    convolution but the last are in, as are those of an input layer; a vector is the last axis; and
    in a tied embedding the last axis is in, that of the words out.

    Args:
      radii: of each role; the others' are the radius of "hidden".
      norms: of the roles whose norm shall be another than in :data:`gradpow.core.LAYER_NORMS`.
      role: from the path and value of a leaf to its role.

    Returns:
      A function of path and leaf to a :class:`gradpow.core.Ball`.

    Raises:
      ValueError: when called with a leaf whose role has no norm.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import layer_balls
      >>> ball = layer_balls({"hidden": 50.0, "output": 3000.0})
      >>> ball("lm_head/kernel", jnp.ones((8, 100))).norm
      'mean_to_linf'
    """
    known = {**LAYER_NORMS, **(norms or {})}

    def ball(path: str, leaf: Any) -> Ball:
        name = role(path, leaf)
        if name not in known:
            raise ValueError(
                f"the role {name!r} of {path!r} has no norm{nearest(name, known)}: give it one in "
                f"norms, or answer with one of {', '.join(known)}."
            )
        axes = (matrix_axes(path, leaf) if name == "hidden" else None) or _axes(name, leaf.ndim)
        return Ball(known[name], radii.get(name, radii["hidden"]), axes)

    return ball


def _axes(role: str, ndim: int) -> MuonDimensionNumbers:
    axes = tuple(range(ndim))
    if role in ("conv", "input"):
        return MuonDimensionNumbers(axes[:-1], axes[-1:])
    if role == "vector":
        return MuonDimensionNumbers((), axes[-1:])
    if role == "tied":
        return MuonDimensionNumbers(axes[-1:], axes[-2:-1])
    return MuonDimensionNumbers(axes[-2:-1], axes[-1:])


def start_on_balls(key: jax.Array, params: Any, balls: Callable[[str, Any], Ball]) -> Any:
    """Parameters that lie on the spheres of their balls, in uniformly random directions.

    Matrices of a spectral ball have equal singular values, rows or columns are normalised normal
    ones, and those of "mean_to_linf" are signs. Vectors stay as they are: a gain may be 1, and a
    bias 0. Convolutions lie on the ball of their steps.

    Args:
      key: a random key.
      params: the parameters, for their shapes, types and vectors.
      balls: from path and leaf to its ball.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp
      >>> from gradpow.core import layer_balls, start_on_balls
      >>> params = {"lm_head": {"kernel": jnp.zeros((2, 4))}}
      >>> balls = layer_balls({"hidden": 50.0, "output": 3000.0})
      >>> abs(start_on_balls(jax.random.key(0), params, balls)["lm_head"]["kernel"][0])
      Array([1500., 1500., 1500., 1500.], dtype=float32)
    """
    keys = optax.tree.split_key_like(key, params)

    def start(path: str, leaf: jax.Array, key: jax.Array) -> jax.Array:
        ball = balls(path, leaf)
        if ball.norm == "rms" or not leaf.size:
            return leaf
        noise = jax.random.normal(key, leaf.shape, jnp.promote_types(leaf.dtype, jnp.float32))
        axes = ball.axes or last_two_axes(path, leaf)
        x = unit_dual(to_stack(noise, axes), ball.norm, window=window(axes, leaf))
        return (ball.radius * from_stack(x, axes, leaf)).astype(leaf.dtype)

    return map_with_names(start, params, keys)
