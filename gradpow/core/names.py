"""Names: what those of a model's parts tell of its parameters, and those that were meant."""

import difflib
import re
from collections.abc import Iterable
from typing import Literal

__all__ = ["EMBEDDING", "HEAD", "NORM", "nearest", "parameter_kind"]

# Regular expressions for lower-case paths. A head is a whole name (lm_head), lest
# multi_head_attention be one.
EMBEDDING = r"embed|(^|/)w[tp]e(/|$)"
HEAD = r"unembed|(^|/)(\w+_)?head(/|$)"
NORM = r"norm|(^|/)ln(_|\d|/|$)"


def parameter_kind(path: str) -> Literal["embedding", "vector", "matrix"]:
    """Vectors are norms, biases and scales; embeddings have one row a token; all else is a matrix.

    By names, never by the number of axes: where layers are stacked in one tensor, a norm's scale
    has two. A norm's path has "norm", or "ln" at the start of a name; the other vectors' ends in
    "bias", "scale", "beta", "gamma" or, as in Haiku, "b" or "offset", before the "value" of Flax
    NNX if it is there.

    Examples:
      >>> from gradpow.core import parameter_kind
      >>> [parameter_kind(path) for path in ("wte/embedding", "ln_1/scale", "mlp/kernel")]
      ['embedding', 'vector', 'matrix']
    """
    name = path.lower().removesuffix("/value")
    if re.search(f"{NORM}|(bias|scale|offset|beta|gamma|(^|/)b)$", name):
        return "vector"
    return "embedding" if re.search(EMBEDDING, name) else "matrix"


def nearest(name: str, known: Iterable[str]) -> str:
    """For the error that nothing has this name: the names that come nearest, if any are near.

    Examples:
      >>> from gradpow.core import nearest
      >>> nearest("tigre", ["tiger", "lion"]), nearest("sgd", ["lion"])
      ('; the nearest is tiger', '')
    """
    near = difflib.get_close_matches(name, list(known), n=3)
    if not near:
        return ""
    return f"; the nearest {'is' if len(near) == 1 else 'are'} {', '.join(near)}"
