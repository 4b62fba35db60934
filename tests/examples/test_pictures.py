"""Datasets of images: pictures of every kind become numbers, and what is wrong gets one line."""

import dataclasses
import re

import datasets
import numpy as np
import pytest
from PIL import Image

from examples.pretrain.errors import UserError
from examples.vision import data
from examples.vision.pictures import pixels
from examples.vision.presets import SHAPES

GREY = np.array([[0, 51], [102, 255]], np.uint8)
COLOURS = np.array([[[255, 0, 51], [0, 0, 0]], [[10, 20, 30], [255, 255, 255]]], np.uint8)


def in_palette():
    picture = Image.fromarray(np.array([[0, 1], [2, 3]], np.uint8), "P")
    picture.putpalette(COLOURS.ravel().tolist())
    return picture


def see_through(alpha):
    return Image.fromarray(np.dstack([COLOURS, np.full((2, 2), alpha, np.uint8)]), "RGBA")


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Image.fromarray(GREY), GREY / 255),
        (lambda: Image.fromarray(COLOURS), COLOURS / 255),
        (in_palette, COLOURS / 255),
        (lambda: Image.fromarray(GREY > 60), GREY > 60),
        (lambda: Image.fromarray(GREY.astype(np.uint16) * 257), GREY / 255),
        (lambda: Image.fromarray(GREY.astype(np.int32) * 257), GREY / 255),
        (lambda: Image.fromarray((GREY / 255).astype(np.float32)), GREY / 255),
        (lambda: see_through(255), COLOURS / 255),
        (lambda: see_through(0), np.ones((2, 2, 3))),
        (lambda: see_through(51), 0.8 + 0.2 * COLOURS / 255),
        (lambda: see_through(0).convert("LA"), np.ones((2, 2))),
        (lambda: Image.fromarray(COLOURS).convert("CMYK"), COLOURS / 255),
        (lambda: Image.fromarray(COLOURS).convert("YCbCr"), COLOURS / 255),
        (lambda: GREY > 60, GREY > 60),
        (lambda: GREY.astype(np.uint16) * 257, GREY / 255),
        (lambda: GREY.astype(np.int64), GREY / 255),
        (lambda: COLOURS / 255, COLOURS / 255),
    ],
)
def test_pictures_of_every_mode_are_their_colours_from_0_to_1(make, expected):
    found = pixels(make())
    assert found.dtype == np.float32 and found.ndim == 3
    # Pillow composes and converts in 8 bits.
    np.testing.assert_allclose(found.squeeze(), expected, atol=2.5 / 255)
    assert found.min() >= 0 and found.max() <= 1


def test_a_palette_with_a_transparent_colour_lies_on_white():
    picture = in_palette()
    picture.info["transparency"] = 2  # the third colour
    expected = COLOURS / 255
    expected[1, 0] = 1
    np.testing.assert_allclose(pixels(picture), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.array([[0.5, np.nan]]), "not in [0, 1]"),
        (np.array([[0.5, np.inf]]), "not in [0, 1]"),
        (np.array([[0.0, 255.0]]), "not in [0, 1]"),
        (np.array([[0, 256]]), "pixels from 0 to 256 in int64"),
        (np.array([[-1, 255]]), "pixels from -1 to 255 in int64"),
        (np.array([["a"]]), "not numbers"),
        (np.zeros((3, 32, 32)), "its colours must come last"),
        (np.zeros(4), "array of shape (4,)"),
        (Image.fromarray(np.array([[70000]], np.int32)), "of more than 16 bits"),
    ],
)
def test_what_has_no_such_numbers_is_refused(picture, said):
    with pytest.raises(ValueError) as error:
        pixels(picture)
    assert said in str(error.value)


PICTURES = [Image.fromarray(COLOURS)] * 3
LABELS = [0, 1, 2]


def saved(folder, train, test=(PICTURES, LABELS), names=("img", "label"), kind=None):
    """The name of a dataset with these pictures and labels."""

    def split(pictures, labels):
        found = datasets.Dataset.from_dict(dict(zip(names, (pictures, labels), strict=True)))
        found = found.cast_column(names[0], datasets.Image())
        return found if kind is None else found.cast_column(names[1], kind)

    splits = datasets.DatasetDict({"train": split(*train), "test": split(*test)})
    splits.save_to_disk(str(folder))
    return f"hf:{folder}"


def test_pictures_keep_their_kind_through_a_dataset(tmp_path):
    sixteen = Image.fromarray(GREY.astype(np.uint16) * 257)
    for name, picture, expected in (
        ("palette", in_palette(), COLOURS / 255),
        ("16 bits", sixteen, GREY[..., None] / 255),
        ("1 bit", Image.fromarray(GREY > 60), (GREY > 60)[..., None]),
    ):
        found = data.load(saved(tmp_path / name, ([picture] * 3, LABELS), ([picture], [0])))
        assert found.train["label"].tolist() == LABELS
        np.testing.assert_allclose(found.train["image"], [expected] * 3, atol=1e-6)


def test_a_picture_lies_as_its_camera_says_and_of_an_animation_the_first_frame_counts(tmp_path):
    turned, animated = tmp_path / "turned.png", tmp_path / "animated.gif"
    exif = Image.Exif()
    exif[274] = 6  # the orientation: to be turned to the right
    Image.fromarray(COLOURS).save(turned, exif=exif)
    frames = [Image.fromarray(COLOURS), Image.fromarray(255 - COLOURS)]
    frames[0].save(animated, save_all=True, append_images=frames[1:])
    files = [str(turned), str(animated)]
    found = data.load(saved(tmp_path / "saved", (files, [0, 1]))).train["image"]
    np.testing.assert_allclose(found[0], np.rot90(COLOURS, -1) / 255, atol=1e-6)
    np.testing.assert_allclose(found[1], COLOURS / 255, atol=1e-6)


def replaced(column, value):
    return [column[0], value, column[2]]


@pytest.mark.parametrize(
    ("pictures", "labels", "said"),
    [
        (replaced(PICTURES, None), LABELS, "has no picture"),
        (replaced(PICTURES, PICTURES[0].convert("L")), LABELS, "has one colour, grey, and record 0 "
         "3 colours: convert all pictures to RGB, or all to L"),
        (replaced(PICTURES, Image.new("RGB", (5, 2))), LABELS, "has 5 x 2 pixels, and record 0 2 x "
         "2: crop them to one size first"),
        (PICTURES, replaced(LABELS, -1), "has the label -1, no whole number from 0 on"),
        (PICTURES, replaced(LABELS, None), "has the label None"),
        (PICTURES, [0.0, 1.5, 2.0], "has the label 1.5"),
        (PICTURES, [0.0, float("nan"), 2.0], "has the label nan"),
        (PICTURES, [0, 2**40, 2], "has the label 1099511627776"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_bad_record_is_named_with_what_is_wrong(tmp_path, pictures, labels, said, split):
    name = saved(tmp_path / "set", **{"train": (PICTURES, LABELS), split: (pictures, labels)})
    with pytest.raises(UserError) as error:
        data.load(name)
    assert str(error.value).startswith(f"record 1 of {tmp_path / 'set'}, {split} {said}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("labels", "said"),
    [(["cat", "dog", "cow"], "'cat', no whole number from 0 on: class_encode_column makes"),
     ([[0], [1], [2]], "[0], no whole number from 0 on")],
)  # fmt: skip
def test_labels_that_are_no_numbers_are_refused(tmp_path, labels, said):
    with pytest.raises(UserError, match=re.escape(f"train has the label {said}")):
        data.load(saved(tmp_path / "set", (PICTURES, labels), (PICTURES, labels)))


def test_a_file_that_is_no_picture_is_named(tmp_path):
    (tmp_path / "note.png").write_text("no picture")
    Image.fromarray(COLOURS).save(tmp_path / "good.png")
    files = [str(tmp_path / name) for name in ("good.png", "note.png", "good.png")]
    with pytest.raises(UserError, match=r"cannot read record 1 of .*, train: .*cannot identify"):
        data.load(saved(tmp_path / "set", (files, LABELS)))


@pytest.mark.parametrize(
    ("labels", "kind"),
    [([True, False, True], None), ([1.0, 0.0, 1.0], None),
     ([1, 0, 1], datasets.ClassLabel(names=["cat", "dog"]))],
)  # fmt: skip
def test_whole_numbers_of_any_type_are_labels(tmp_path, labels, kind):
    name = saved(tmp_path / "set", (PICTURES, labels), (PICTURES, labels), kind=kind)
    assert data.load(name).train["label"].tolist() == [1, 0, 1]


def test_columns_of_other_names_are_found_by_their_kind(tmp_path):
    columns = {"names": ("pixel_values", "species")}
    kind, split = datasets.ClassLabel(num_classes=3), (PICTURES, LABELS)
    found = data.load(saved(tmp_path / "set", split, split, kind=kind, **columns))
    assert found.train["label"].tolist() == LABELS
    with pytest.raises(UserError, match=r"needs a label .*: it has pixel_values, species; rename"):
        data.load(saved(tmp_path / "other", split, split, **columns))


def test_arrays_are_read_by_the_type_of_their_column(tmp_path):
    for dtype, largest in (("uint8", 255), ("uint16", 65535), ("float32", 1)):
        array = (COLOURS / 255 * largest).astype(dtype)
        features = datasets.Features(
            {"image": datasets.Array3D((2, 2, 3), dtype), "label": datasets.Value("int64")}
        )
        one = datasets.Dataset.from_dict({"image": [array], "label": [4]}, features)
        datasets.DatasetDict({"train": one, "test": one}).save_to_disk(str(tmp_path / dtype))
        found = data.load(f"hf:{tmp_path / dtype}").train["image"]
        np.testing.assert_allclose(found, [COLOURS / 255], atol=1e-4)


def test_nothing_and_no_splits_are_named(tmp_path, monkeypatch):
    one = datasets.Dataset.from_dict({"img": PICTURES, "label": LABELS})
    splits = {"train": one.select([]), "test": one}  # which save_to_disk writes and cannot read
    with monkeypatch.context() as patch, pytest.raises(UserError, match="train holds no images"):
        patch.setattr(datasets, "load_from_disk", lambda _: splits)
        data.load(f"hf:{tmp_path}")
    one.save_to_disk(str(tmp_path / "one"))
    with pytest.raises(UserError, match=r"one needs splits train and .*: it has none"):
        data.load(f"hf:{tmp_path / 'one'}")


def test_a_model_must_fit_both_splits(tmp_path):
    shape = dataclasses.replace(SHAPES["resnet18-digits"], size=2, channels=3, classes=3)
    data.check_fits(data.load(saved(tmp_path / "good", (PICTURES, LABELS))), shape)
    grey = [picture.convert("L") for picture in PICTURES]
    wide = [Image.new("RGB", (3, 2))] * 3
    for name, train, test, said in (
        ("label", (PICTURES, LABELS), (PICTURES, [0, 1, 7]), "has classes 8: give"),
        ("grey", (PICTURES, LABELS), (grey, LABELS), r"\(2, 2, 3\) to train and of \(2, 2, 1\)"),
        ("wide", (wide, LABELS), (wide, LABELS), r"\(2, 3, 3\) .*: crop all to squares"),
    ):
        splits = data.load(saved(tmp_path / name, train, test))
        with pytest.raises(UserError, match=said):
            data.check_fits(splits, shape)
