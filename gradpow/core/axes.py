"""Which leaves are matrices, and which of their axes are in and out."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from optax.contrib import MuonDimensionNumbers

from gradpow.core.axes_by_name import matrix_axes
from gradpow.core.names import parameter_kind, parameter_part
from gradpow.core.trees import is_function, map_with_names

__all__ = ["Matrices", "dimension_numbers", "hidden_matrices", "last_two_axes"]

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


def last_two_axes(path: str, leaf: Any) -> MuonDimensionNumbers:
    """The default of matrix links: the last two axes are in and out, all before them batch axes.

    So is a Flax kernel, and a stack of them. A vector is a matrix of one row, a scalar 1 x 1.

    Args:
      path: the names on the way to the leaf, which do not matter.
      leaf: the parameter.

    Returns:
      Its axes.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import last_two_axes
      >>> last_two_axes("layers", jnp.ones((12, 3, 4)))
      MuonDimensionNumbers(reduction_axis=(1,), output_axis=(2,))
    """
    del path
    axes = tuple(range(leaf.ndim))
    return MuonDimensionNumbers(axes[-2:-1], axes[-1:])


def hidden_matrices(path: str, leaf: jax.Array) -> MuonDimensionNumbers | None:
    """The default of matrix methods: the axes of what lies between the input and the head.

    By names, as :func:`gradpow.core.parameter_part` and :func:`gradpow.core.parameter_kind` have
    them. No hidden matrices are embeddings of tokens and positions, maps of the input (patches),
    all within a part that ends in logits (lm_head, classifier), norms, scales and biases, learned
    tokens, tables of relative positions, convolutions, LoRA's matrices, and a matrix of one row or
    column. Those of routers are. A name that says nothing, such as Dense_0, is taken for a hidden
    matrix's, be it the head's. A leaf of two axes is (in, out); one of more is a matrix where its
    names say what the others are, see :func:`gradpow.core.matrix_axes`: stacked layers, heads,
    experts. Look before you train, and pass a function of your own::

        print(gradpow.describe_split(params, gradpow.hidden_matrices))

    Args:
      path: the names on the way to the leaf, joined by "/".
      leaf: the parameter.

    Returns:
      Its axes, or None for what is no hidden matrix.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> gradpow.hidden_matrices("layers/0/attn/query/kernel", jnp.ones((8, 2, 4)))
      MuonDimensionNumbers(reduction_axis=0, output_axis=(1, 2))
      >>> gradpow.hidden_matrices("token_embed/embedding", jnp.ones((8, 8)))

    References:
      Wang et al. (2025), Appendix B.2: Muon takes the hidden matrices, AdamW all else; which names
      those have is ours.
    """
    inner = parameter_part(path) in ("qk", "vo", "ffn", "rest")
    numbers = matrix_axes(path, leaf) if inner and parameter_kind(path) == "matrix" else None
    if numbers is None:
        return None
    sides = (numbers.reduction_axis, numbers.output_axis)
    # As a matrix, one row or one column is a vector.
    return None if any(np.prod(np.take(leaf.shape, side)) == 1 for side in sides) else numbers
