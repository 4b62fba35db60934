"""Image models and their training."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from examples.pretrain import config, counts, train
from examples.pretrain.checkpoints import flatten
from examples.pretrain.errors import UserError
from examples.pretrain.optimizers import OF_MATRICES, OPTIMIZERS
from examples.vision import data, losses
from examples.vision.config import VisionConfig
from examples.vision.presets import SETTINGS, SHAPES
from examples.vision.resnet import Conv


@pytest.mark.parametrize(
    ("preset", "changes", "expected"),
    [  # torchvision's counts, for 1,000 classes; CIFAR's first layer is 3 x 3, its head smaller
        ("resnet18", {"small_images": False, "classes": 1000}, 11_689_512),
        ("resnet34", {"small_images": False, "classes": 1000}, 21_797_672),
        ("wrn50-2", {"classes": 1000}, 68_883_240),
        ("vit-b16", {}, 86_567_656),
    ],
)
def test_models_have_as_many_parameters_as_torchvisions(preset, changes, expected):
    assert counts.count(dataclasses.replace(SHAPES[preset], **changes)).total == expected


@pytest.mark.parametrize("preset", SHAPES)
def test_every_preset_has_a_setting_and_its_models_logits(preset):
    shape = SHAPES[preset]
    taken = OPTIMIZERS.keys() - OF_MATRICES.keys()
    assert SETTINGS[preset].source and SETTINGS[preset].recipes.keys() <= taken
    model = nnx.eval_shape(lambda: counts.build(shape))
    images = jax.ShapeDtypeStruct((2, shape.size, shape.size, shape.channels), jnp.float32)
    out = nnx.eval_shape(lambda model, x: model(x), model, images)
    if preset.startswith("vae"):
        assert [x.shape for x in out] == [images.shape, (2, shape.latent), (2, shape.latent)]
    else:
        assert (out.shape, out.dtype) == ((2, shape.classes), jnp.float32)


@pytest.mark.parametrize(("side", "stride"), [(3, 1), (3, 2), (1, 1), (1, 2), (7, 2)])
@pytest.mark.parametrize("size", [(8, 8), (9, 6)])
def test_the_product_is_the_convolution(side, stride, size):
    conv = Conv(3, 5, side, stride, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(1), (2, *size, 3))
    kernel = conv.kernel[...]
    expected = conv._convolve(x, kernel)
    np.testing.assert_allclose(conv._product(x, kernel), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(conv(x), conv._product(x, kernel))  # on this CPU


def test_patches_are_the_images_own():
    shape = SHAPES["vit-digits"]
    model = counts.build(shape)
    images = jnp.arange(64.0).reshape(1, 8, 8, 1)
    seen = []
    model.embed = lambda x: seen.append(x) or jnp.zeros((*x.shape[:2], shape.width))
    model(images)
    np.testing.assert_array_equal(seen[0][0, 0], images[0, :2, :2, 0].ravel())
    np.testing.assert_array_equal(seen[0][0, 5], images[0, 2:4, 2:4, 0].ravel())


def test_the_autoencoders_bound_is_error_and_divergence():
    graphdef, params = nnx.split(counts.build(SHAPES["vae-digits"]))
    batch = data.take(data.digits().test, np.s_[:3])
    pixels, mean, log_variance = nnx.merge(graphdef, params)(batch["image"])
    squares = np.sum((np.asarray(pixels) - batch["image"]) ** 2, axis=(1, 2, 3))
    variance = np.exp(log_variance)
    divergence = 0.5 * np.sum(variance + np.square(mean) - 1 - np.log(variance), axis=-1)
    found = losses.measure(graphdef, params, batch)
    np.testing.assert_allclose(found["loss"], squares + divergence, rtol=1e-5)
    np.testing.assert_allclose(found["mse"], squares / 64, rtol=1e-5)
    with_key, _ = losses.losses(graphdef, params, batch, jax.random.key(0))
    assert np.all(np.abs(with_key - found["loss"]) > 1e-4)


def test_digits_are_split_once_and_for_all():
    splits = data.digits()
    assert [len(s["label"]) for s in (splits.train, splits.test)] == [1077, 720]
    assert splits.hash == data.digits().hash
    rows = {image.tobytes() for image in splits.train["image"]}
    assert sum(image.tobytes() in rows for image in splits.test["image"]) < 5  # few look alike
    assert splits.train["image"].max() == 1 and splits.train["image"].min() == 0


def test_crops_and_mirrors_are_of_the_image_and_repeat_with_the_seed():
    image = np.arange(1.0, 65.0, dtype=np.float32).reshape(8, 8, 1)
    example = {"image": image, "label": np.int32(3)}
    found = [data.augmented(example, np.random.default_rng(seed)) for seed in range(200)]
    assert all(f["image"].shape == (8, 8, 1) and f["label"] == 3 for f in found)
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
    crops = {padded[y : y + 8, x : x + 8].tobytes() for y in range(9) for x in range(9)}
    plain = [f["image"].tobytes() in crops for f in found]
    mirrored = [f["image"][:, ::-1].tobytes() in crops for f in found]
    assert all(a or b for a, b in zip(plain, mirrored, strict=True))
    assert 60 < sum(plain) < 140 and len({f["image"].tobytes() for f in found}) > 80

    made = data.make(data.digits(), augment=True)
    a, b, other = (next(made.batches(4, seed=seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a["image"], b["image"])
    assert not np.array_equal(a["image"], other["image"])


def saved(folder, **columns):
    import datasets

    one = datasets.Dataset.from_dict(columns)
    if "img" in columns:
        one = one.cast_column("img", datasets.Image())
    datasets.DatasetDict({"train": one, "test": one}).save_to_disk(str(folder))


def test_a_saved_dataset_of_images_is_read(tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=(6, 32, 32, 3), dtype=np.uint8)
    from PIL import Image

    saved(tmp_path / "cifar", img=[Image.fromarray(p) for p in pixels], label=[0, 1, 2, 9, 4, 5])
    splits = data.load(f"hf:{tmp_path / 'cifar'}")
    np.testing.assert_allclose(splits.train["image"], pixels / 255, rtol=1e-6)
    assert splits.train["label"].tolist() == [0, 1, 2, 9, 4, 5]
    data.check_fits(splits, SHAPES["resnet18"])
    with pytest.raises(UserError, match=r"has size 32: give --shape.size 32, not 8"):
        data.check_fits(splits, SHAPES["resnet18-digits"])
    with pytest.raises(UserError, match=r"has classes 10: give --shape.classes 10, not 5"):
        data.check_fits(splits, dataclasses.replace(SHAPES["resnet18"], classes=5))

    saved(tmp_path / "text", text=["a", "b"])
    with pytest.raises(UserError, match=r"needs an image \(img or image\)"):
        data.load(f"hf:{tmp_path / 'text'}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "resnet50"], "--preset takes resnet10-digits,"),
        (["--optimizer", "muon"], "--optimizer muon is for language models"),
        (["--data", "mnist"], "--data takes digits, cifar10, cifar100 or hf:NAME, not mnist"),
        (["--shape.width", "0"], "--shape.width 0 must be at least 1"),
    ],
)
def test_bad_input_gets_one_line(arguments, said, capsys, tmp_path):
    options = ["--mesh.fsdp", "1", "--out", str(tmp_path / "run"), "--cache", str(tmp_path)]
    with pytest.raises(SystemExit) as end:
        train.main([*options, *arguments], VisionConfig)
    error = capsys.readouterr().err
    assert end.value.code == 2 and said in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def run(out, *arguments):
    options = ["--preset", "vae-digits", "--mesh.fsdp", "1", "--cache", str(out.parent / "cache")]
    with pytest.raises(SystemExit) as end:
        train.main([*options, "--out", str(out), *arguments], VisionConfig)
    assert end.value.code == 0


def test_a_run_trains_logs_and_resumes_to_the_same_bits(tmp_path, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    common = ("--optimizer", "grams", "--eval-every", "3", "--save-every", "3", "--warmup", "0")
    run(whole, "--steps", "6", "--augment", *common)
    run(parts, "--steps", "6", "--augment", *common)
    run(parts, "--resume-from", "3")
    records = [(f / "log.jsonl").read_text().splitlines() for f in (whole, parts)]
    kept = [
        [r for r in map(json.loads, lines) if "images_per_second" not in r] for lines in records
    ]
    assert kept[0] == kept[1]
    assert {"validation_loss", "validation_mse"} < {key for r in kept[0] for key in r}
    result = json.loads((whole / "result.json").read_text())
    assert result["images"] == 6 * 32 and result["validation_loss"] > 0
    assert not (whole / "tokenizer.json").exists()
    made = config.read(whole, VisionConfig)
    assert (made.shape, made.augment, made.optimizer) == (SHAPES["vae-digits"], True, "grams")
    assert "validation loss" in capsys.readouterr().out
    assert flatten(made.example_batch()).keys() == {"image", "label"}


def test_a_dry_run_counts_what_a_step_takes(tmp_path, capsys):
    run(tmp_path / "run", "--dry-run")
    out = capsys.readouterr().out
    made = VisionConfig.defaults("vae-digits", "adamw")
    # Three times the multiplications and additions of its four layers, and little beside.
    layers = 2 * (64 * 64 + 64 * 16 + 8 * 64 + 64 * 64)
    assert 3 * layers < made.flops_per_unit < 1.2 * 3 * layers
    assert "9,936" in out and "images" in out and "ms a step" in out
