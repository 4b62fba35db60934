"""Images: scikit-learn's digits, which are always at hand, and datasets of the Hugging Face hub."""

import hashlib
from typing import Any, NamedTuple

import numpy as np

from ..pretrain.errors import UserError

Images = dict[str, np.ndarray]  # image float32 [example, y, x, colour] in [0, 1]; label int32


class Splits(NamedTuple):
    train: Images
    test: Images
    about: str

    @property
    def hash(self) -> str:
        digest = hashlib.sha256()
        for split in (self.train, self.test):
            for array in split.values():
                digest.update(array.tobytes())
        return digest.hexdigest()


def digits() -> Splits:
    """The 1,797 digits of 8 x 8 pixels: 1,077 to train and 720 to test, always the same."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    images = {
        "image": (pixels / 16).astype(np.float32).reshape(-1, 8, 8, 1)[order],
        "label": labels.astype(np.int32)[order],
    }
    train, test = ({k: v[part] for k, v in images.items()} for part in (np.s_[:1077], np.s_[1077:]))
    return Splits(train, test, "scikit-learn's digits")


def load(name: str) -> Splits:
    """`name` is digits, cifar10, cifar100, or hf:NAME of a dataset with the usual features."""
    if name == "digits":
        return digits()
    raise UserError(f"--data {name}")


def take(images: Any, rows: np.ndarray) -> Any:
    return {key: array[rows] for key, array in images.items()}
