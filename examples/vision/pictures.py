"""Pictures as float32 arrays [y, x, colour] in [0, 1], whatever they are stored as."""

from typing import Any

import numpy as np

GREY = ("1", "L", "LA", "La")  # of Pillow's modes, those without colour
WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
PLAIN = ("1", "L", "RGB", "F")  # which NumPy takes as they are


def pixels(picture: Any) -> np.ndarray:
    """Of a Pillow image, or of an array whose last axis is that of the colours, if it has three.

    Grey stays grey; palettes, CMYK and other spaces of colour become RGB. What is transparent lies
    on white. Of an animation the first frame counts. Raises `ValueError` that says what is wrong.
    """
    from PIL import Image

    x = _array(picture) if isinstance(picture, Image.Image) else np.asarray(picture)
    if x.ndim not in (2, 3):
        raise ValueError(f"is an array of shape {x.shape}, not [y, x] or [y, x, colour]")
    if x.ndim == 3 and x.shape[0] <= 4 < x.shape[2]:
        raise ValueError(f"is an array of shape {x.shape}: its colours must come last")
    return _scaled(x).reshape(*x.shape[:2], -1)


def _array(picture: Any) -> np.ndarray:
    from PIL import Image

    mode = picture.mode
    if mode in WITH_ALPHA or (mode in ("1", "L", "P", "RGB") and "transparency" in picture.info):
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
        return np.asarray(picture.convert("L" if mode in GREY else "RGB"))
    if mode == "I" or mode.startswith("I;16"):  # 16 bits, which Pillow may keep in 32
        x = np.asarray(picture)
        if x.min() < 0 or x.max() > 65535:
            raise ValueError(f"has pixels from {x.min()} to {x.max()}, of more than 16 bits")
        return x.astype(np.uint16)
    return np.asarray(picture if mode in PLAIN else picture.convert("RGB"))


def _scaled(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind == "f":
        if not np.all((x >= 0) & (x <= 1)):  # nor NaN
            raise ValueError("has pixels that are not in [0, 1]")
        return x.astype(np.float32)
    if x.dtype.kind not in "biu":
        raise ValueError(f"has pixels of type {x.dtype}, not numbers")
    largest = {"bool": 1, "uint16": 65535}.get(x.dtype.name, 255)
    if x.size and (x.min() < 0 or x.max() > largest):
        raise ValueError(
            f"has pixels from {x.min()} to {x.max()} in {x.dtype.name}: store 8 bits as uint8, "
            "16 as uint16, or numbers in [0, 1]"
        )
    return x.astype(np.float32) / np.float32(largest)
