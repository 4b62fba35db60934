"""A table of what labels make of the parameters, to be looked at before training."""

import inspect
import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from optax.contrib import MuonDimensionNumbers

from gradpow.core.stacks import is_numbers
from gradpow.core.trees import is_function, map_with_names

__all__ = ["describe_split"]


def describe_split(params: Any, labels: Callable[..., Any] | Any) -> str:
    """Says which parameters got which label, in a table by label.

    What goes by names is a guess: look at it before you trust :func:`gradpow.transformer_blocks`,
    :func:`gradpow.hidden_matrices` or :func:`gradpow.presets.decay_mask` with a model of your own.
    Layers that differ in their number alone share a line, with a star in its place.

    Args:
      params: the parameters, or their shapes, as :func:`jax.eval_shape` has them.
      labels: a function of the path of a leaf, or of path and leaf, to a label of any kind; a
        function of ``params``, by this name, to a tree of labels; or such a tree or a prefix of it.

    Returns:
      The table, to be printed.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> layer = {"attn": {"query": jnp.ones((4, 8))}, "norm": {"scale": jnp.ones(4)}}
      >>> params = {"layers": [layer, layer], "lm_head": {"kernel": jnp.ones((4, 9))}}
      >>> print(gradpow.describe_split(params, gradpow.transformer_blocks))
      qk: 2 tensors, 64 parameters
        layers/*/attn/query x2  (4, 8)
      rest: 3 tensors, 44 parameters
        layers/*/norm/scale x2  (4,)
        lm_head/kernel          (4, 9)
      >>> print(gradpow.describe_split(params, gradpow.presets.decay_mask))
      True: 3 tensors, 100 parameters
        layers/*/attn/query x2  (4, 8)
        lm_head/kernel          (4, 9)
      False: 2 tensors, 8 parameters
        layers/*/norm/scale x2  (4,)
      >>> print(gradpow.describe_split(params, gradpow.hidden_matrices))
      matrices, in 0, out 1: 2 tensors, 64 parameters
        layers/*/attn/query x2  (4, 8)
      rest: 3 tensors, 44 parameters
        layers/*/norm/scale x2  (4,)
        lm_head/kernel          (4, 9)
    """
    tree = _tree_of(labels, params)
    answers = jax.tree.leaves(tree, is_leaf=is_numbers)
    say = _of_axes if any(isinstance(x, MuonDimensionNumbers) for x in answers) else str
    said = jax.tree.map(  # a label may stand for a subtree
        lambda label, part: jax.tree.map(lambda _: say(label), part),
        tree,
        params,
        is_leaf=is_numbers,
    )
    rows: dict[str, Counter[tuple[str, tuple[int, ...]]]] = {}

    def note(path: str, label: str, leaf: Any) -> None:
        rows.setdefault(label, Counter())[_folded(path), np.shape(leaf)] += 1

    map_with_names(note, said, params)
    return "\n".join(line for label, counts in rows.items() for line in _group(label, counts))


def _tree_of(labels: Any, params: Any) -> Any:
    if not is_function(labels, params):
        return labels
    takes = list(inspect.signature(labels).parameters)
    if takes == ["params"]:
        return labels(params)
    return map_with_names(
        lambda path, leaf: labels(path) if len(takes) == 1 else labels(path, leaf), params
    )


def _of_axes(answer: MuonDimensionNumbers | bool | None) -> str:
    """An answer about matrices, as :func:`gradpow.on_matrices` understands it."""
    if not answer:
        return "rest"

    def of(axes: Any) -> str:
        return " and ".join(map(str, axes if isinstance(axes, tuple) else (axes,)))

    rows, columns = MuonDimensionNumbers() if answer is True else answer
    return f"matrices, in {of(rows)}, out {of(columns)}"


def _folded(path: str) -> str:
    """The path with a star for the number of a layer: layers/3, h_3, encoderblock_3."""
    return re.sub(r"(?i)(^|/|(?:layers?|blocks?)_?|(?:^|/)h_?)\d+(?=/|$)", r"\1*", path)


def _group(label: str, counts: Counter[tuple[str, tuple[int, ...]]]) -> list[str]:
    tensors = counts.total()
    parameters = sum(n * math.prod(shape) for (_, shape), n in counts.items())
    columns = [(path, f"x{n}" if n > 1 else "", str(shape)) for (path, shape), n in counts.items()]
    paths, times, _ = (max(map(len, column)) for column in zip(*columns, strict=True))
    return [
        f"{label}: {tensors} tensor{'s' * (tensors != 1)}, {parameters:,} parameters",
        *(f"  {path:<{paths}} {n:>{times}}  {shape}" for path, n, shape in columns),
    ]
