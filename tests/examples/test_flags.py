"""The programs under JAX's flags: float64 as the default type, and NaN as a fault."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from examples import adaptive_power, compare, moving, quickstart, sweep, tuning
from examples.pretrain import logs, own_loop, runs, sample, train
from examples.pretrain.config import Config
from examples.pretrain.sharding import MeshShape
from examples.pretrain.step import make_step
from examples.vision.config import VisionConfig
from gradpow.__main__ import main as atlas
from tests.contract.jaxprs import wide_arrays
from tests.examples.test_sweep import PROBLEM


@pytest.fixture
def x64():
    jax.config.update("jax_enable_x64", True)  # in all threads, as by JAX_ENABLE_X64
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture
def debug_nans():
    jax.config.update("jax_debug_nans", True)
    yield
    jax.config.update("jax_debug_nans", False)


def start(main, *arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    assert end.value.code == 0


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("".join(f"line {i}: {i * i}\n" for i in range(3000)))
    return path


SMALL = (
    "--shape.width", 16, "--shape.ff", 32, "--shape.layers", 1, "--batch-size", 4, "--warmup", 1,
    "--sequence-length", 16, "--eval-sequences", 4, "--eval-every", 2, "--steps", 3,
    "--log-every", 1, "--mesh.fsdp", 1,
)  # fmt: skip


@pytest.fixture
def started(tmp_path, text):
    """Starts a small run with more options; returns its folder."""

    def start_run(*more):
        out = tmp_path / "run"
        options = ("--monitor", "--accumulate", 2, "--shape.dropout", 0.1)
        kept = ("--out", out, "--data", text, "--cache", tmp_path)
        start(train.main, *kept, *SMALL, *options, "--optimizer", "adampower", *more)
        return out

    return start_run


@pytest.mark.hunt
def test_a_run_is_trained(started, x64, debug_nans):
    out = started()
    assert json.loads((out / "result.json").read_text())["status"] == "finished"
    noise = [r["noise_to_signal"] for r in logs.read(out) if "noise_to_signal" in r]
    assert noise[0] is None and noise[-1] > 0


@pytest.mark.hunt
def test_a_run_is_planned_and_sampled(started, x64, capsys):
    started("--dry-run")
    assert "ms a step" in capsys.readouterr().out
    sample.main([str(started()), "--length", "2"])


@pytest.mark.hunt
def test_images_are_trained(tmp_path, x64, debug_nans):
    options = ("--preset", "resnet10-digits", "--mesh.fsdp", 1, "--cache", tmp_path, "--steps", 2)
    start(
        functools.partial(train.main, kind=VisionConfig),
        *(*options, "--out", tmp_path / "run", "--warmup", 1, "--monitor", "--optimizer", "ams"),
    )


KINDS = [
    (Config, "llama-nano", "adamw"),
    (VisionConfig, "vae-digits", "adampower"),
    *(
        pytest.param(*kind, marks=pytest.mark.hunt)
        for kind in (
            (Config, "gpt2-nano", "grams"),
            (Config, "qwen2moe-nano", "s3"),
            (VisionConfig, "vit-digits", "ams"),
            (VisionConfig, "resnet10-digits", "stacey"),
        )
    ),
]


@pytest.mark.parametrize(("kind", "preset", "optimizer"), KINDS)
def test_every_models_step_works_in_float32(kind, preset, optimizer, x64):
    config = kind.defaults(preset, optimizer)
    config = dataclasses.replace(config, monitor=True, accumulate=2, mesh=MeshShape(1, 1, 1))
    parts = runs.make_parts(config)
    step = make_step(
        config.losses(parts.graphdef),
        parts.optimizer,
        parts.schedule,
        seed=0,
        accumulate=2,
        dropout=True,
    )
    traced, out = jax.make_jaxpr(step, return_shape=True)(parts.abstract, config.example_batch())
    kinds = {x.dtype for x in jax.tree.leaves((parts.abstract, out))}
    assert kinds == {jnp.dtype(name) for name in ("float32", "int32", "bool")}
    assert not wide_arrays(traced.jaxpr)


def test_runs_side_by_side_are_trained(x64):
    bowl = dataclasses.replace(PROBLEM, init=lambda key: {"w": jax.random.normal(key, (3,), "f4")})
    (run,) = sweep.Sweep(bowl, tuning.recipe("grams", 3), steps=3, every=3).run(
        [({"rate": 0.1}, 7)]
    )
    assert len(run.losses) == 3 and np.isfinite(run.losses).all()


def test_the_atlas_is_printed(x64, capsys):
    atlas(["sign"])
    assert "lion" in capsys.readouterr().out


@pytest.mark.hunt
def test_optimizers_are_compared(tmp_path, text, x64):
    few = ("--steps", 2, "--batch-size", 2, "--seeds", 2, "--tune-seeds", 1, "--moves", 0)
    where = ("--data", text, "--out", tmp_path / "out", "--cache", tmp_path / "cache")
    start(compare.main, *few, *where, "--optimizers", "grams")


@pytest.mark.hunt
def test_the_quickstart_ends(tmp_path, x64):
    few = ["--steps", "2", "--seeds", "1", "--optimizers", "s3", "stacey"]
    quickstart.main([*few, "--out", str(tmp_path)])


@pytest.mark.hunt
def test_a_run_in_flight_moves(x64):
    found = moving.compare(0.95, 2, 2, seeds=1)
    assert {x.dtype for x in found.values()} == {np.dtype(np.float32)}


@pytest.mark.hunt
def test_the_power_that_follows_the_noise_is_compared(tmp_path, x64, debug_nans, monkeypatch):
    bowl = dataclasses.replace(PROBLEM, about={"model": "a bowl", "batch": "4 points"})
    monkeypatch.setattr(adaptive_power, "SETTINGS", {"bowl": [(lambda: bowl, 3)] * 3})
    monkeypatch.setattr(adaptive_power, "POWERS", (0.8, 1.2))
    adaptive_power.main(["--smoke", "--out", str(tmp_path)])


@pytest.mark.hunt
def test_a_loop_of_ones_own_learns(x64):
    assert own_loop.main()[-1] < 2
