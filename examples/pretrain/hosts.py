"""Several processes as one run: how they start, agree, stop and end.

Each of a run's processes executes the same script on its own devices. What they tell each other
goes through JAX: its coordination service and collectives between devices.
"""

import contextlib
import dataclasses
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from .errors import UserError, one_line

T = TypeVar("T")
HEARTBEAT = 30  # seconds without a sign of life after which a process counts as dead
PATIENCE = 60.0  # seconds that a shared disk may take to show what another host has written


@dataclasses.dataclass(frozen=True)
class Launch:
    """How a process finds the others; SLURM, Open MPI, GKE and TPU pods need none of these."""

    coordinator: str | None = None
    """HOST:PORT of process 0, at a free port."""
    processes: int | None = None
    """Processes in all; 1: this one alone, whatever is detected."""
    process: int | None = None
    """The number of this process, from 0."""


def start(launch: Launch) -> None:
    """Joins the other processes, if there are any; comes before everything else in JAX."""
    given = (launch.coordinator, launch.processes, launch.process)
    if launch.processes == 1 and launch.coordinator is None:
        return
    if any(x is not None for x in given) and None in given:
        raise UserError(
            "--launch.coordinator, --launch.processes and --launch.process go together: give all "
            "three to every process, or none where SLURM, Open MPI, GKE or a TPU pod starts them"
        )
    try:
        jax.distributed.initialize(
            *given,
            cluster_detection_method="deactivate" if launch.coordinator else None,
            heartbeat_timeout_seconds=HEARTBEAT,
            shutdown_timeout_seconds=HEARTBEAT,
        )
    except (ValueError, RuntimeError) as error:
        # Nothing is detected, or JAX is in use already, as in a notebook: a process of its own.
        alone = ("coordinator_address should be defined", "must be called before any JAX calls")
        if launch.coordinator is None and any(words in str(error) for words in alone):
            return
        raise UserError(f"cannot join the other processes: {one_line(error)}") from None


def is_first() -> bool:
    """Whether this process writes what a run leaves, but for its shares of checkpoints."""
    return jax.process_index() == 0


def gather(value: Any) -> list[Any]:
    """The JSON value of every process, in all of them."""
    if jax.process_count() == 1:
        return [value]
    data = np.frombuffer(json.dumps(value).encode(), np.uint8)
    sizes = multihost_utils.process_allgather(np.int32(len(data)))
    padded = np.pad(data, (0, max(sizes) - len(data)))
    rows = multihost_utils.process_allgather(padded)
    return [json.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)]


def agreed(work: Callable[[], T]) -> T:
    """`work()`; a `UserError` in any process is raised in all, so that none waits for it.

    The processes must not talk to each other within `work`.
    """
    try:
        result = work()
    except UserError as error:
        gather(str(error))
        raise
    for process, problem in enumerate(gather("")):
        if problem:
            raise UserError(f"process {process}: {problem}")
    return result


def check_equal(value: Any, what: str) -> None:
    """Raises `UserError` in all processes where they differ in `value`."""
    first, *others = gather(value)
    for process, other in enumerate(others, 1):
        if other != first:
            raise UserError(f"{what} of process {process} is {other}, and of process 0 {first}")


def check_shared(file: Path) -> None:
    """Raises `UserError` in all processes where one does not see a file that the first wrote."""

    def look():
        deadline = time.monotonic() + PATIENCE
        while not file.exists():
            if time.monotonic() > deadline:
                raise UserError(
                    f"{file} is not here, and process 0 wrote it: --out must lie on a disk that "
                    "all hosts share"
                )
            time.sleep(0.5)

    agreed(look)


class Stop:
    """Notes SIGTERM and SIGINT, so that the loop saves and stops.

    A single process notes them itself, and a second signal ends it at once. Several leave SIGTERM
    to JAX, whose coordination service has them agree on the step after which all stop; between
    steps they ask their own memory alone. SIGINT becomes SIGTERM there.
    """

    def __init__(self, reached: Callable[[int], bool]):
        self.reached = reached  # Orbax's, for several processes
        self.noted: int | None = None
        self.alone = jax.process_count() == 1

    def __enter__(self):
        numbers = (signal.SIGTERM, signal.SIGINT) if self.alone else (signal.SIGINT,)
        self.before = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def _note(self, number, frame):
        del frame
        self.__exit__()
        if self.alone:
            self.noted = number
        else:
            os.kill(os.getpid(), signal.SIGTERM)

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def after(self, step: int) -> int | None:
        """The signal after which to stop here; called once a step by all processes."""
        if self.alone:
            return self.noted
        return signal.SIGTERM if self.reached(step) else None


@contextlib.contextmanager
def ending_with_the_others(program: str) -> Iterator[None]:
    """Ends one of several processes that fails at once, so that the others notice.

    Python's own way out would first wait for the others, which wait for this one.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, SystemExit) or jax.process_count() == 1:
            raise
        expected = isinstance(error, UserError | OSError)
        if expected:
            print(f"{program}: {one_line(error)}", file=sys.stderr, flush=True)
        else:
            traceback.print_exc()
            print(
                f"{program}: process {jax.process_index()} of {jax.process_count()} ends. If "
                "another process has died, this is how its absence shows: go on with --resume, "
                "with as many processes or fewer",
                file=sys.stderr,
                flush=True,
            )
        if is_first():
            time.sleep(1)  # those that fail alike should not miss their coordinator before
        os._exit(2 if expected else 1)
