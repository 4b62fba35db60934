"""The records of a run: one JSON object a line, and the same in TensorBoard."""

import contextlib
import json
import math
import statistics
import time
from collections import deque
from pathlib import Path
from typing import Any

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import (  # made when it is imported
    Event,  # pyright: ignore[reportAttributeAccessIssue]
    SessionLog,  # pyright: ignore[reportAttributeAccessIssue]
)
from tensorboardX.summary import scalar

from .files import write_whole


class Log:
    """Appends records to log.jsonl; a resumed run first drops those after its checkpoint."""

    def __init__(self, out: Path, resumed_step: int = 0):
        self.path = out / "log.jsonl"
        self.kept = [r for r in read(out) if r["step"] <= resumed_step]
        write_whole(self.path, "".join(_line(record) for record in self.kept))
        self.file = self.path.open("a")
        self.board = Board(out / "tensorboard", resumed_step)

    def write(self, step: int, **values: Any) -> None:
        self.file.write(_line({"step": step, **values}))
        for key, value in values.items():
            # TensorBoard has no place for what is not a number.
            if isinstance(value, int | float) and math.isfinite(value):
                self.board.write(step, key, value)

    def flush(self) -> None:
        self.file.flush()
        self.board.events.flush()

    def close(self) -> None:
        self.file.close()
        self.board.events.close()

    def abandon(self) -> None:
        """Closes what can still be closed."""
        for part in (self.file, self.board.events):
            with contextlib.suppress(OSError):
                part.close()


class Board:
    """TensorBoard's file, written right here.

    `SummaryWriter` has a thread for it, which a full disk ends; the run would wait for it forever.
    """

    def __init__(self, folder: Path, resumed_step: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.events = EventsWriter(str(folder / "events"))
        if resumed_step:  # TensorBoard hides what a resumed run writes anew
            start, step = SessionLog(status=SessionLog.START), resumed_step + 1
            self.events.write_event(Event(step=step, file_version="brain.Event:2"))
            self.events.write_event(Event(step=step, session_log=start))

    def write(self, step: int, key: str, value: float) -> None:
        now = time.time()
        self.events.write_event(Event(step=step, wall_time=now, summary=scalar(key, value)))


class Silent:
    """The log of processes other than the first, which all measure the same."""

    kept: tuple[dict[str, Any], ...] = ()

    def write(self, step: int, **values: Any) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def abandon(self) -> None: ...


def read(out: Path) -> list[dict[str, Any]]:
    """The records of a run; what a killed process left unfinished, or a disk damaged, is none."""
    records = []
    path = out / "log.jsonl"
    for line in path.read_bytes().splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict) and isinstance(record.get("step"), int):
                records.append(record)
    return records


def _line(record: dict[str, Any]) -> str:
    # JSON has no word for infinity and NaN.
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in record.items()
    }
    return json.dumps(finite) + "\n"


class Spikes:
    """Counts loss spikes: rises above the median of the last 100 losses by six of their spreads.

    The spread is the median absolute deviation, times 1.4826 to equal the standard deviation of a
    normal distribution; neither moves with the spike itself. Steps in a row count as one spike, and
    so does a loss that is not finite. The first 20 losses are only looked at.
    """

    def __init__(self):
        self.losses: deque[float] = deque(maxlen=100)
        self.inside = False
        self.count = 0

    def add(self, loss: float | None) -> bool:
        """Whether a spike begins at this loss; None stands for one that is not finite."""
        was_inside = self.inside
        if loss is None or not math.isfinite(loss):
            self.inside = True
        else:
            self.inside = len(self.losses) >= 20 and loss > self._threshold()
            self.losses.append(loss)
        begins = self.inside and not was_inside
        self.count += begins
        return begins

    def _threshold(self) -> float:
        middle = statistics.median(self.losses)
        spread = statistics.median(abs(loss - middle) for loss in self.losses)
        return middle + 6 * 1.4826 * spread
