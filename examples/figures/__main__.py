"""Draws the papers' figures: runs the scripts beside this file and keeps their pictures.

    pip install -e ".[pretrain,examples]"
    python -m examples.figures                      # all, as PNG in runs/figures
    python -m examples.figures s3_bounds family     # some

The site's gallery runs the same scripts.
"""

import contextlib
import dataclasses
import io
import runpy
import time
import warnings
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import tyro
from rich.console import Console

from examples.pretrain import cli
from examples.pretrain.errors import UserError, shown_in_one_line
from examples.pretrain.files import make_folder
from examples.progress import progress_bar

matplotlib.use("agg")
FOLDER = Path(__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))


@dataclasses.dataclass(frozen=True)
class Options:
    """Draw the papers' figures."""

    names: tyro.conf.Positional[tuple[str, ...]] = tuple(NAMES)
    """Which; all unless told."""
    out: Path = Path("runs/figures")
    """Folder for the pictures."""


def draw(name: str, out: Path) -> tuple[list[Path], str]:
    """The pictures that a script shows, and what it prints."""
    plt.close("all")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    figures = [plt.figure(number) for number in plt.get_fignums()]
    paths = [out / f"{name}{'' if i == 0 else f'_{i + 1}'}.png" for i in range(len(figures))]
    for figure, path in zip(figures, paths, strict=True):
        figure.savefig(path, dpi=200)
    return paths, printed.getvalue()


def main(arguments: list[str] | None = None) -> None:
    with shown_in_one_line("figures"):
        options, console = cli.parse(Options, "examples.figures", arguments), Console()
        for name in options.names:
            if name not in NAMES:
                raise UserError(f"there is no {name}; there are {', '.join(NAMES)}")
        make_folder(options.out)
        with progress_bar(console) as progress:
            task = progress.add_task("", total=len(options.names))
            for name in options.names:
                progress.update(task, description=name)
                clock = time.perf_counter()
                paths, printed = draw(name, options.out)
                seconds = time.perf_counter() - clock
                console.print(f"[bold]{name}[/], {seconds:.0f} s: {', '.join(map(str, paths))}")
                console.print(printed, end="", highlight=False, markup=False)
                progress.advance(task)


if __name__ == "__main__":
    main()
