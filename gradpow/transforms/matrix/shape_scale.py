"""Scaling by shape: Jordan et al. (2024), muon.py; Liu et al. (2025), Section 2.2."""

import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import optax

from gradpow.core import (
    Matrices,
    Scalar,
    check,
    check_choice,
    dimension_numbers,
    is_numbers,
    last_two_axes,
    matrix_shape,
)

__all__ = ["shape_scale"]

_RULES: dict[str, Callable[[int, int], float]] = {
    "width": lambda fan_in, fan_out: math.sqrt(max(1, fan_out / fan_in)),
    "rms": lambda fan_in, fan_out: math.sqrt(max(fan_in, fan_out)),
    "spectral": lambda fan_in, fan_out: math.sqrt(fan_out / fan_in),
}


def shape_scale(
    rule: Literal["width", "rms", "spectral"] = "width",
    factor: Scalar = 1.0,
    matrices: Matrices | Any = last_two_axes,
) -> optax.GradientTransformation:
    r"""Multiplies each matrix by a function of its shape, of which one rate then serves all.

    .. math::
      u \leftarrow f\, u \cdot
      \sqrt{\max(1, n_{out} / n_{in})}, \quad
      \sqrt{\max(n_{in}, n_{out})} \quad\text{or}\quad
      \sqrt{n_{out} / n_{in}}

    After :func:`gradpow.transforms.orthogonalize`: "width" is Muon's; "rms" gives every matrix of
    full rank the root mean square f, where AdamW's updates have some 0.2; "spectral" has each map
    change its outputs, by root mean square, as much as its inputs are large. Keeps nothing.

    Args:
      rule: one of the three, in their order above; by default Muon's.
      factor: f, finite and > 0.
      matrices: which axes are in and out, as in :func:`gradpow.on_matrices`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import shape_scale
      >>> u = jnp.ones((1, 4))
      >>> [float(shape_scale(rule).update(u, ())[0][0, 0]) for rule in ("width", "rms", "spectral")]
      [2.0, 2.0, 2.0]
      >>> float(shape_scale("spectral").update(u.T, ())[0][0, 0])
      0.5

    References:
      Jordan et al. (2024), ``muon.py``; Liu et al. (2025), Section 2.2.
    """
    check_choice(tuple(_RULES), rule=rule)
    check("finite and > 0", factor=factor)

    def update(updates, state, params=None):
        del params

        def scaled(numbers, u):
            if numbers is None:
                return u
            return jax.numpy.asarray(factor * _RULES[rule](*matrix_shape(u, numbers)), u.dtype) * u

        numbers = dimension_numbers(matrices, updates)
        return jax.tree.map(scaled, numbers, updates, is_leaf=is_numbers), state

    return optax.GradientTransformation(optax.init_empty_state, update)
