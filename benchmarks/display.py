"""What the benchmarks' command lines show while they run, and how a method looks in pictures."""

import re

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from examples.style import LOOKS, Look


def look(method: str) -> Look:
    """That of the optimizer, whatever its numbers: "s3, p=3" looks as "s3"."""
    name = re.split(r"[,(]", method.removeprefix("optax."))[0]
    return LOOKS.get(name, Look(method, "#999999"))


def progress_bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        speed_estimate_period=600,
    )
