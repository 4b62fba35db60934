"""Paths of leaves as text: the names on the way, joined by slashes."""

from collections.abc import Callable
from typing import Any

import jax

# What the names of a model's parts tell, as regular expressions for lower-case paths. A head is a
# whole name (lm_head), lest multi_head_attention be one.
EMBEDDING = r"embed|(^|/)w[tp]e(/|$)"
HEAD = r"unembed|(^|/)(\w+_)?head(/|$)"
NORM = r"norm|(^|/)ln(_|\d|/|$)"


def map_with_names(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: Any = None) -> Any:
    """jax.tree.map whose function receives first the leaf's path, as in "layers/0/kernel"."""

    def named(path: Any, *leaves: Any) -> Any:
        return f(jax.tree_util.keystr(path, simple=True, separator="/"), *leaves)

    return jax.tree_util.tree_map_with_path(named, tree, *rest, is_leaf=is_leaf)
