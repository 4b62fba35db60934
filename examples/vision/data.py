"""Images: scikit-learn's digits, which are always at hand, and datasets of the Hugging Face hub."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import grain
import numpy as np

from ..pretrain import hub
from ..pretrain.data import Data, elastic
from ..pretrain.errors import UserError, one_line
from .pictures import pixels
from .shapes import ImageShape

Images = dict[str, np.ndarray]  # image float32 [example, y, x, colour] in [0, 1]; label int32
NAMES = {"cifar10": "uoft-cs/cifar10", "cifar100": "uoft-cs/cifar100"}
# What datasets call the image, the label, and the split to validate on, the best first.
IMAGE, LABEL, VALIDATION = ("img", "image"), ("fine_label", "label"), ("validation", "test")


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


def load(name: str) -> Splits:
    """`name` is digits, cifar10, cifar100, hf:NAME, or hf: and a folder of save_to_disk's."""
    if name == "digits":
        return digits()
    if name not in NAMES and not name.startswith("hf:"):
        raise UserError(f"--data takes digits, {', '.join(NAMES)} or hf:NAME, not {name}")
    return _from_hub(NAMES.get(name, name.removeprefix("hf:")))


def digits() -> Splits:
    """The 1,797 digits of 8 x 8 pixels: 1,077 to train and 720 to test, always the same."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UserError("the digits are scikit-learn's: pip install scikit-learn") from None

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    images = {
        "image": (pixels / 16).astype(np.float32).reshape(-1, 8, 8, 1)[order],
        "label": labels.astype(np.int32)[order],
    }
    train, test = ({k: v[part] for k, v in images.items()} for part in (np.s_[:1077], np.s_[1077:]))
    return Splits(train, test, "scikit-learn's digits")


def _from_hub(name: str) -> Splits:
    import datasets

    try:
        if Path(name).is_dir():
            loaded: Any = datasets.load_from_disk(name)
        else:
            hub.check_reachable(
                f"dataset {name}", "give --data digits, or hf:/folder of a saved one"
            )
            loaded = datasets.load_dataset(name)
    except UserError:
        raise
    except Exception as error:  # of the network, the hub, or the dataset's own files
        raise UserError(f"cannot open dataset {name}: {one_line(error)}") from None
    splits = loaded if isinstance(loaded, dict) else {}  # a dataset by itself has none
    test = next((split for split in VALIDATION if split in splits), None)
    if "train" not in splits or test is None:
        there = ", ".join(splits) or "none"
        raise UserError(f"{name} needs splits train and {' or '.join(VALIDATION)}: it has {there}")
    train, validation = (_arrays(splits[split], f"{name}, {split}") for split in ("train", test))
    return Splits(train, validation, name)


def _arrays(records: Any, name: str) -> Images:
    import datasets

    image = _field(records, "an image", IMAGE, datasets.Image, name)
    label = _field(records, "a label", LABEL, datasets.ClassLabel, name)
    # Of arrays, which come as lists.
    dtype = getattr(records.features[image], "dtype", None)
    pictures, labels = [], []
    try:
        for number, record in enumerate(records.select_columns([image, label])):
            where = f"record {number} of {name}"
            pictures.append(_picture(record[image], dtype, where))
            _check_alike(pictures, where)
            labels.append(_label(record[label], where))
    except UserError:
        raise
    except Exception as error:  # of the libraries of datasets and images
        reason = one_line(error)
        raise UserError(f"cannot read record {len(labels)} of {name}: {reason}") from None
    if not pictures:
        raise UserError(f"{name} holds no images")
    return {"image": np.stack(pictures), "label": np.array(labels, np.int32)}


def _field(records: Any, what: str, names: tuple[str, ...], kind: type, name: str) -> str:
    """The column of one of these names, or else the only one of its kind."""
    there = records.features
    called = [key for key in names if key in there]
    alike = [key for key, feature in there.items() if isinstance(feature, kind)]
    if not called and len(alike) != 1:
        raise UserError(
            f"{name} needs {what} ({' or '.join(names)}): it has {', '.join(there)}; rename_column "
            "gives a column another name"
        )
    return (called or alike)[0]


def _picture(picture: Any, dtype: str | None, where: str) -> np.ndarray:
    if picture is None:
        raise UserError(f"{where} has no picture: leave it out")
    try:
        return pixels(np.asarray(picture, dtype) if isinstance(picture, list) else picture)
    except ValueError as error:
        raise UserError(f"{where} {error}") from None


def _check_alike(pictures: list[np.ndarray], where: str) -> None:
    """Compares the last with the first."""
    (*first_size, first_colours), (*size, colours) = pictures[0].shape, pictures[-1].shape
    if size != first_size:
        raise UserError(
            f"{where} has {size[1]} x {size[0]} pixels, and record 0 {first_size[1]} x "
            f"{first_size[0]}: crop them to one size first"
        )
    if colours != first_colours:
        raise UserError(
            f"{where} has {_colours(colours)}, and record 0 {_colours(first_colours)}: convert all "
            "pictures to RGB, or all to L"
        )


def _colours(count: int) -> str:
    return "one colour, grey" if count == 1 else f"{count} colours"


def _label(label: Any, where: str) -> int:
    number = isinstance(label, int | float)  # bool is one
    if number and 0 <= label < 2**31 and label == int(label):
        return int(label)
    remedy = (
        "class_encode_column makes numbers of names"
        if isinstance(label, str)
        else ("leave out what has no label, or give it one")
    )
    raise UserError(f"{where} has the label {label!r}, no whole number from 0 on: {remedy}")


def check_fits(splits: Splits, shape: ImageShape) -> None:
    """Raises `UserError` where a model is not for such images."""
    (*sides, channels), test = (split["image"].shape[1:] for split in (splits.train, splits.test))
    if test != (*sides, channels) or sides[0] != sides[1]:
        raise UserError(
            f"{splits.about} has images [y, x, colour] of {(*sides, channels)} to train and of "
            f"{test} for validation: crop all to squares of one size, and convert them alike"
        )
    size = sides[0]
    classes = 1 + int(max(split["label"].max() for split in (splits.train, splits.test)))
    wanted = {"size": size, "channels": channels, "classes": max(classes, shape.classes)}
    for key, value in wanted.items():
        if getattr(shape, key) != value:
            raise UserError(
                f"{splits.about} has {key} {value}: give --shape.{key} {value}, not "
                f"{getattr(shape, key)}"
            )


def take(images: Images, rows: Any) -> Images:
    return {key: array[rows] for key, array in images.items()}


class Examples(grain.sources.RandomAccessDataSource):
    """One image and its label by number."""

    def __init__(self, images: Images):
        self.images = images

    def __len__(self) -> int:
        return len(self.images["label"])

    def __getitem__(self, index: int) -> Images:
        return take(self.images, int(index))


def augmented(example: Images, generator: np.random.Generator) -> Images:
    """Cropped at a random place out of four pixels more on each side, mirrored every other time."""
    image = example["image"]
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
    y, x = generator.integers(9, size=2)
    image = padded[y : y + image.shape[0], x : x + image.shape[1]]
    return example | {"image": image[:, ::-1] if generator.integers(2) else image}


def make(splits: Splits, augment: bool) -> Data:
    """Every epoch has an order of its own; the position is one index, as for text."""

    def iterate(batch_size: int, seed: int, shard_index: int, shard_count: int) -> Any:
        examples = grain.MapDataset.source(Examples(splits.train)).seed(seed % 2**32)
        examples = examples.shuffle().repeat()
        if augment:
            examples = examples.random_map(augmented)
        return elastic(examples, batch_size, shard_index, shard_count)

    count, test = (len(split["label"]) for split in (splits.train, splits.test))
    found = splits.hash
    summary = f"data: {splits.about}; {count:,} images, {test:,} for validation, hash {found[:12]}"
    return Data(None, splits.test, found, summary, True, iterate)
