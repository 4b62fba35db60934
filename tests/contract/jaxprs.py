"""What a traced function computes on the way."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr


def wide_arrays(jaxpr: Any) -> list[str]:
    """The operations that make float64 arrays, scalars left out, and their shapes."""
    found = []
    for equation in jaxpr.eqns:
        made = [v.aval for v in equation.outvars if v.aval.shape and v.aval.dtype == jnp.float64]
        found += [f"{equation.primitive.name} {aval.shape}" for aval in made]
        for part in jax.tree.leaves(equation.params, is_leaf=_is_jaxpr):
            found += wide_arrays(part) if _is_jaxpr(part) else []
    return found


def _is_jaxpr(x: Any) -> bool:
    return isinstance(x, Jaxpr | ClosedJaxpr)
