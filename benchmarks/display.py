"""What the benchmarks write, and how a method looks in pictures."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from examples.pretrain import runs
from examples.pretrain.files import make_folder, read_kept, write_checked_json, write_whole
from examples.style import Look
from examples.style import look as look_of

LIBRARIES = r"optax\.(?:contrib\.)?|torch |pytorch-optimizer "


def look(method: str) -> Look:
    """That of the optimizer, whatever its numbers: "s3, p=3" looks as "s3", and is "S3, p=3"."""
    if method == "gradpower(lion)":
        return look_of("gradpower_lion")
    library, name, numbers = re.fullmatch(rf"({LIBRARIES})?(\w+)(.*)", method).groups("")  # pyright: ignore[reportOptionalMemberAccess]
    label, *rest = look_of(name.lower())
    return Look(f"{library.split('.')[0].strip()} {label}{numbers}".lstrip(), *rest)


def save(path: Path, rows: Sequence[Any], table: str) -> None:
    """Rows as path.json, with what they rest on, and their table as path.md."""
    stored = _about() | {"rows": [dataclasses.asdict(row) for row in rows]}
    write_checked_json(path.with_suffix(".json"), stored)
    write_whole(path.with_suffix(".md"), table + "\n")


def kept(path: Path, overwrite: bool) -> list[dict[str, Any]]:
    """The rows of an earlier run with these versions on this machine, which need not be redone."""
    make_folder(path.parent)

    def rows(stored: dict[str, Any]) -> list[dict[str, Any]]:
        return stored["rows"] if _about().items() <= stored.items() else []

    return [] if overwrite else read_kept(path.with_suffix(".json"), rows) or []


def rank(x: str, known: Sequence[str]) -> int:
    """Where a name stands among those known; the others follow them."""
    return known.index(x) if x in known else len(known)


def _about() -> dict[str, Any]:
    return {"versions": runs.versions(), "machine": runs.machine()}
