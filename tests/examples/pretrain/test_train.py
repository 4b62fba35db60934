"""Whole runs through the command line: resumed to the same bits, stopped, diverged, refused."""

import json
import signal

import jax
import numpy as np
import pytest
from orbax.checkpoint import CheckpointManager

from examples.pretrain import export, logs, own_loop, plot, sample, train
from examples.pretrain.checkpoints import Checkpoints
from examples.pretrain.config import parse
from examples.pretrain.files import locked, write_json
from examples.pretrain.logs import Log
from examples.pretrain.meter import Meter
from examples.pretrain.runs import load_model, make_parts


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Lines of random words: there is something to learn. Beside them lies the cache of all."""
    rng = np.random.default_rng(0)
    words = ["the ", "loss ", "of ", "a ", "model ", "falls ", "and ", "rises ", "step\n"]
    path = tmp_path_factory.mktemp("text") / "words.txt"
    path.write_text("".join(rng.choice(words, size=4000)))
    return path


def arguments(out, text, *more, steps=40):
    fixed = {
        "--out": out, "--data": text, "--cache": text.parent / "cache", "--steps": steps,
        "--warmup": 2, "--shape.width": 16, "--shape.ff": 32, "--shape.layers": 1,
        "--batch-size": 4, "--sequence-length": 16, "--eval-every": 10, "--save-every": 10,
        "--eval-sequences": 8, "--log-every": 7, "--mesh.fsdp": 1,
    }  # fmt: skip
    return [str(part) for pair in fixed.items() for part in pair] + [str(part) for part in more]


def kept(text):
    return ["--cache", str(text.parent / "cache")]


def start(arguments):
    """The exit status."""
    with pytest.raises(SystemExit) as end:
        train.main(arguments)
    return end.value.code


def result(out):
    return json.loads((out / "result.json").read_text())


def series(out):
    """What a run recorded of each step, but for times."""
    timed = {"tokens_per_second", "waited_for_data", "mfu"}
    return [r for r in logs.read(out) if not timed & r.keys()]


def final_state(out):
    config = parse(["--resume", "--out", str(out)])
    checkpoints = Checkpoints(out / "checkpoints")
    _, state, _ = checkpoints.restore(make_parts(config).abstract)
    checkpoints.close()
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]


def contents(out):
    return {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def stop_after(monkeypatch, step, number=signal.SIGTERM):
    """The signal arrives in the middle of a step."""
    add = Meter.add
    counted = []

    def add_and_signal(self, metrics, waited):
        counted.append(1)
        if len(counted) == step:
            signal.raise_signal(number)
        return add(self, metrics, waited)

    monkeypatch.setattr(Meter, "add", add_and_signal)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, text):
    """A run with dropout and accumulation, from its first to its last step."""
    out = tmp_path_factory.mktemp("finished") / "run"
    assert start(arguments(out, text, *OPTIONS)) == 0
    return out


OPTIONS = ("--optimizer", "s3", "--shape.dropout", "0.2", "--accumulate", "2")


def test_a_run_learns_and_leaves_its_records(finished):
    outcome = result(finished)
    assert outcome["status"] == "finished" and outcome["step"] == 40
    assert outcome["tokens"] == 40 * 4 * 16 and outcome["skipped_steps"] == 0
    records = logs.read(finished)
    losses = {r["step"]: r["loss"] for r in records if "loss" in r}
    assert list(losses) == list(range(1, 41)) and losses[40] < losses[1] - 0.5
    assert [r["step"] for r in records if "validation_loss" in r] == [10, 20, 30, 40]
    about = json.loads((finished / "config.json").read_text())
    assert about["config"]["hyper"] == {"b": 0.95, "p": 3.0, "eps": 0.0}
    assert about["corpus"] == outcome["corpus"]
    (first,) = about["starts"]
    assert first["versions"]["jax"] == jax.__version__ and first["machine"]
    assert list((finished / "tensorboard").iterdir())


@pytest.mark.hunt
def test_a_monitored_run_logs_the_gradients_noise_and_trains_as_without(tmp_path, text):
    losses = {}
    for flags in ([], ["--monitor"]):
        out = tmp_path / f"run{len(flags)}"
        assert start(arguments(out, text, "--optimizer", "adampower", *flags, steps=20)) == 0
        records = logs.read(out)
        losses[out] = [r["loss"] for r in records if "loss" in r]
    without, monitored = losses.values()
    np.testing.assert_allclose(monitored, without, rtol=1e-5)  # the programs differ
    seen = [r for r in records if "noise_to_signal" in r]
    assert [r["step"] for r in seen] == [7, 10, 14, 20]
    assert all(r["noise_to_signal"] > 0 and 0 <= r["eps_share"] <= 1 for r in seen)
    assert seen[-1]["effective_rate"] > 0 and seen[-1]["relative_update"] < 1
    assert "noise_to_signal_of/embed_tokens/embedding" in seen[-1]
    assert (
        start(["--out", str(out), "--resume", *kept(text)]) == 0
    )  # its state has the measurements


@pytest.mark.parametrize(
    "stop", [13, *(pytest.param(step, marks=pytest.mark.hunt) for step in (20, 39))]
)
def test_a_stopped_run_resumes_to_the_same_bits(finished, tmp_path, text, monkeypatch, stop):
    out = tmp_path / "run"
    stop_after(monkeypatch, stop)
    assert start(arguments(out, text, *OPTIONS)) == 128 + signal.SIGTERM
    assert result(out)["status"] == "stopped by SIGTERM" and result(out)["step"] == stop
    monkeypatch.undo()
    assert start(["--resume", "--out", str(out), *kept(text)]) == 0
    assert series(out) == series(finished)
    assert final_state(out) == final_state(finished)
    keys = ("step", "validation_loss", "best_validation_loss", "spikes", "tokens")
    assert [result(out)[key] for key in keys] == [result(finished)[key] for key in keys]
    assert len(json.loads((out / "config.json").read_text())["starts"]) == 2


def test_ctrl_c_saves_and_stops_too(tmp_path, text, monkeypatch, capsys):
    stop_after(monkeypatch, 5, signal.SIGINT)
    assert start(arguments(tmp_path / "run", text)) == 128 + signal.SIGINT
    assert Checkpoints(tmp_path / "run" / "checkpoints").steps() == [5]
    said = f"go on with python -m examples.pretrain.train --out {tmp_path / 'run'} --resume"
    assert said in capsys.readouterr().out


def test_resuming_from_an_earlier_checkpoint_sets_the_later_ones_aside(tmp_path, text, capsys):
    out = tmp_path / "run"
    assert start(arguments(out, text)) == 0
    before = series(out)
    assert start(["--resume-from", "30", "--out", str(out), *kept(text)]) == 0
    assert "checkpoint-40-set-aside" in capsys.readouterr().out
    assert (out / "checkpoint-40-set-aside").is_dir()
    assert series(out) == before


def test_a_diverged_run_is_a_result_with_its_reason(tmp_path, text):
    out = tmp_path / "run"
    more = ("--optimizer", "sgd", "--learning-rate", "1e30", "--clip", "0")
    assert start(arguments(out, text, *more, "--stop-after-bad-steps", "5")) == 0
    outcome = result(out)
    assert outcome["status"].startswith("diverged: ") and "not finite" in outcome["status"]
    assert outcome["skipped_steps"] >= 5 and outcome["step"] < 40


def test_nothing_of_a_run_is_overwritten(finished, text, capsys):
    before = contents(finished)
    assert start(arguments(finished, text)) == 2
    message = capsys.readouterr().err
    command = ["--out", str(finished), "--resume", *kept(text)]
    assert message.count("\n") == 1 and "holds a run: go on with" in message
    assert f"python -m examples.pretrain.train {' '.join(command)}, or" in message
    assert contents(finished) == before


def test_checkpoints_without_their_configuration_are_not_trained_over(tmp_path, text, capsys):
    (tmp_path / "run" / "checkpoints" / "20").mkdir(parents=True)
    assert start(arguments(tmp_path / "run", text)) == 2
    message = capsys.readouterr().err
    assert "has lost its config.json: give another --out" in message and message.count("\n") == 1
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoints"]


@pytest.mark.parametrize(
    "more, clue",
    [
        (("--data", "nowhere/*.txt"), "nowhere/*.txt: there is no such file"),
        (("--sequence-length", "100000"), "shorter --sequence-length"),
        (("--shape.vocab", "100"), "--shape.vocab 256"),
        (("--shape.heads", "3"), "--shape.width 16 must be a multiple of --shape.heads 3"),
        (("--optimizer", "s3", "--hyper.p", "-1"), "--optimizer s3: "),
        (("--warmup", "40"), "--warmup must be"),
        (("--tokenizer", "words"), "--tokenizer takes bytes"),
        (("--shape.width", "1000000"), "parameters and optimizer state take"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_no_folder(tmp_path, text, capsys, more, clue):
    assert start(arguments(tmp_path / "run", text, *more)) == 2
    message = capsys.readouterr().err
    assert message.startswith("train: ") and message.count("\n") == 1 and clue in message
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_whose_text_has_changed_gets_one_line(tmp_path, text, monkeypatch, capsys):
    copy = tmp_path / "copy.txt"
    copy.write_text(text.read_text())
    out = tmp_path / "run"
    stop_after(monkeypatch, 10)
    start([*arguments(out, copy), *kept(text)])
    copy.write_text(text.read_text().replace("falls", "grows"))
    capsys.readouterr()
    assert start(["--resume", "--out", str(out), *kept(text)]) == 2
    message = capsys.readouterr().err
    assert "the corpus has changed since checkpoint 10" in message and message.count("\n") == 1


@pytest.fixture
def ends_at_once(monkeypatch):
    """Runs that take no step and leave no checkpoint."""
    monkeypatch.setattr(train.Trainer, "run", lambda self: self.finish("killed", 0.0) or "killed")


def test_what_a_resumed_run_is_told_anew_is_shown_and_kept(tmp_path, text, ends_at_once, capsys):
    out = tmp_path / "run"
    assert start(arguments(out, text, "--learning-rate", "0.0123", steps=10)) == 0
    assert "changed" not in capsys.readouterr().out
    # The rate and the warm-up stay as they were; the steps are said to change.
    again = ["--out", str(out), "--resume_or_start", "--steps=20", *kept(text)]
    assert start(again) == 0
    said = capsys.readouterr().out
    assert f"changed: --steps is 20, and was 10 in {out}" in said and said.count("changed:") == 1
    about = json.loads((out / "config.json").read_text())
    assert (about["config"]["learning_rate"], about["config"]["steps"]) == (0.0123, 20)
    assert about["config"]["warmup"] == 2
    assert [s.get("changed") for s in about["starts"]] == [None, {"--steps": [10, 20]}]
    assert start(again) == 0 and "changed" not in capsys.readouterr().out


def test_a_second_process_in_the_folder_is_refused_before_it_touches_anything(
    tmp_path, text, capsys
):
    out = tmp_path / "run"
    out.mkdir()
    for more in ([], ["--resume-or-start"]):
        with locked(out / "lock"):
            assert start(arguments(out, text, *more)) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1 and f"another process trains in {out}" in message
        assert [path.name for path in out.iterdir()] == ["lock"]

    def while_it_waits(config, console):  # another run comes, and ends before this one's turn
        write_json(out / "config.json", {})
        return load_data(config, console)

    load_data, train.load_data = train.load_data, while_it_waits
    try:
        assert start(arguments(out, text)) == 2
    finally:
        train.load_data = load_data
    assert "holds a run: go on with" in capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "lock"]


# In the words of tensorstore, and as Python says it, once in a checkpoint and once in the log.
FULL = "Failed to write 373809 bytes to file 9: No space left on device [os_error_code='28']"


@pytest.mark.parametrize(
    "owner, method, error",
    [
        (CheckpointManager, "save", ValueError(f'RESOURCE_EXHAUSTED: Error writing "x": {FULL}')),
        (Log, "flush", OSError(28, "No space left on device")),
    ],
)
def test_a_full_disk_gets_one_line_and_the_run_goes_on_from_its_checkpoint(
    tmp_path, text, finished, monkeypatch, capsys, owner, method, error
):
    out, whole = tmp_path / "run", getattr(owner, method)

    def fails(self, *given, **named):
        if committed := Checkpoints(out / "checkpoints").steps():
            assert committed == [10]
            raise error
        return whole(self, *given, **named)

    monkeypatch.setattr(owner, method, fails)
    assert start(arguments(out, text, *OPTIONS)) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "No space left on device; when that is mended" in message
    monkeypatch.undo()
    command = message.split("python -m examples.pretrain.train ")[1].split()
    assert start(command) == 0
    assert series(out) == series(finished) and final_state(out) == final_state(finished)


@pytest.mark.parametrize("name", ["tokenizer.json", "words.txt"])
def test_before_its_first_checkpoint_a_run_goes_on_with_the_same_tokens_alone(
    tmp_path, text, ends_at_once, capsys, name
):
    copy, out = tmp_path / "words.txt", tmp_path / "run"
    copy.write_text(text.read_text())
    bpe = ("--tokenizer", "bpe", "--shape.vocab", "300")
    assert start([*arguments(out, copy, *bpe), *kept(text)]) == 0
    changed = out / name if name == "tokenizer.json" else copy
    changed.write_text(changed.read_text().replace("falls", "fails").replace('"a"', '"A"'))
    before = contents(out)
    assert start(["--out", str(out), "--resume", *kept(text)]) == 2
    message = capsys.readouterr().err
    clues = {
        "tokenizer.json": "is not the tokenizer of this run, by its checksum",
        "words.txt": "the corpus has changed since the run began",
    }
    assert clues[name] in message and message.count("\n") == 1 and contents(out) == before


def test_a_checkpoint_of_another_model_gets_one_line(finished, tmp_path, capsys):
    change = ["--resume", "--out", str(finished), "--cache", str(tmp_path), "--shape.ff", "48"]
    before = contents(finished)
    assert start(change) == 2
    message = capsys.readouterr().err
    assert "is of another model" in message and message.count("\n") == 1
    assert contents(finished) == before


def test_a_dry_run_tells_what_a_run_would_take_and_writes_nothing(tmp_path, text, capsys):
    assert start(arguments(tmp_path / "run", text, "--dry-run")) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for word in ("parameters", "optimizer state", "tokens 2,560", "steps 40", "ms a step"):
        assert word in shown, word
    assert not (tmp_path / "run").exists()


def test_a_run_can_be_sampled_the_same_way_twice(finished, capsys):
    options = [str(finished), "--prompt", "the ", "--length", "12"]
    sample.main(options)
    first = capsys.readouterr().out
    sample.main(options)
    assert capsys.readouterr().out == first and first.startswith("the ")
    sample.main([*options, "--seed", "1"])
    assert capsys.readouterr().out != first
    for refused in (["--temperature", "nan"], ["--temperature", "inf"], ["--length", "0"]):
        with pytest.raises(SystemExit) as end:
            sample.main([str(finished), *refused])
        assert end.value.code == 2 and capsys.readouterr().err.count("\n") == 1


def test_exported_weights_are_the_checkpoints(finished, tmp_path, capsys):
    from safetensors.numpy import load_file

    export.main([str(finished), str(tmp_path / "exported")])
    assert "step 40" in capsys.readouterr().out
    tensors = load_file(tmp_path / "exported" / "model.safetensors")
    _, model = load_model(parse(["--resume", "--out", str(finished)]))
    kernel = np.asarray(model.layers[0].mlp.up_proj.kernel[...])
    np.testing.assert_array_equal(tensors["model.layers.0.mlp.up_proj.weight"], kernel.T)
    config = json.loads((tmp_path / "exported" / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"] and config["hidden_size"] == 16
    with pytest.raises(SystemExit) as end:
        export.main([str(finished), str(tmp_path / "exported")])
    assert end.value.code == 2 and "exists: give another folder" in capsys.readouterr().err


def test_runs_are_drawn_beside_each_other(finished, tmp_path):
    plot.main([str(finished), str(finished), "--to", str(tmp_path / "losses.png")])
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")


def test_one_changed_line_trains_in_a_loop_with_nnx_optimizer():
    losses = own_loop.main()
    assert losses[-1] < losses[0] / 3
