"""The arguments of closed forms: floats or arrays, each name with its range."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradpow.core import check_arrays

# A float64 scalar or array, as the arguments broadcast; a union could be neither indexed nor added.
Floats: TypeAlias = Any

_RULES = {
    **dict.fromkeys(("b1", "b2"), "in [0, 1)"),
    **dict.fromkeys(("p", "mu", "learning_rate"), "finite and > 0"),
    **dict.fromkeys(("sigma", "eps"), "finite and >= 0"),
    **dict.fromkeys(("gap", "gradient_bound", "smoothness", "noise"), "finite and >= 0"),
    **dict.fromkeys(("steps", "batch_size"), "finite and >= 1"),
}


def checked(**arguments: ArrayLike) -> list[NDArray[np.float64]]:
    """The arguments in float64, or a ValueError if one is outside its name's range."""
    return [check_arrays(_RULES[name], **{name: value})[0] for name, value in arguments.items()]


def require(name: str, x: NDArray[np.float64], holds: NDArray[np.bool_], text: str) -> None:
    """For ranges that depend on other arguments."""
    if not np.all(holds):
        raise ValueError(f"{name} must be {text}, not {x[~holds][0]:g}.")
