"""Layouts: what the names of a leaf of many axes tell of them, and of its part in attention."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from optax.contrib import MuonDimensionNumbers

from gradpow.core.names import names_of, parameter_part

__all__ = ["AttentionPart", "AttentionRole", "attention_role", "matrix_axes"]

AttentionPart = Literal["query", "key", "rotary_query"]
"""What makes attention's logits; a rotary query is one whose key is shared by heads."""
AttentionRole = AttentionPart | Sequence[tuple[AttentionPart, slice]] | None
"""A leaf's part, or those of slices of each head; None where it has none."""

_QUERY = {"q", "query", "queries", "wq"}
_KEY = {"k", "key", "keys", "wk"}
_VALUE = {"v", "value", "values", "wv"}
_OUT = {"o", "out", "output", "wo", "vec"}
_STACK = r"(layers|blocks|encoderblock|decoderblock)$|^h$"
"""A name of many layers that have no numbers: they lie in one tensor."""


def matrix_axes(path: str, leaf: Any) -> MuonDimensionNumbers | None:
    """The axes of a matrix by its names: two axes are (in, out), others need a name that says them.

    In this order: layers, where a plural has no number (layers/mlp, not layers/0/mlp nor
    layers_0/mlp); experts, in a part that is called so; and then (in, out), or in attention (model,
    heads, head) of queries, keys and values, (heads, head, model) of its output, and (heads, model,
    head) of what is called an einsum. What is called a weight, as PyTorch does, has its heads
    first. The encoders and decoders of T5X and MaxText stack their layers along the second axis:
    theirs are not told.

    Args:
      path: the names on the way to the leaf, joined by "/".
      leaf: the parameter.

    Returns:
      Its axes, all but in and out being batch axes; None where the names do not say them.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import matrix_axes
      >>> matrix_axes("layers/mlp/experts/up_proj", jnp.ones((3, 4, 8, 8)))
      MuonDimensionNumbers(reduction_axis=2, output_axis=3)
      >>> matrix_axes("layers_0/attn/out/kernel", jnp.ones((2, 4, 8)))
      MuonDimensionNumbers(reduction_axis=(0, 1), output_axis=2)
    """
    if leaf.ndim == 2:
        return MuonDimensionNumbers()
    names = names_of(path)
    if leaf.ndim < 2 or _of_second_axis(path):
        return None
    batch = int(_has_stack([name.text for name in names]))
    if leaf.ndim - batch == 3 and _has_experts(names):
        batch += 1
    if leaf.ndim - batch == 2:
        return MuonDimensionNumbers(batch, batch + 1)
    return _of_heads(names, batch) if leaf.ndim - batch == 3 else None


def attention_role(path: str) -> Literal["query", "key"] | None:
    """Whether a leaf makes queries or keys, by its names; None if neither, or if it makes more.

    Examples:
      >>> from gradpow.core import attention_role
      >>> [attention_role(f"h/0/attn/{name}/kernel") for name in ("q_proj", "key", "c_attn")]
      ['query', 'key', None]
    """
    if parameter_part(path) != "qk":
        return None
    words = frozenset().union(*(name.words for name in names_of(path)[-2:]))
    query, key, value = (bool(words & known) for known in (_QUERY, _KEY, _VALUE))
    if value or query == key:
        return None
    return "query" if query else "key"


def _has_stack(texts: list[str]) -> bool:
    """Whether a plural is followed by no number, and has none: several layers in one tensor."""
    if any(re.search(r"(layer|block|^h)s?_?\d+$", text) for text in texts):
        return False
    for place, text in enumerate(texts):
        later = zip(texts[place:], texts[place + 1 :], strict=False)
        numbered = any(t.isdigit() and "expert" not in before for before, t in later)
        if re.search(_STACK, text) and not numbered:
            return True
    return False


def _of_second_axis(path: str) -> bool:
    """Whether it is named as T5X's and MaxText's scanned layers are."""
    return bool(re.search(r"(^|/)(en|de)coder/\w*layers/(mlp|\w*attention|\w*MoeBlock)", path))


def _has_experts(names: list[Any]) -> bool:
    """Whether experts lie in one tensor: as a plural without a number, or in a block of them."""
    for name, following in zip(names, [*names[1:], names[-1]], strict=True):
        if name.has("experts", "moe") and not following.text.isdigit():
            return not name.has("shared")
    return False


def _of_heads(names: list[Any], batch: int) -> MuonDimensionNumbers | None:
    words = frozenset().union(*(name.words for name in names[-2:]))
    first, second, third = range(batch, batch + 3)
    inner = words & (_QUERY | _KEY | _VALUE)
    if "einsum" in words and inner:
        return MuonDimensionNumbers(second, (first, third))
    turned = names[-1].text == "weight"
    if inner and not words & {"o", "out", "wo"}:
        sides = (third, (first, second)) if turned else (first, (second, third))
        return MuonDimensionNumbers(*sides)
    if words & _OUT and not inner:
        sides = ((second, third), first) if turned else ((first, second), third)
        return MuonDimensionNumbers(*sides)
    return None
