"""The arguments of closed forms: floats or arrays, each name with its range."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

# A float64 scalar or array, as the arguments broadcast; a union could be neither indexed nor added.
Floats: TypeAlias = Any

_ABOVE_0 = np.nextafter(0, 1)
RANGES = {  # the lowest value, the first that is too high, and both in words with the remedy
    "b1": (0, 1, "in [0, 1); Adam takes 0.9, S3 0.95"),
    "b2": (0, 1, "in [0, 1); Adam takes 0.999, S3 b1"),
    "p": (_ABOVE_0, np.inf, "positive and finite; 1 is Adam"),
    "mu": (_ABOVE_0, np.inf, "positive and finite; u is odd in mu, so pass |mu|"),
    "sigma": (0, np.inf, "finite and not negative; pass the noise's half-width"),
    "eps": (0, np.inf, "finite and not negative; Adam takes 1e-8"),
    "learning_rate": (_ABOVE_0, np.inf, "positive and finite; pass the constant step size"),
    **dict.fromkeys(("steps", "batch_size"), (1, np.inf, "finite and at least 1; pass a count")),
    **dict.fromkeys(
        ("gap", "gradient_bound", "smoothness", "noise"),
        (0, np.inf, "finite and not negative; pass an upper bound of it"),
    ),
}


def checked(**arguments: ArrayLike) -> list[NDArray[np.float64]]:
    """The arguments in float64, or a ValueError if one is outside its name's range."""
    arrays = {name: np.asarray(value, dtype=np.float64) for name, value in arguments.items()}
    for name, x in arrays.items():
        low, high, text = RANGES[name]
        require(name, x, (x >= low) & (x < high), text)
    return list(arrays.values())


def require(name: str, x: NDArray[np.float64], holds: NDArray[np.bool_], text: str) -> None:
    if not np.all(holds):
        raise ValueError(f"{name} is {x[~holds][0]:g}, but must be {text}.")
