"""The quickstart example: what it writes, that it can be repeated, and how it refuses."""

import importlib.util
import json
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

colors = pytest.importorskip("matplotlib.colors")
image = pytest.importorskip("matplotlib.image")
for package in ("flax", "rich", "sklearn", "tyro"):
    pytest.importorskip(package)

SCRIPT = Path(__file__).parents[2] / "examples" / "quickstart.py"
TINY = ["--steps", "4", "--seeds", "2"]


@pytest.fixture(scope="module")
def quickstart():
    spec = importlib.util.spec_from_file_location("quickstart", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["quickstart"] = module  # where tyro looks the annotations up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["quickstart"]


@pytest.fixture(scope="module")
def written(quickstart, tmp_path_factory):
    """The folder of one run of two optimizers."""
    out = tmp_path_factory.mktemp("quickstart") / "made" / "by the script"
    quickstart.main([*TINY, "--optimizers", "adamw", "s3", "--out", str(out)])
    return out


@pytest.fixture(scope="module")
def report(written):
    return json.loads((written / "results.json").read_text())


def result(quickstart, best):
    """A made-up result of one evaluation, five rates and two seeds."""
    keys = ("validation loss", "validation accuracy", "test loss", "test accuracy")
    return quickstart.Result([1], {key: np.ones((1, 5, 2)) for key in keys}, best, 1.0)


def test_the_json_holds_every_metric_at_every_step_rate_and_seed(quickstart, report):
    assert list(report["results"]) == ["adamw", "s3"]
    for name, entry in report["results"].items():
        assert entry["step"] == [4]
        assert tuple(entry["rates"]) == quickstart.rates_of(name)
        for split in ("validation", "test"):
            assert np.shape(entry[f"{split} loss"]) == (1, 5, 2)
            # 4 steps at the best rate beat the even guess, log 10, by far.
            assert np.min(entry[f"{split} loss"]) < 2.0
            assert np.max(entry[f"{split} accuracy"]) > 0.5
    assert report["config"]["steps"] == 4
    assert {"gradpow", "jax", "optax", "flax"} <= report["versions"].keys()
    assert report["machine"]


def test_the_rate_is_chosen_on_validation_data_and_never_a_diverged_one(quickstart, monkeypatch):
    def make_run(*_):
        def advance(rate, state, batches):
            loss = jnp.where(rate == np.float32(0.3), jnp.nan, jnp.abs(rate - 0.1))
            return state, {"validation loss": loss, "test loss": rate}

        return (lambda rate, params: params), advance

    monkeypatch.setattr(quickstart, "make_run", make_run)
    setup = quickstart.Setup({}, np.zeros((2, 1, 1)), None, jnp.zeros(2))
    config = quickstart.Config(steps=1, seeds=2)
    chosen = quickstart.train("s3", setup, config, lambda **_: None)
    assert quickstart.RATES[chosen.best] == 0.1
    assert chosen.curve == pytest.approx(0.1)


def test_seeds_and_rates_all_differ(report):
    for entry in report["results"].values():
        assert np.unique(entry["validation loss"]).size == 5 * 2


def test_the_picture_shows_every_optimizer_that_ran_and_no_other(quickstart, written):
    pixels = image.imread(written / "quickstart.png")[..., :3].reshape(-1, 3)
    for name in quickstart.SHOWN:
        color = colors.to_rgb(quickstart.look(name).color)
        shown = np.any(np.all(np.abs(pixels - color) < 1 / 255, axis=-1))
        assert shown == (name in ("adamw", "s3"))


def test_a_second_run_gives_the_same_bits_whatever_runs_beside_it(
    quickstart, report, tmp_path, capsys
):
    quickstart.main([*TINY, "--optimizers", "s3", "--out", str(tmp_path)])
    again = json.loads((tmp_path / "results.json").read_text())["results"]["s3"]
    first = report["results"]["s3"]
    assert {**again, "seconds": 0} == {**first, "seconds": 0}
    printed = capsys.readouterr().out
    assert "S3" in printed and "AdamW  " not in printed
    assert "results.json" in printed.replace("\n", "")


def test_every_digit_is_in_exactly_one_split(quickstart):
    data = quickstart.set_up(quickstart.Config(steps=1, seeds=1)).data
    assert [len(labels) for _, labels in data.values()] == [1077, 360, 360]
    images = np.concatenate([images for images, _ in data.values()])
    original, _ = quickstart.load_digits(return_X_y=True)
    assert np.array_equal(np.unique(images * 16, axis=0), np.unique(original, axis=0))


@pytest.mark.parametrize(
    "arguments, clue",
    [
        (["--steps", "0"], "--steps"),
        (["--steps", "-3"], "--steps"),
        (["--seeds", "0"], "--seeds"),
        (["--optimizers", "adamw", "sgdd"], "sgdd"),
        (["--optimizers"], "--optimizers"),
    ],
)
def test_bad_input_ends_in_one_line_and_trains_nothing(
    quickstart, arguments, clue, tmp_path, monkeypatch
):
    monkeypatch.delattr(quickstart, "train_all")
    with pytest.raises(SystemExit) as end:
        quickstart.main(["--out", str(tmp_path / "new"), *arguments])
    # Python prints a string to stderr and exits with status 1.
    assert isinstance(end.value.code, str)
    assert clue in end.value.code and "\n" not in end.value.code
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_ends_in_one_line(quickstart, tmp_path, monkeypatch):
    monkeypatch.delattr(quickstart, "train_all")
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "folder"):
        with pytest.raises(SystemExit) as end:
            quickstart.main(["--out", str(out)])
        assert isinstance(end.value.code, str)
        assert str(out) in end.value.code and "\n" not in end.value.code


def test_ctrl_c_shows_what_is_finished_and_writes_nothing(
    quickstart, tmp_path, monkeypatch, capsys
):
    def train(name, *_):
        if name == "s3":
            raise KeyboardInterrupt
        return result(quickstart, best=2)

    monkeypatch.setattr(quickstart, "set_up", lambda config: None)
    monkeypatch.setattr(quickstart, "train", train)
    with pytest.raises(SystemExit) as end:
        quickstart.main(["--optimizers", "grams", "s3", "stacey", "--out", str(tmp_path)])
    assert isinstance(end.value.code, str)
    assert "interrupted" in end.value.code and "1 of 3" in end.value.code
    printed = capsys.readouterr().out
    assert "Grams" in printed and "STACEY" not in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("best, shown", [(0, "0.01*"), (3, "0.3 "), (4, "1*")])
def test_a_best_rate_on_the_edge_of_the_grid_has_a_star(quickstart, best, shown, capsys):
    quickstart.print_table({"stacey": result(quickstart, best)}, quickstart.Console(width=80))
    row = next(line for line in capsys.readouterr().out.splitlines() if "STACEY" in line)
    assert f" {shown}" in row


def test_quick_shortens_and_never_lengthens(quickstart, tmp_path, monkeypatch):
    seen = []

    def train_all(config, *_):
        seen.append(config)
        raise KeyboardInterrupt

    monkeypatch.setattr(quickstart, "train_all", train_all)
    for arguments in ([], ["--steps", "7", "--seeds", "1", "--optimizers", "grams"]):
        with pytest.raises(SystemExit):
            quickstart.main(["--quick", "--out", str(tmp_path), *arguments])
    default, small = seen
    assert (default.steps, default.seeds, len(default.optimizers)) == (100, 2, 3)
    assert (small.steps, small.seeds, small.optimizers) == (7, 1, ("grams",))
