"""Two processes of four devices are as good as one of eight, and as one of one; and what they do
when one of them is stopped, killed, or cannot go on.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from rich.console import Console

from examples.pretrain import hosts, logs, train
from examples.pretrain.checkpoints import Checkpoints
from examples.pretrain.config import launch_of, parse
from examples.pretrain.errors import UserError
from examples.pretrain.runs import make_parts
from tests.contract.compiler import flags
from tests.contract.ports import free_port

ROOT = Path(__file__).parents[3]
AXES = ("data", "fsdp", "tensor")
ONE, EIGHT = (1, 1, 1), (2, 2, 2)
# An optimizer of each family, and each model. A sign decided by rounding moves a parameter by twice
# the rate, and the loss, whose slope is about 0 there, by the rate's square: hence the lower rates.
# An optimizer of elementwise steps, of products of matrices, and of sums over a tensor; what the
# others compute on several processes, tests/contract/test_processes.py compares.
CASES = {
    "s3": [],
    "muonpower": [],
    "cautious_adam": ["--learning-rate", "1e-3"],
    "gpt2": ["--optimizer", "adamw", "--preset", "gpt2-nano", "--accumulate", "2"],
    "qwen2moe": ["--optimizer", "adamw", "--preset", "qwen2moe-nano"],
    "capacity": [
        *("--optimizer", "adamw", "--preset", "qwen2moe-nano", "--shape.capacity-factor", "2"),
    ],
    "stacked": [
        *("--optimizer", "adamw", "--shape.layers", "8", "--shape.remat"),
        *("--shape.width", "16", "--shape.ff", "32"),
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosts")
    words = ["the ", "loss ", "of ", "a ", "model ", "falls ", "and ", "rises ", "step\n"]
    text = "".join(np.random.default_rng(0).choice(words, size=6000))
    (folder / "words.txt").write_text(text)
    return folder


def on(mesh):
    return [f"--mesh.{axis}={size}" for axis, size in zip(AXES, mesh, strict=True)]


def arguments(folder, name, mesh, *more, steps=20, save_every=10):
    options = {
        "--out": folder / name, "--data": folder / "words.txt", "--cache": folder / "cache",
        "--steps": steps, "--warmup": 2, "--batch-size": 8, "--sequence-length": 32,
        "--eval-every": 20, "--save-every": save_every, "--eval-sequences": 12, "--log-every": 5,
        "--shape.layers": 1,
    }  # fmt: skip
    return [str(part) for pair in options.items() for part in pair] + on(mesh) + list(more)


def case(folder, where, name, mesh):
    optimizer = CASES[name] if "--optimizer" in CASES[name] else ["--optimizer", name, *CASES[name]]
    return arguments(folder, f"{where}-{name}", mesh, *optimizer)


def resumed(folder, name, mesh, step):
    """Goes on from a checkpoint in a copy of a run's folder."""
    shutil.copytree(folder / name, folder / f"{name}-on-{mesh}")
    cache = str(folder / "cache")
    out = str(folder / f"{name}-on-{mesh}")
    return ["--out", out, "--resume-from", str(step), "--cache", cache, *on(mesh)]


class Process(subprocess.Popen):
    """One of the pair, with four devices."""

    def __init__(self, script, *more, **environment):
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115
        options = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"
        devices = {"XLA_FLAGS": f"{flags()} {options}", "PYTHONPATH": "."}
        super().__init__(
            [sys.executable, *script, *more],
            cwd=ROOT,
            env=os.environ | devices | environment,
            stdout=self.output,
            stderr=subprocess.STDOUT,
        )
        STARTED.append(self)

    def said(self):
        self.output.seek(0)
        return self.output.read()


STARTED = []


@pytest.fixture(autouse=True)
def no_process_left():
    yield
    for process in STARTED:
        process.kill()
        process.wait()
        process.output.close()
    STARTED.clear()


def begin_pair(*arguments):
    """`train` in two processes; `arguments` are those of both, or a list for each."""
    script = ["-m", "examples.pretrain.train", f"--launch.coordinator=localhost:{free_port()}"]
    script += ["--launch.processes", "2"]
    of_each = arguments if isinstance(arguments[0], list) else (list(arguments),) * 2
    return [Process(script, f"--launch.process={i}", *given) for i, given in enumerate(of_each)]


def ended(processes, seconds=240):
    """The exit statuses, and what was said."""
    statuses = [process.wait(timeout=seconds) for process in processes]
    return statuses, [process.said() for process in processes]


def wait_for_step(out, step, processes):
    while max((r["step"] for r in logs.read(out)), default=0) < step:
        assert all(process.poll() is None for process in processes), ended(processes)[1]
        time.sleep(0.05)


def losses(out):
    return {r["step"]: r["loss"] for r in logs.read(out) if "loss" in r}


def validations(out):
    return {r["step"]: r["validation_loss"] for r in logs.read(out) if "validation_loss" in r}


def assert_close(found, wanted):
    assert list(found) == list(wanted) and len(wanted) > 0
    np.testing.assert_allclose(list(found.values()), list(wanted.values()), rtol=0, atol=1e-5)


def run_here(arguments):
    assert train.run(parse(arguments), Console(quiet=True)) == 0
    return Path(arguments[arguments.index("--out") + 1])


RESUMED = "s3"  # the case whose checkpoints other layouts go on from


def run_everywhere(folder, names, *jobs):
    """Cases on one device, on eight of one process, and on eight of two, which do `jobs` too."""
    for name in names:
        run_here(case(folder, "one", name, ONE))
        run_here(case(folder, "eight", name, EIGHT))
    jobs = [*(case(folder, "pair", name, EIGHT) for name in names), *(job() for job in jobs)]
    port = free_port()
    worker = [str(Path(__file__).with_name("pod_worker.py")), port]
    pair = [Process(worker, str(index), "2", json.dumps(jobs)) for index in range(2)]
    statuses, said = ended(pair, 900)
    assert statuses == [0, 0], "\n".join(said)


@pytest.fixture(scope="module")
def runs(folder):
    run_everywhere(folder, CASES, lambda: resumed(folder, f"one-{RESUMED}", EIGHT, 10))
    return folder


@pytest.mark.hunt
@pytest.mark.parametrize("name", CASES)
def test_losses_agree_over_twenty_steps_on_one_device_eight_and_two_processes_of_four(runs, name):
    one = losses(runs / f"one-{name}")
    assert list(one) == list(range(1, 21))
    for where in ("eight", "pair"):
        assert_close(losses(runs / f"{where}-{name}"), one)
        assert_close(validations(runs / f"{where}-{name}"), validations(runs / f"one-{name}"))


def state_of(out, mesh, step):
    """The state of a checkpoint, read by this process on a mesh of its own."""
    config = parse(["--out", str(out), "--resume", *on(mesh)])
    checkpoints = Checkpoints(out / "checkpoints")
    _, state, _ = checkpoints.restore(make_parts(config).abstract, step)
    checkpoints.close()
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]


@pytest.mark.hunt
@pytest.mark.parametrize("saved_by", ["one", "eight", "pair"])
def test_a_checkpoint_of_one_layout_is_read_by_the_others(runs, saved_by):
    out = runs / f"{saved_by}-{RESUMED}"
    states = [state_of(out, mesh, 10) for mesh in (ONE, EIGHT, (1, 8, 1))]
    for a, *others in zip(*states, strict=True):
        assert all(a.tobytes() == b.tobytes() for b in others)


@pytest.mark.hunt
def test_a_run_goes_on_on_another_layout_as_if_it_had_always_been_there(runs):
    one = losses(runs / f"one-{RESUMED}")
    assert_close(losses(runs / f"one-{RESUMED}-on-{EIGHT}"), one)  # by the pair
    for mesh in (ONE, EIGHT):
        assert_close(losses(run_here(resumed(runs, f"pair-{RESUMED}", mesh, 10))), one)


LONG = 80  # steps; more than a signal needs to reach all


def long(folder, name, mesh):
    return arguments(folder, name, mesh, "--learning-rate", "1e-3", steps=LONG)


@pytest.fixture(scope="module")
def unbroken(folder):
    return losses(run_here(long(folder, "unbroken", ONE)))


@pytest.mark.hunt
def test_sigterm_to_one_process_stops_all_after_the_same_step_with_a_checkpoint(folder, unbroken):
    out = folder / "stopped"
    begun = long(folder, "stopped", EIGHT)
    pair = begin_pair(*begun)
    wait_for_step(out, 15, pair)
    pair[1].send_signal(signal.SIGTERM)
    statuses, said = ended(pair)
    assert statuses == [128 + signal.SIGTERM] * 2, "\n".join(said)
    result = json.loads((out / "result.json").read_text())
    assert result["status"] == "stopped by SIGTERM" and result["step"] < LONG
    assert Checkpoints(out / "checkpoints").steps()[-1] == result["step"]
    assert "--resume" in said[0] and "go on" not in said[1]

    # The same command goes on where it stopped; eight devices of one process end where one does.
    assert_close(losses(run_here([*begun, "--resume-or-start"])), unbroken)


@pytest.mark.hunt
def test_a_killed_process_ends_the_other_with_a_reason_and_one_process_goes_on(folder, unbroken):
    out = folder / "killed"
    pair = begin_pair(*long(folder, "killed", EIGHT))
    wait_for_step(out, 25, pair)
    pair[1].kill()
    start = time.monotonic()
    statuses, said = ended(pair)
    assert time.monotonic() - start < 60  # what is promised; it took less than a second
    assert statuses[0] not in (0, None) and statuses[1] == -signal.SIGKILL
    assert "process 0 of 2 ends" in said[0] or "another task died" in said[0], said[0]
    committed = Checkpoints(out / "checkpoints").steps()
    assert committed and committed[-1] >= 20
    assert_close(losses(run_here(["--out", str(out), "--resume", *on(ONE)])), unbroken)


DETECTED = {  # what `srun` and `mpirun` set on one host
    "slurm": lambda index: {
        "SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2",
        "SLURM_PROCID": str(index), "SLURM_LOCALID": str(index), "SLURM_STEP_NUM_NODES": "1",
    },
    "open_mpi": lambda index: {
        "OMPI_MCA_orte_hnp_uri": "4096.0;tcp://127.0.0.1:1", "OMPI_COMM_WORLD_SIZE": "2",
        "OMPI_COMM_WORLD_RANK": str(index), "OMPI_COMM_WORLD_LOCAL_RANK": str(index),
    },
}  # fmt: skip


@pytest.mark.hunt
@pytest.mark.parametrize("manager", DETECTED)
def test_job_managers_are_detected_without_any_option(folder, manager):
    given = ["-m", "examples.pretrain.train", *arguments(folder, manager, (1, 8, 1), steps=5)]
    port = {"JAX_COORDINATOR_PORT": free_port()}  # by default it follows from the job's number
    pair = [Process(given, **port, **DETECTED[manager](index)) for index in range(2)]
    statuses, said = ended(pair)
    assert statuses == [0, 0], "\n".join(said)
    assert "on 8 of 8 devices of 2 processes" in said[0] and list(losses(folder / manager))[-1] == 5


@pytest.mark.hunt
@pytest.mark.parametrize(
    "clue, change",
    [
        ("the corpus' hash of process 1 is", "other.txt"),
        ("process 1: --data nowhere.txt: there is no such file", "nowhere.txt"),
    ],
)
def test_what_is_wrong_in_one_process_ends_all_with_its_reason(folder, clue, change):
    (folder / "other.txt").write_text((folder / "words.txt").read_text()[::-1])
    data = change if change == "nowhere.txt" else str(folder / change)
    begun = arguments(folder, "differs", (1, 8, 1))
    statuses, said = ended(begin_pair(begun, [*begun, "--data", data]))
    assert statuses == [2, 2] and clue in said[0], "\n".join(said)
    assert not (folder / "differs" / "config.json").exists()


def test_a_process_waits_for_a_file_of_the_first_and_says_that_the_disk_is_not_shared(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(hosts, "PATIENCE", 0.1)
    hosts.check_shared(Path(__file__))
    with pytest.raises(UserError, match="must lie on a disk that all hosts share"):
        hosts.check_shared(tmp_path / "config.json")


def test_launch_options_go_together_and_a_lone_process_needs_none():
    hosts.start(hosts.Launch())
    hosts.start(hosts.Launch(processes=1))
    assert not jax.distributed.is_initialized()
    for given in (["--launch.processes", "2"], ["--launch.coordinator=here:1"]):
        with pytest.raises(UserError, match="go together"):
            hosts.start(launch_of(given))
    with pytest.raises(UserError, match=r"--launch.process: .*'x'"):
        launch_of(["--launch.process", "x"])
    given = ["--launch.coordinator", "a:1", "--launch.processes=4", "--launch.process=3"]
    assert launch_of(given) == hosts.Launch("a:1", 4, 3)


def test_two_processes_must_take_all_devices(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(UserError, match="the mesh takes 2 of 8 devices"):
        make_parts(parse(["--mesh.fsdp", "2"]))
