"""What a traced function computes on the way."""

from typing import Any

import jax.numpy as jnp
from jax.extend.core import jaxprs_in_params


def wide_arrays(jaxpr: Any) -> list[str]:
    """The operations that make float64 arrays, scalars left out, and their shapes."""
    found = []
    for equation in jaxpr.eqns:
        made = [v.aval for v in equation.outvars if v.aval.shape and v.aval.dtype == jnp.float64]
        found += [f"{equation.primitive.name} {aval.shape}" for aval in made]
        for inner in jaxprs_in_params(equation.params):
            found += wide_arrays(inner)
    return found
