"""What long work shows: how far it is and how long to go, and in the end a table."""

import itertools
import time

from rich import box
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
from rich.table import Table
from rich.text import Text

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
    if not console.is_terminal:
        console.print(markdown, soft_wrap=True, markup=False, highlight=False)
        return
    for is_table, group in itertools.groupby(markdown.splitlines(), lambda x: x.startswith("|")):
        lines = list(group)
        console.print(_drawn(lines) if is_table else Markdown("\n".join(lines)))


def _drawn(lines: list[str]) -> Table:
    """Columns no narrower than their longest word; Rich's own Markdown cuts words short."""
    head, _, *rows = ([cell.strip(" `") for cell in line.split("|")[1:-1]] for line in lines)
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for title, *cells in zip(head, *rows, strict=True):
        table.add_column(Text(title), min_width=max(map(len, " ".join([title, *cells]).split())))
    for row in rows:
        table.add_row(*map(Text, row))
    return table
