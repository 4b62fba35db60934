"""The papers' settings: each number against the papers' text, and what is made of them."""

import csv
import dataclasses
import itertools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gradpow import presets
from tests.contract.trees import quick_jit

CASES = [(name, key) for name, setting in presets.SETTINGS.items() for key in setting.recipes]
IDS = [f"{name}-{key}" for name, key in CASES]
PARAMS = {
    "embed": jnp.ones((3, 2)),
    "mlp": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)},
    "norm": {"scale": jnp.ones(2)},
}
MASK = {
    "embed": True,
    "mlp": {"kernel": True, "bias": False},
    "norm": {"scale": False},
}


def printed():
    """From preset, optimizer and field to the value in tests/data/papers.csv, and its place."""
    rows = {}
    with (Path(__file__).parent / "data" / "papers.csv").open() as file:
        for row in csv.DictReader(file):
            for name in row["preset"].split():
                with_field = [
                    key
                    for key in presets.SETTINGS[name].recipes
                    if row["field"] in numbers(presets.get(name, key))
                ]
                keys = with_field if row["optimizer"] == "*" else row["optimizer"].split()
                assert keys, row
                for key in keys:
                    case = (name, key, row["field"])
                    assert case not in rows, f"twice in the table: {case}"
                    rows[case] = (row["value"], row["place"])
    return rows


def numbers(preset):
    """What a preset trains with, but for what has no meaning for it."""
    fields = (
        "learning_rate", "weight_decay", "clip", "schedule", "warmup", "final_fraction", "steps",
        "batch_size", "sequence_length",
    )  # fmt: skip
    found = {field: getattr(preset, field) for field in fields} | preset.hyper
    if preset.schedule == "constant":
        del found["final_fraction"]
    return {field: value for field, value in found.items() if value is not None}


def made(name, key, **changes):
    """With steps where the paper leaves them to the model, and at its peak rate from the start."""
    preset = presets.get(name, key, warmup=0, **changes)
    return dataclasses.replace(preset, steps=preset.steps or 10)


def step(tx, params=PARAMS):
    grads = jax.tree.map(lambda x: jnp.linspace(-0.3, 0.5, x.size).reshape(x.shape), params)
    return tx.update(grads, tx.init(params), params)[0]


def test_every_number_is_the_papers_or_called_assumed():
    rows = printed()
    for name, key in CASES:
        found = numbers(presets.get(name, key))
        for field, value in found.items():
            text, place = rows.pop((name, key, field))
            assert place, (name, key, field)
            expected = text if field == "schedule" else pytest.approx(float(text), rel=1e-12)
            assert value == expected, (name, key, field, place)
    assert not rows, "the table has what no preset has"


def test_what_is_assumed_in_a_setting_its_source_says():
    for (name, key, field), (_, place) in printed().items():
        if place.startswith("assumed") and field in {"schedule", "steps", "sequence_length"}:
            source = presets.get(name, key).source
            assert "assumed" in source or "STACEY's" in source, (name, field)


def test_gradpowers_sizes_follow_from_twenty_tokens_a_parameter():
    for name, setting in presets.SETTINGS.items():
        assert (setting.steps is None) == ("20 tokens a parameter" in setting.source), name


@pytest.mark.parametrize("name, key", CASES, ids=IDS)
def test_every_preset_makes_an_optimizer(name, key):
    updates = jax.eval_shape(lambda: step(made(name, key).make()))
    assert jax.tree.map(jnp.shape, updates) == jax.tree.map(jnp.shape, PARAMS)


OTHERS = [("gpt2-345m", key) for key in presets.OPTIMIZERS]
DIFFERENT = {
    (key, *presets.get(name, key).hyper.items()): (name, key) for name, key in CASES + OTHERS
}.values()


@pytest.mark.parametrize("name, key", DIFFERENT)
def test_a_step_is_finite_and_decays_what_the_mask_says_and_nothing_else(name, key):
    with_decay, without = (made(name, key, weight_decay=decay) for decay in (0.1, 0.0))
    both = quick_jit(lambda: (step(with_decay.make()), step(without.make())))
    updates, plain = both()
    assert all(jnp.isfinite(x).all() for x in jax.tree.leaves(updates))
    assert all((x != 0).any() for x in jax.tree.leaves(updates))
    assert jax.tree.map(lambda a, b: bool((a != b).any()), updates, plain) == MASK


@pytest.mark.parametrize("key", presets.OPTIMIZERS)
def test_an_optimizer_that_a_paper_did_not_try_gets_adamws_rate_and_says_so(key):
    preset, adamw = (presets.get("gpt2-345m", name) for name in (key, "adamw"))
    tried = key in presets.SETTINGS["gpt2-345m"].recipes
    assert tried or preset.learning_rate == adamw.learning_rate
    assert tried or preset.weight_decay == adamw.weight_decay
    assert tried != (f"did not try {key}" in preset.note)


def test_the_default_mask_knows_the_names_of_linen_nnx_gpt2_and_haiku():
    paths = {
        "LayerNorm_0/scale": False, "layers/0/input_layernorm/scale/value": False,
        "h/0/ln_1/weight": False, "ln/w": False, "mlp/kernel/value": True, "wte/embedding": True,
        "mlp/bias/value": False, "alnico/kernel": True, "mlp/~/linear_0/b": False,
        "mlp/~/linear_0/w": True, "web": True,
    }  # fmt: skip
    assert presets.decay_mask(dict.fromkeys(paths, 1.0)) == paths


def test_another_mask_may_be_given():
    tx = made("gpt2-345m", "adamw").make(mask=jax.tree.map(lambda _: False, PARAMS))
    plain = made("gpt2-345m", "adamw", weight_decay=0.0).make()
    jax.tree.map(np.testing.assert_array_equal, *jax.jit(lambda: (step(tx), step(plain)))())


def test_the_gradient_is_clipped_before_the_optimizer():
    sgd = made("resnet18", "sgd", weight_decay=0.0, hyper={"momentum": 0.0, "nesterov": 0.0})
    clipped = dataclasses.replace(sgd, clip=0.1, learning_rate=1.0)
    assert optax.tree.norm(jax.jit(lambda: step(clipped.make()))()) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "name, key", [next(g) for _, g in itertools.groupby(CASES, lambda c: c[0])]
)
def test_the_schedule_starts_peaks_and_ends_where_the_preset_says(name, key):
    preset = presets.get(name, key)
    preset = dataclasses.replace(preset, steps=preset.steps or 20_000)
    rate = preset.make_schedule()
    start, peak, end = (float(rate(t)) for t in (0, preset.warmup, preset.steps))
    last = 1.0 if preset.schedule == "constant" else preset.final_fraction
    assert start == (0.0 if preset.warmup else pytest.approx(preset.learning_rate))
    assert peak == pytest.approx(preset.learning_rate)
    # A cosine in float32 misses 0 by half a rounding of 1.
    assert end == pytest.approx(last * preset.learning_rate, abs=1e-7 * preset.learning_rate)


PLACES = {
    "learning_rate": "rate", "weight_decay": "decay", "clip": "clip", "schedule": "schedule",
    "warmup": "schedule", "final_fraction": "schedule", "steps": "steps", "batch_size": "batch",
    "sequence_length": "batch",
}  # fmt: skip
SAID = {"wsd": "80%", 0.0: "no"}  # of the schedule and of clipping


@pytest.mark.parametrize("name, key", CASES, ids=IDS)
def test_printing_shows_every_number_and_its_source(name, key):
    preset = presets.get(name, key)
    head, *lines = str(preset).splitlines()
    rows = {row: text.replace(",", "") for row, text in (line.split(maxsplit=1) for line in lines)}
    assert head == f"{name}, {key}"
    for field, value in numbers(preset).items():
        words = rows[PLACES.get(field, "numbers")].split()
        if field in preset.hyper:
            words = words[words.index(field) + 1 :][:1]
        shown = SAID.get(value, value) if field in ("schedule", "clip") else value
        assert any(word == shown or as_number(word) == shown for word in words), field
    assert rows["source"] == preset.source.replace(",", "")
    assert rows.get("note", "") == preset.note.replace(",", "")


def as_number(word):
    try:
        return float(word)
    except ValueError:
        return None


def test_changes_are_those_of_dataclasses_replace_and_hyper_keeps_the_rest():
    preset = presets.get("llama-66m", "adampower", steps=70, hyper={"p": 1.0}, clip=0.0)
    plain = presets.get("llama-66m", "adampower")
    assert preset == dataclasses.replace(plain, steps=70, hyper={**plain.hyper, "p": 1.0}, clip=0.0)
    assert plain.hyper == presets.get("llama-66m", "adampower").hyper


@pytest.mark.parametrize(
    "error, clues, call",
    [
        (ValueError, ["llama-66m", "vit-b16", "'llama'"], lambda: presets.get("llama", "adamw")),
        (ValueError, ["'tigre'", "nearest is tiger"], lambda: presets.get("llama-66m", "tigre")),
        (TypeError, ["no rate", "learning_rate"], lambda: presets.get("vae", "grams", rate=1.0)),
        (
            ValueError,
            ["steps = 20 * parameters / (batch_size * sequence_length)", "pass steps="],
            lambda: presets.get("llama-66m", "adamw").make(),
        ),
        (
            ValueError,
            ["ResNet-50 on ImageNet", "neither grams nor AdamW", "stacey_pp"],
            lambda: presets.get("resnet50-stacey", "grams"),
        ),
        (ValueError, ["learning_rate must be"], lambda: made("vae", "grams", learning_rate=-1.0)),
        (ValueError, ["final_fraction"], lambda: made("vae", "grams", final_fraction=2.0)),
        (TypeError, ["'q'"], lambda: made("vae", "adamw", hyper={"q": 1.0}).make()),
        (ValueError, ["p must be"], lambda: made("vit-b16", "s3", hyper={"p": -1.0}).make()),
        (ValueError, ["cosine", "'step'"], lambda: made("vae", "grams", schedule="step").make()),
        (
            ValueError,
            ["warmup must be at least 0 and below steps 10, not 1000"],
            lambda: presets.get("llama-66m", "adamw", steps=10).make(),
        ),
        (
            ValueError,
            ["80% of steps 1100", "lower warmup"],
            lambda: presets.get("qwen2moe-1b", "adamw", steps=1100).make(),
        ),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(error, clues, call):
    with pytest.raises(error) as refusal:
        call()
    assert all(clue in str(refusal.value) for clue in clues), refusal.value
