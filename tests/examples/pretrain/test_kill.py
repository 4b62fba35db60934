"""A process killed at any moment loses at most what came after its last committed checkpoint."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from examples.pretrain import logs, train
from examples.pretrain.config import parse

ROOT = Path(__file__).parents[3]
STEPS = 100_000  # more than are reached


def new(out, text):
    arguments = {
        "--out": out, "--data": text, "--steps": STEPS, "--schedule": "constant", "--warmup": 2,
        "--shape.width": 16, "--shape.ff": 16, "--shape.layers": 1, "--shape.dropout": 0.1,
        "--batch-size": 2, "--sequence-length": 16, "--eval-every": 100, "--save-every": 10,
        "--eval-sequences": 2, "--log-every": 10,
    }  # fmt: skip
    return [str(part) for pair in arguments.items() for part in pair]


def begin(out, text, resume):
    arguments = ["--out", str(out), "--resume"] if resume else new(out, text)
    command = [sys.executable, "-m", "examples.pretrain.train", *arguments]
    environment = os.environ | {
        "XLA_FLAGS": "", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }  # fmt: skip
    return subprocess.Popen(
        [*command, "--cache", str(out.parent / "cache")],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def committed(out):
    """Steps whose checkpoint is whole, by Orbax's mark."""
    folders = (out / "checkpoints").glob("*/commit_success.txt")
    return sorted(int(file.parent.name) for file in folders if file.parent.name.isdigit())


def records(out):
    return {r["step"]: r["loss"] for r in logs.read(out) if "loss" in r}


def run_until(out, text, *, resume, moment, steps=0):
    """Starts a run, kills it some seconds after it has begun to train, and gives what it said.

    With `steps`, not before it has taken so many.
    """
    process = begin(out, text, resume)
    before, deadline = len(records(out)), time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if len(records(out)) not in (0, before) and max(records(out)) >= steps:
            break
        time.sleep(0.02)
    time.sleep(moment)
    newest = committed(out)
    assert process.poll() is None, process.communicate()[0].decode()
    process.kill()
    return newest, process.communicate()[0].decode()


def words(folder):
    text = folder / "words.txt"
    rng = np.random.default_rng(0)
    text.write_text("".join(rng.choice(["loss ", "falls ", "and ", "rises\n"], size=3000)))
    return text


def assert_unbroken(out, whole, last):
    """The same losses at every step as a run that nobody killed."""
    broken, unbroken = records(out), records(whole)
    assert list(broken)[:last] == list(range(1, last + 1)), "a step is missing or there twice"
    assert all(broken[step] == unbroken[step] for step in range(1, last + 1))


@pytest.mark.hunt
def test_ten_kills_lose_no_committed_checkpoint_and_change_no_bit(tmp_path):
    text, out, whole = words(tmp_path), tmp_path / "run", tmp_path / "whole"
    draw = random.Random(0)
    committed_before = []
    for kill in range(10):
        newest, said = run_until(out, text, resume=kill > 0, moment=draw.uniform(0, 0.7))
        if committed_before:
            resumed = int(re.search(r"resumed at step (\d+)", said)[1])
            assert resumed >= committed_before[-1]
        committed_before = newest
        after = committed(out)
        # Older ones are replaced by newer ones, never lost.
        assert not newest or after[-1] >= newest[-1]
    last = committed(out)[-1]

    # An unbroken run ends where the one killed ten times does.
    run_until(whole, text, resume=False, moment=0, steps=last)
    assert_unbroken(out, whole, last)


@pytest.mark.hunt
def test_a_kill_loses_no_committed_checkpoint_and_changes_no_bit(tmp_path):
    """The run goes on in this process, as far again, and is repeated here without the kill."""
    text, out, whole = words(tmp_path), tmp_path / "run", tmp_path / "whole"
    run_until(out, text, resume=False, moment=0.2, steps=30)
    last = committed(out)[-1]
    here = ["--mesh.fsdp", "1", "--cache", str(tmp_path / "cache")]
    run_here(["--out", str(out), "--resume", "--steps", str(last + 20), *here])
    run_here([*new(whole, text), "--steps", str(last + 20), *here])
    assert_unbroken(out, whole, last + 20)


def run_here(arguments):
    assert train.run(parse(arguments), Console(quiet=True)) == 0


@pytest.mark.hunt
def test_sigterm_saves_and_the_run_goes_on_from_there(tmp_path):
    text = tmp_path / "words.txt"
    text.write_text("the loss falls and rises\n" * 500)
    out = tmp_path / "run"
    process = begin(out, text, resume=False)
    while len(records(out)) < 20 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 128 + signal.SIGTERM, said
    result = json.loads((out / "result.json").read_text())
    assert result["status"] == "stopped by SIGTERM" and committed(out)[-1] == result["step"]
    assert max(records(out)) == result["step"]
