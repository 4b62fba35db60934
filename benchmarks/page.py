"""The tables of docs/benchmarks.md, written from benchmarks/results.

    python -m benchmarks.page

A table stands between <!-- name --> and <!-- /name -->; what is around it is written by hand.
"""

import functools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from examples.pretrain.files import read_json

from . import cpu, drift, growth, matrices, memory, pods, steady, trees
from .methods import METHODS

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (ROOT / "docs" / "benchmarks.md",)

# A TPU v5p: both cores' lanes, each of four units, at 1.75 GHz ("How to Scale Your Model", TPUs,
# appendix A), and its memory (Google's table of the v5p).
V5P_OPERATIONS = 2 * 8 * 128 * 4 * 1.75e9
V5P_BYTES = 2765e9
SHORT = (
    "optax.adamw", "adampower", "s3, p=1", "s3, p=3", "s3, p=1.2", "stacey(p,2)", "grams",
    "cautious_adam", "torch AdamW, foreach", "torch AdamW, fused",
)  # fmt: skip


@functools.cache
def rows(name: str) -> list[Any]:
    """The kept results of a benchmark."""
    make = {
        "pods": pods.row_of,
        "cpu": lambda x: cpu.Row(**x),
        "growth": lambda x: growth.Row(**x),
        "matrices": lambda x: matrices.Row(**x),
        "drift": lambda x: drift.Row(**x),
        "steady": steady.row_of,
    }
    stored = read_json(RESULTS / f"{name}.json")
    return [make[name](fields) for fields in stored["rows"]]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, len(head) * ["---"], *rows))


def traffic(tree: str) -> str:
    """Memory traffic over the ideal of every method on every target."""
    here = [row for row in rows("pods") if row.tree == tree]
    targets = list(dict.fromkeys(row.target for row in here))
    found = {(row.method, row.target): f"{row.step.traffic:.3f}" for row in here}
    methods = list(dict.fromkeys(row.method for row in here))
    return _table(
        ("optimizer", *targets), [(m, *(found.get((m, t), "") for t in targets)) for m in methods]
    )


def detail() -> str:
    return pods.table([r for r in rows("pods") if (r.target, r.tree) == ("v5e:4x4", "llama-66m")])


def roofline() -> str:
    """What a v5p needs a parameter, for the bytes and for the operations."""
    lines = []
    for row in rows("pods"):
        if row.target.startswith("v5p") and row.tree == "two huge leaves":
            step = row.step
            moved = (step.cost.read + step.cost.written) / step.parameters
            work = step.cost.operations / step.parameters
            times = 1e12 * moved / V5P_BYTES, 1e12 * work / V5P_OPERATIONS
            cells = f"{moved:.0f}", f"{work:.0f}", *(f"{t:.1f}" for t in times)
            lines.append((row.method, *cells, f"{times[1] / times[0]:.0%}"))
    head = ("optimizer", "bytes", "operations", "memory, ps", "arithmetic, ps", "of memory's time")
    return _table(head, lines)


def speed() -> str:
    """Times optax.adamw of every method on every tree and size."""
    timed = rows("cpu")
    cases = list(dict.fromkeys((row.tree, row.size) for row in timed))
    found = {(row.method, row.tree, row.size): f"{row.ratio:.2f}" for row in timed}
    names = dict.fromkeys(row.method for row in timed)
    head = ("optimizer", *(f"{tree}, {size / 1e6:.0f}M" for tree, size in cases))
    return _table(head, [(n, *(found.get((n, *case), "") for case in cases)) for n in names])


def _one_leaf() -> list[cpu.Row]:
    return [r for r in rows("cpu") if (r.tree, r.size) == ("one-leaf", 25_000_000)]


def short() -> str:
    """The page's first: a line a method."""
    compiled = {r.method: r for r in rows("pods") if (r.target, r.tree) == ("v5e:4x4", "llama-66m")}
    timed = {row.method: row for row in _one_leaf()}
    lines = []
    for name in SHORT:
        cells = ["", "", ""]
        if name in METHODS:
            step = compiled[name].step
            state = memory.state_bytes(METHODS[name], "float32 params")
            cells = [f"{step.traffic:.2f}", f"{step.passes:.0f}", f"{state:.3g}"]
        lines.append((name, *cells, f"{timed[name].ratio:.2f}"))
    head = (
        "optimizer", "TPU: memory traffic over the ideal", "passes over a tensor",
        "state, bytes a parameter", "CPU: times optax.adamw",
    )  # fmt: skip
    return _table(head, lines)


BLOCKS = {
    "pods-llama": lambda: traffic("llama-66m"),
    "pods-huge": lambda: traffic("two huge leaves"),
    "pods-pipeline": lambda: traffic(pods.PIPELINE),
    "pods-detail": detail,
    "roofline": roofline,
    "cpu-roofline": lambda: cpu.table(_one_leaf()),
    "cpu": speed,
    "growth": lambda: growth.table(rows("growth")),
    "matrices": lambda: matrices.table(rows("matrices")),
    "memory": memory.table,
    "drift": lambda: drift.table(rows("drift")),
    "steady": lambda: steady.table(rows("steady")),
    "speed": short,
}


def filled(text: str) -> str:
    """A page's text with its tables as the results have them."""
    for name, make in BLOCKS.items():
        marks = re.compile(f"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.S)
        if marks.search(text):
            table = make()
            text = marks.sub(lambda found, t=table: f"{found[1]}\n{t}\n{found[2]}", text)
    return text


def main() -> None:
    for page in PAGES:
        page.write_text(filled(page.read_text()))
    docs = ROOT / "docs"
    of_trees = [row for row in rows("pods") if row.tree in trees.TREES]
    pods.draw(of_trees, docs / "benchmarks-pods.png")
    cpu.draw(_one_leaf(), docs / "benchmarks-cpu.png")
    growth.draw(rows("growth"), docs / "benchmarks-growth.png")
    drift.draw(rows("drift"), docs / "benchmarks-drift.png")


if __name__ == "__main__":
    main()
