"""Parameters by name: what decays, what Muon takes and how arrays are shared out goes by these."""

from collections.abc import Callable
from typing import Any

import jax


def name_of(path: Any) -> str:
    """A parameter's name from its path in a tree: layers/0/self_attn/q_proj/kernel."""
    return jax.tree_util.keystr(path, simple=True, separator="/").removesuffix("/value")


def by_path(rule: Callable[[str], Any]) -> Callable[[Any], Any]:
    """From a rule on a parameter's path, as in "layers/0/mlp/up_proj/kernel", to one on trees."""

    def of(tree):
        return jax.tree_util.tree_map_with_path(lambda path, _: rule(name_of(path)), tree)

    return of
