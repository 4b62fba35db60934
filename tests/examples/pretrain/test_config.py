"""The command line, the papers' settings, and that bad input gets one clear line."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from examples.pretrain import config, counts
from examples.pretrain.errors import UserError
from examples.pretrain.files import write_checked_json
from examples.pretrain.optimizers import OPTIMIZERS
from examples.pretrain.presets import SETTINGS, SHAPES
from examples.vision.config import VisionConfig


def parse(*arguments):
    return config.parse(list(arguments))


def test_every_preset_has_a_setting_and_takes_every_optimizer():
    assert SETTINGS.keys() == SHAPES.keys()
    for preset in SETTINGS:
        for optimizer in OPTIMIZERS:
            made = config.Config.defaults(preset, optimizer)
            made.check()
            assert made.hyper.keys() == OPTIMIZERS[optimizer].hyper.keys(), (preset, optimizer)


def test_a_recipe_of_a_paper_names_hyper_parameters_that_its_optimizer_has():
    for setting in SETTINGS.values():
        for optimizer, recipe in setting.recipes.items():
            assert recipe.hyper.keys() <= OPTIMIZERS[optimizer].hyper.keys()


# Model, rate and schedule from GradPower's Tables 3 and 4; steps are 20 tokens a parameter of the
# printed size over 512 * 256, to the two digits that it has.
@pytest.mark.parametrize(
    "preset, rate, schedule, size",
    [
        ("llama-66m", 1e-3, "cosine", 66e6),
        ("llama-0.2b", 1e-3, "cosine", 0.2e9),
        ("llama-0.4b", 6e-4, "cosine", 0.4e9),
        ("llama-1b", 3e-4, "cosine", 1e9),
        ("llama-2b", 2e-4, "cosine", 2e9),
        ("qwen2moe-0.5b", 6e-4, "wsd", 0.5e9),
        ("qwen2moe-1b", 3e-4, "wsd", 1.04e9),
        ("qwen2moe-2b", 2e-4, "wsd", 1.95e9),
    ],
)
def test_gradpowers_settings_are_the_papers(preset, rate, schedule, size):
    for optimizer in ("adamw", "adampower"):
        made = config.Config.defaults(preset, optimizer)
        assert (made.learning_rate, made.schedule, made.weight_decay) == (rate, schedule, 0.1)
        assert (made.batch_size, made.sequence_length, made.warmup) == (512, 256, 1000)
        assert (made.clip, made.final_fraction, made.tokenizer) == (1.0, 0.1, "t5")
        assert made.hyper["b1"] == 0.9 and made.hyper["b2"] == 0.95
        assert made.steps == pytest.approx(20 * size / (512 * 256), rel=0.03)
    assert config.Config.defaults(preset, "adampower").hyper["p"] == 1.2


def test_grams_settings_are_the_papers():
    for optimizer, rate in {
        "grams": 6e-3,
        "cautious_adam": 6e-3,
        "adamw": 6e-3,
        "lion": 6e-4,
    }.items():
        made = config.Config.defaults("llama-60m", optimizer)
        assert (made.learning_rate, made.weight_decay, made.schedule) == (rate, 0.0, "constant")
        assert (made.batch_size, made.warmup, made.steps, made.hyper["b2"]) == (
            2048,
            50,
            1000,
            0.95,
        )


def test_s3_takes_ten_times_adamws_rate_at_the_same_product_with_the_decay_and_no_clipping():
    adamw, s3 = (config.Config.defaults("gpt2-345m", optimizer) for optimizer in ("adamw", "s3"))
    assert s3.learning_rate == pytest.approx(10 * adamw.learning_rate)
    assert (adamw.clip, s3.clip) == (1.0, 0.0)
    assert s3.learning_rate * s3.weight_decay == pytest.approx(
        adamw.learning_rate * adamw.weight_decay
    )
    assert s3.hyper == {"b": 0.95, "p": 3.0, "eps": 0.0}


def test_the_readme_lists_every_preset_with_its_parameters_and_setting():
    readme = (Path(config.__file__).parent / "README.md").read_text()
    rows = dict(re.findall(r"^\| `([\w.-]+)` \| (.*) \|$", readme, re.M))
    assert set(SETTINGS) <= set(rows)
    for preset, setting in SETTINGS.items():
        parameters, size, schedule, _ = rows[preset].split(" | ")
        for printed, number in zip(
            re.findall(r"([\d.]+)([kMB])", parameters), counts.count(SHAPES[preset]), strict=False
        ):
            unit = {"k": 1e3, "M": 1e6, "B": 1e9}[printed[1]]
            # Half of the last digit that is printed.
            assert float(printed[0]) == pytest.approx(number / unit, rel=5e-3), preset
        steps = setting.steps_for(SHAPES[preset])
        assert size == f"{steps:,} x {setting.batch_size} x {setting.sequence_length}"
        assert schedule == setting.schedule


def test_what_a_paper_prints_and_looks_wrong_is_kept_and_marked():
    recipes = SETTINGS["llama-100m"].recipes
    assert recipes["lion"].learning_rate == 0.05 and "as printed" in recipes["lion"].note
    assert recipes["stacey"].hyper["tau"] == 0.0 and "as printed" in recipes["stacey"].note


def test_every_field_can_be_set_on_the_command_line():
    made = parse(
        "--preset", "qwen2moe-nano", "--optimizer=s3", "--hyper.p", "2", "--shape.experts", "4",
        "--steps=7", "--batch_size", "16", "--learning-rate", "0.5", "--schedule", "linear",
        "--dry-run",
    )  # fmt: skip
    assert made.hyper == {"b": 0.95, "p": 2.0, "eps": 0.0}
    assert (made.shape.experts, made.shape.width) == (4, SHAPES["qwen2moe-nano"].width)
    assert (made.steps, made.batch_size, made.learning_rate) == (7, 16, 0.5)
    assert made.schedule == "linear" and made.dry_run and str(made.out) == "runs/qwen2moe-nano-s3"


@pytest.mark.parametrize(
    "arguments, clues",
    [
        (["--preset", "llama"], ["--preset takes llama-nano", "not llama"]),
        (["--optimizer", "tigre"], ["--optimizer takes", "not tigre; the nearest is tiger"]),
        (["--optimiser", "s3"], ["--optimiser", "did you mean --optimizer?"]),
        (["--optimizer", "s3", "--hyper.q", "2"], ["--hyper.q", "--hyper.b, --hyper.p"]),
        (["--shape.widht", "2"], ["--shape.widht", "--shape.width"]),
        (["--steps", "many"], ["--steps", "many"]),
        (["--steps", "0"], ["--steps must be at least 1"]),
        (["--steps"], ["--steps"]),
        (["--schedule", "step"], ["step", "cosine", "wsd"]),
        (["--learning-rate", "nan"], ["--learning-rate must be at least 0 and finite"]),
        (["--weight-decay", "-1"], ["--weight-decay must be"]),
        (["--final-fraction", "2"], ["--final-fraction must lie"]),
        (["--accumulate", "3"], ["--accumulate 3 does not divide --batch-size 8"]),
        (["--dtype", "float8"], ["float8", "bfloat16"]),
        (["stray"], ["stray"]),
        (["--resume"], ["--resume needs --out"]),
        (["--resume", "--out", "nowhere"], ["nowhere holds no run"]),
    ],
)
def test_bad_input_gets_one_line(arguments, clues, capsys):
    with pytest.raises(UserError) as refusal:
        parse(*arguments)
    message = str(refusal.value)
    assert "\n" not in message and all(clue in message for clue in clues), message
    assert capsys.readouterr() == ("", "")


def write(out, made):
    out.mkdir()
    (out / "config.json").write_text(json.dumps({"config": config.to_json(made)}))


def test_a_resumed_run_has_its_own_configuration(tmp_path):
    out = tmp_path / "run"
    first = parse("--optimizer", "s3", "--hyper.p", "2", "--steps", "70", "--out", str(out))
    write(out, first)
    again = parse("--resume", "--out", str(out))
    assert again == dataclasses.replace(first, resume=True)
    longer = parse("--resume", "--out", str(out), "--steps", "80")
    assert longer == dataclasses.replace(first, resume=True, steps=80)
    with pytest.raises(UserError, match="a resumed run keeps its --preset and --optimizer"):
        parse("--resume", "--out", str(out), "--optimizer", "grams")


# Each spelling of "go on" and of what sets defaults, as the command line's own parser takes it.
@pytest.mark.parametrize("kind", [config.Config, VisionConfig])
@pytest.mark.parametrize(
    "flags",
    [
        ["--resume"], ["--resume-from", "4"], ["--resume_from", "4"], ["--resume_from=4"],
        ["--resume-or-start"], ["--resume_or_start"], ["--resume_or_start", "--monitor"],
    ],
)  # fmt: skip
def test_every_spelling_of_resume_takes_the_runs_own_configuration(tmp_path, kind, flags):
    out = tmp_path / "run"
    told = ["--learning-rate", "0.0123", "--steps", "50", "--warmup", "3", "--monitor"]
    write(out, config.parse([*told, "--out", str(out)], kind))
    again = config.parse(["--out", "elsewhere", f"--out={out}", *flags, "--steps=60"], kind)
    assert (again.out, again.resumes, again.steps, again.warmup) == (out, True, 60, 3)
    assert again.learning_rate == 0.0123 and again.monitor
    assert config.changes(again) == {"--steps": (50, 60)}


def test_of_several_outs_the_last_is_gone_on_with(tmp_path):
    for name, steps in (("a", 70), ("b", 80)):
        write(tmp_path / name, parse("--steps", str(steps), "--out", str(tmp_path / name)))
    again = parse("--out", str(tmp_path / "a"), "--out", str(tmp_path / "b"), "--resume")
    assert (again.out, again.steps) == (tmp_path / "b", 80)


@pytest.mark.parametrize("last", [["--optimizer", "s3"], ["--optimizer=s3"]])
def test_of_several_optimizers_the_last_sets_the_defaults(last):
    made = parse("--optimizer", "adamw", "--preset=gpt2-nano", "--preset", "qwen2moe-nano", *last)
    assert made == config.Config.defaults("qwen2moe-nano", "s3")


def test_what_is_stored_but_lists_is_no_change(tmp_path):
    out = tmp_path / "run"
    options = ["--preset", "resnet18", "--out", str(out)]
    write(out, config.parse(options, VisionConfig))
    again = config.parse(["--resume", "--out", str(out)], VisionConfig)
    assert not config.changes(again) and isinstance(again.shape.depths, tuple)


def test_a_configuration_that_a_disk_damaged_is_not_taken(tmp_path):
    made = parse("--steps", "70", "--out", str(tmp_path))
    path = tmp_path / "config.json"
    write_checked_json(path, {"config": config.to_json(made)})
    assert parse("--resume", "--out", str(tmp_path)).steps == 70
    path.write_text(path.read_text().replace('"steps": 70', '"steps": 90'))
    with pytest.raises(UserError, match="its checksum differs; if it was changed on purpose"):
        parse("--resume", "--out", str(tmp_path))


def test_numbers_are_shown_as_people_write_them():
    for preset in SETTINGS:
        for optimizer in OPTIMIZERS:
            for value in vars(config.Config.defaults(preset, optimizer)).values():
                assert not isinstance(value, float) or float(f"{value:g}") == value


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"config": {}}', '{"config": {"preset": "llama-nano"}}']
)
def test_a_folder_with_a_broken_configuration_gets_one_line(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"is not what a run writes|is damaged") as refusal:
        parse("--resume", "--out", str(tmp_path))
    assert "\n" not in str(refusal.value)


def test_help_names_every_option_and_costs_no_training(capsys):
    with pytest.raises(SystemExit) as end:
        parse("--help")
    assert end.value.code == 0
    shown = capsys.readouterr().out
    for field in dataclasses.fields(config.Config):
        if field.name not in ("hyper", "shape"):
            assert f"--{field.name.replace('_', '-')}" in shown
    assert "--hyper.b1" in shown and "--shape.width" in shown
