"""What long work shows: how far it is and how long to go, and in the end a table."""

import time

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

PATIENCE = 10.0  # seconds between two lines


class Reports(Progress):
    """A bar on a terminal; elsewhere, as in a file, a line now and then."""

    said = -PATIENCE

    def update(self, task_id: TaskID, **changes) -> None:
        super().update(task_id, **changes)
        self._say(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._say(task_id)

    def _say(self, task_id: TaskID) -> None:
        now = time.monotonic()
        if self.disable and now - self.said >= PATIENCE:
            self.said, task = now, self._tasks[task_id]
            self.console.print(
                f"{task.percentage:3.0f}%  {task.description}", soft_wrap=True, markup=False
            )


def progress_bar(console: Console, *columns: ProgressColumn) -> Progress:
    columns = columns or (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    silent = not console.is_terminal
    return Reports(*columns, console=console, speed_estimate_period=600, disable=silent)


def print_table(markdown: str, console: Console) -> None:
    """Drawn on a terminal; elsewhere as it is, to be kept."""
    if console.is_terminal:
        console.print(Markdown(markdown))
    else:
        console.print(markdown, soft_wrap=True, markup=False, highlight=False)
