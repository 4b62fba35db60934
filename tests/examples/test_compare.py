"""The comparison: its table, its picture, and what happens when it is stopped or asked wrongly."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
from scipy import stats

from examples import compare, comparison, problems, tuning
from examples.comparison import Result, steps_to, table
from examples.statistics import effect
from examples.sweep import Problem, Run

TINY = ["--steps", "4", "--batch-size", "2", "--seeds", "2", "--tune-seeds", "1", "--moves", "0"]


def result(optimizer, finals, *, tuned=None, best=3e-3, moves=0):
    runs = [
        Run({"rate": best}, seed, [3.0, 2.0], [1.0, 1.0], {"loss": [3.0, (3 + f) / 2, f]})
        for seed, f in enumerate(finals)
    ]
    tuned = tuned or {1e-3: [2.5], 3e-3: [2.0], 1e-2: [2.2]}
    return Result(optimizer, tuned, moves, best, runs, [0, 10, 20], 1.5, 8)


ABOUT = Problem({"model": "toy"}, None, None, None, None, None)  # pyright: ignore


def test_the_table_takes_differences_seed_by_seed():
    base, other = result("adamw", [1.0, 2.0, 3.0]), result("s3", [1.1, 2.2, 3.1], moves=2)
    rows = table([base, other], ABOUT).splitlines()
    difference = effect([0.1, 0.2, 0.1])
    assert str(difference) in rows[3] and "0.003, grid moved twice" in rows[3]
    assert "| 2.133 (1.100 - 3.100) |" in rows[3] and "not reached" in rows[3]
    assert "| 2.000 (1.000 - 3.000) |  |  |" in rows[2]
    low, high = stats.ttest_rel([1.1, 2.2, 3.1], [1.0, 2.0, 3.0]).confidence_interval()
    np.testing.assert_allclose((difference.low, difference.high), (low, high))


def test_a_best_rate_at_the_edge_is_marked():
    edge = result("adamw", [1.0, 1.2], tuned={1e-3: [2.0], 3e-3: [1.0]})
    assert "| 0.003* |" in table([edge], ABOUT)


def test_the_steps_to_a_loss_lie_on_the_mean_curve():
    half = result("s3", [1.0, 2.0])  # the mean goes from 3 to 2.25 at step 10 and to 1.5 at 20
    assert steps_to(half, 3.0 - 0.375) == pytest.approx(5)
    assert steps_to(half, 2.25) == pytest.approx(10)
    assert steps_to(half, 1.5) == pytest.approx(20)
    assert steps_to(half, 1.49) == math.inf


def test_a_result_comes_back_from_its_file():
    one = result("s3", [1.0, math.nan])
    again = Result.from_json(json.loads(json.dumps(one.to_json())))
    np.testing.assert_equal(again.to_json(), one.to_json())
    assert list(again.tuned) == list(one.tuned)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def quickly(monkeypatch, tmp_path):
    """Training that takes no time, on a text of its own; returns what was trained."""
    text = tmp_path / "text.txt"
    text.write_text("".join(f"line {i}: {i * i}\n" for i in range(3000)))
    trained = []

    def run(name, problem, **_):
        trained.append(name)
        return result(name, [1.0, 2.0])

    monkeypatch.setattr(comparison, "run", run)
    monkeypatch.setattr(comparison, "draw", lambda results, path, model: path.write_text(""))
    problems.language.cache_clear()
    arguments = [*TINY, "--data", str(text), "--out", str(tmp_path / "out")]
    return arguments, trained


def call(arguments):
    with pytest.raises(SystemExit) as end:
        compare.main(arguments)
    return end.value.code


def test_what_is_finished_is_kept_and_more_can_be_added(quickly, tmp_path, capsys):
    arguments, trained = quickly
    assert call([*arguments, "--optimizers", "adamw"]) == 0
    assert call([*arguments, "--optimizers", "adamw", "grams"]) == 0
    assert trained == ["adamw", "grams"]
    assert "kept from before: adamw" in capsys.readouterr().out
    assert (tmp_path / "out" / "table.md").read_text().count("\n| ") == 2  # of two optimizers


def test_ctrl_c_keeps_what_is_finished(quickly, monkeypatch, capsys):
    arguments, trained = quickly
    whole = comparison.run

    def run(name, problem, **options):
        if name == "s3":
            raise KeyboardInterrupt
        return whole(name, problem, **options)

    monkeypatch.setattr(comparison, "run", run)
    assert call([*arguments, "--optimizers", "adamw", "s3", "grams"]) == 130
    out = capsys.readouterr().out
    assert "| AdamW |" in out and "stopped; 1 of 3 finished" in out
    monkeypatch.setattr(comparison, "run", whole)
    assert call([*arguments, "--optimizers", "adamw", "s3", "grams"]) == 0
    assert trained == ["adamw", "s3", "grams"]


def test_another_comparison_is_not_written_over(quickly, capsys):
    arguments, trained = quickly
    assert call([*arguments, "--optimizers", "adamw"]) == 0
    other = [*arguments, "--optimizers", "adamw", "--steps", "5"]
    assert call(other) == 2
    error = capsys.readouterr().err
    assert "holds another comparison (steps: 4 there, 5 here)" in error and error.count("\n") == 1
    assert trained == ["adamw"]
    assert call([*other, "--overwrite"]) == 0
    assert trained == ["adamw", "adamw"]


DAMAGE = {
    "cut": lambda content: content[:-40],
    "another loss": lambda content: content.replace("3.0", "4.0"),
    "emptied": lambda content: "",
    "of another kind": lambda content: '{"optimizer": "adamw"}',
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_result_is_trained_anew(quickly, tmp_path, capsys, damage):
    arguments, trained = quickly
    assert call([*arguments, "--optimizers", "adamw", "grams"]) == 0
    path = tmp_path / "out" / "result-adamw.json"
    good = path.read_text()
    path.write_text(damage(good))
    capsys.readouterr()
    assert call([*arguments, "--optimizers", "adamw", "grams"]) == 0
    said = capsys.readouterr()
    assert said.err == f"{path} is damaged: it is made anew\n"
    assert "kept from before: grams" in said.out and path.read_text() == good
    assert trained == ["adamw", "grams", "adamw"]


@pytest.mark.parametrize("content", ["", "[]", '{"steps": 4}', "\0\0\0"])
def test_what_a_damaged_comparison_compared_is_not_guessed(quickly, tmp_path, capsys, content):
    arguments, _ = quickly
    assert call([*arguments, "--optimizers", "adamw"]) == 0
    (tmp_path / "out" / "comparison.json").write_text(content)
    assert call([*arguments, "--optimizers", "adamw"]) == 2
    error = capsys.readouterr().err
    assert "holds another comparison (" in error and error.count("\n") == 1
    assert call([*arguments, "--optimizers", "adamw", "--overwrite"]) == 0


def test_messages_about_the_data_name_options_that_there_are(quickly, tmp_path, capsys):
    arguments, _ = quickly
    for name, content in {"tiny.txt": "tiny", "body.jsonl": '{"body": "text"}\n'}.items():
        (tmp_path / name).write_text(content)
        assert call([*arguments, "--data", str(tmp_path / name)]) == 2
        error = capsys.readouterr().err
        fields = {
            f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(compare.Config)
        }
        assert error.count("\n") == 1 and set(re.findall(r"--[a-z-]+", error)) <= fields, error
    records = "".join(json.dumps({"body": f"line {i}: {i * i}"}) + "\n" for i in range(3000))
    (tmp_path / "body.jsonl").write_text(records)
    given = ["--data", str(tmp_path / "body.jsonl"), "--text-field", "body", "--overwrite"]
    assert call([*arguments, *given, "--optimizers", "adamw"]) == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--optimizers", "adamw", "adamwatt"], "not adamwatt; the nearest are adamw,"),
        (["--model", "llama-7b"], "--model takes llama-nano,"),
        (["--data", "nowhere/*.txt"], "there is no such file"),
        (["--seeds", "1"], "--seeds must be at least 2"),
        (["--step", "5"], "did you mean --steps?"),
        (["--out", "/proc/nowhere"], "cannot write to /proc/nowhere"),
    ],
)
def test_bad_input_gets_one_line(quickly, capsys, wrong, said):
    arguments, trained = quickly
    assert call([*arguments, *wrong]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not trained


def test_quick_takes_five_optimizers_and_few_steps():
    config = compare.parse(["--quick"])
    assert (config.optimizers, config.steps, config.seeds) == (compare.QUICK, 80, 2)
    assert config.folder.name == "compare-llama-nano-quick"


@pytest.mark.hunt
def test_one_optimizer_is_compared_from_end_to_end(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("".join(f"line {i}: {i * i}\n" for i in range(3000)))
    arguments = [*TINY, "--data", str(text), "--out", str(tmp_path / "out")]
    assert call([*arguments, "--optimizers", "s3"]) == 0
    stored = json.loads((tmp_path / "out" / "result-s3.json").read_text())
    assert [rate for rate, _ in stored["tuned"]] == list(tuning.grid("s3"))
    assert stored["state_bytes"] == 8
    assert [run["seed"] for run in stored["runs"]] == [1, 2]  # 0 chose the rate
    assert stored["best"] == min(stored["tuned"], key=lambda entry: np.mean(entry[1]))[0]
    assert (tmp_path / "out" / "compare.png").read_bytes().startswith(b"\x89PNG")
    assert "| S3 |" in capsys.readouterr().out
