"""The records of a run, and the count of spikes."""

import json
import math

import numpy as np

from examples.pretrain import logs


def write(out, resumed_step, steps):
    log = logs.Log(out, resumed_step)
    for step in steps:
        log.write(step, loss=float(step), nothing=None)
    log.close()


def test_records_come_back_and_numbers_without_a_word_in_json_as_null(tmp_path):
    log = logs.Log(tmp_path)
    log.write(1, loss=0.1, grad_norm=math.inf)
    log.write(2, loss=math.nan, note="text")
    log.close()
    first, second = logs.read(tmp_path)
    assert first == {"step": 1, "loss": 0.1, "grad_norm": None}
    assert second == {"step": 2, "loss": None, "note": "text"}
    for line in (tmp_path / "log.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda word: 1 / 0)  # NaN and Infinity are not JSON


def test_a_resumed_log_has_every_step_once(tmp_path):
    write(tmp_path, 0, range(1, 8))
    write(tmp_path, 5, range(6, 10))
    assert [record["step"] for record in logs.read(tmp_path)] == list(range(1, 10))


def test_a_line_that_a_killed_process_left_unfinished_is_no_record(tmp_path):
    write(tmp_path, 0, range(1, 4))
    path = tmp_path / "log.jsonl"
    path.write_text(path.read_text()[:-9])
    assert [record["step"] for record in logs.read(tmp_path)] == [1, 2]
    write(tmp_path, 2, [3])
    assert [record["step"] for record in logs.read(tmp_path)] == [1, 2, 3]


def test_what_a_disk_damaged_is_no_record_and_ends_nothing(tmp_path):
    write(tmp_path, 0, range(1, 6))
    path = tmp_path / "log.jsonl"
    lines = path.read_bytes().splitlines()
    others = [b"\0" * 30, b"\xff\xfe", b"<html>", b"3", b"[1]", b'{"loss": 1}', b"[" * 100_000]
    path.write_bytes(b"\n".join([*lines[:3], *others, *lines[3:]]))
    assert [record["step"] for record in logs.read(tmp_path)] == [1, 2, 3, 4, 5]


def test_tensorboard_has_the_finite_numbers(tmp_path):
    log = logs.Log(tmp_path)
    log.write(1, loss=0.25, broken=math.nan, note="text")
    log.close()
    (file,) = (tmp_path / "tensorboard").iterdir()
    content = file.read_bytes()
    assert b"loss" in content and b"broken" not in content and b"note" not in content
    assert np.float32(0.25).tobytes() in content


def noisy(count, seed=0):
    return 3 + 0.1 * np.random.default_rng(seed).normal(size=count)


def test_a_run_without_spikes_has_none():
    spikes = logs.Spikes()
    # Of 2,000 normal numbers none lies six standard deviations above the mean: 1e-9 each.
    falling = noisy(2000) + np.linspace(3, 0, 2000)
    assert not any([spikes.add(loss) for loss in falling]) and spikes.count == 0


def test_each_rise_is_one_spike_however_long():
    losses = noisy(300)
    losses[100] += 2
    losses[150:154] += 2
    losses[200] = math.nan
    spikes = logs.Spikes()
    begins = [step for step, loss in enumerate(losses) if spikes.add(loss)]
    assert begins == [100, 150, 200] and spikes.count == 3


def test_a_loss_that_is_not_finite_counts_from_the_start():
    spikes = logs.Spikes()
    assert spikes.add(None) and not spikes.add(math.inf) and not spikes.add(3.0)
    assert spikes.count == 1
