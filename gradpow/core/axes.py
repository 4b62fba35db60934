"""Which leaves are matrices, and which of their axes are in and out."""

from collections.abc import Callable
from typing import Any

import jax
import optax
from optax.contrib import MuonDimensionNumbers

from gradpow.core.trees import is_function, map_with_names

__all__ = ["Matrices", "dimension_numbers"]

Matrices = Callable[[str, Any], MuonDimensionNumbers | bool | None]
"""From the path and value of a leaf to its axes; True for a plain matrix, None for no matrix."""


def dimension_numbers(matrices: Matrices | Any, params: optax.Params) -> Any:
    """A tree of MuonDimensionNumbers, with None where a leaf is no matrix, or is empty.

    Args:
      matrices: a function of path and leaf, or a tree of its answers or a prefix of one.
      params: the parameters.

    Returns:
      A tree with the structure of the parameters.

    Raises:
      ValueError: if a leaf is called a matrix that has not two axes.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import dimension_numbers
      >>> dimension_numbers(lambda path, x: x.ndim == 2, {"w": jnp.ones((2, 3)), "b": jnp.ones(3)})
      {'b': None, 'w': MuonDimensionNumbers(reduction_axis=0, output_axis=1)}
    """

    def numbers(path: str, answer: Any, leaf: jax.Array) -> MuonDimensionNumbers | None:
        if not answer or not leaf.size:
            return None
        if answer is True and leaf.ndim != 2:
            raise ValueError(
                f"{path!r} is called a matrix, but has not two axes: answer with "
                "optax.contrib.MuonDimensionNumbers to say which are in and out, or None for none."
            )
        return MuonDimensionNumbers() if answer is True else answer

    if not jax.tree.leaves(params):  # optax.tree.map_params probes with a tree of no leaves
        return params
    given = is_function(matrices, params)
    answers = map_with_names(matrices, params) if given else matrices
    return map_with_names(  # an answer may stand for a subtree
        lambda path, answer, part: jax.tree.map(lambda x: numbers(path, answer, x), part),
        answers,
        params,
        is_leaf=lambda x: x is None or isinstance(x, bool | MuonDimensionNumbers),
    )
