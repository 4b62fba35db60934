"""The documents of a corpus on this machine, and which of them are for validation.

The default is text that every machine with Python has: the sources and documentation of its
standard library. It differs between Python versions, as its hash shows.
"""

import dataclasses
import functools
import glob
import gzip
import hashlib
import json
import math
import platform
import sysconfig
import zlib
from collections.abc import Iterator
from pathlib import Path

from .errors import UserError, one_line
from .hub import text_of

# Tests and encodings' tables are hardly text; idlelib and lib2to3 are not installed everywhere.
EXCLUDED = {
    "test", "tests", "idlelib", "lib2to3", "encodings", "site-packages", "dist-packages",
    "__pycache__",
}  # fmt: skip
VALIDATION = 20  # one in so many documents
JSON_LINES = (".jsonl", ".json", ".ndjson", ".jsonlines")


@dataclasses.dataclass(frozen=True)
class Corpus:
    train: list[str]
    validation: list[str]
    about: str

    @functools.cached_property
    def hash(self) -> str:
        return _sha256([*self.train, "", *self.validation])


def load_corpus(spec: str, text_field: str) -> Corpus:
    """From "stdlib", text or JSONL files by glob, or "hf:" and the folder of a saved dataset."""
    if spec == "stdlib":
        documents = list(_stdlib())
        if not documents:
            root = sysconfig.get_path("stdlib")
            raise UserError(f"the sources of the standard library are not in {root}: give --data")
        return _split(documents, f"standard library of Python {platform.python_version()}")
    if spec.startswith("hf:"):
        return _saved_dataset(Path(spec.removeprefix("hf:")), text_field)
    documents = [document for path in _paths(spec) for document in _read(path, text_field)]
    return _split(documents, spec)


def _split(documents: list[tuple[str, str]], about: str) -> Corpus:
    """Named documents, a twentieth of them for validation: those whose names hash lowest.

    Where they are few, it is the end of each, from the start of a line if one is near.
    """
    documents = [(name, text) for name, text in documents if text]
    if not documents:
        raise UserError(f"{about} holds no text")
    if len(documents) < VALIDATION:
        about += f", the last {100 // VALIDATION}% of each document for validation"
        parts = [_cut(text) for _, text in documents]
        train, validation = ([part for part in side if part] for side in zip(*parts, strict=True))
    else:
        # By place, since files of different folders can have the same name.
        ranked = sorted(range(len(documents)), key=lambda i: _sha256([documents[i][0]]))
        chosen = set(ranked[: math.ceil(len(documents) / VALIDATION)])
        train = [text for i, (_, text) in enumerate(documents) if i not in chosen]
        validation = [text for i, (_, text) in enumerate(documents) if i in chosen]
        about += _counted(train, validation)
    return Corpus(train, validation, about)


def _counted(train: list[str], validation: list[str]) -> str:
    return f", {len(train):,} documents for training, {len(validation):,} for validation"


def _cut(text: str) -> tuple[str, str]:
    length = len(text) // VALIDATION
    place = len(text) - length
    place = text.rfind("\n", place - length, place) + 1 or place
    return text[:place], text[place:]


def _sha256(texts: list[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        content = text.encode(errors="surrogatepass")
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


def _stdlib() -> Iterator[tuple[str, str]]:
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if path.suffix in (".py", ".txt") and not EXCLUDED.intersection(name.parts):
            try:
                yield name.as_posix(), path.read_text("utf-8")
            except (UnicodeDecodeError, OSError):
                continue  # two modules of some versions are in other encodings


def _paths(spec: str) -> list[Path]:
    """Each once, whatever patterns it matches: twice, it could be on both sides of the split."""
    paths = []
    for pattern in spec.split(","):
        if Path(pattern).is_file():  # whose name may hold glob's brackets
            found = [Path(pattern)]
        else:
            found = sorted(p for p in map(Path, glob.glob(pattern, recursive=True)) if p.is_file())
        if not found:
            folder = Path(pattern)
            hint = f", only a folder: give {folder}/*.txt" if folder.is_dir() else ""
            raise UserError(f"--data {pattern}: there is no such file{hint}")
        paths += found
    return list(dict.fromkeys(paths))


def _read(path: Path, text_field: str) -> Iterator[tuple[str, str]]:
    """The documents of a file and their names: each line's of JSONL, else the file's one."""
    name = path.name.lower()
    try:
        content = path.read_bytes()
        if name.endswith(".gz"):
            content = gzip.decompress(content)
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: byte {error.start:,} is not") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"cannot read {path}: {error}") from None
    if not name.removesuffix(".gz").endswith(JSON_LINES):
        yield path.name, text
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{path}, line {number}: not JSON ({error})") from None
            found = text_of(record, text_field, f"{path}, line {number}")
            # JSON can escape one half of a surrogate pair, which is no text in UTF-8.
            yield f"{path.name}:{number}", found.encode(errors="replace").decode()


def _saved_dataset(folder: Path, text_field: str) -> Corpus:
    import datasets

    try:
        loaded = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        reason = one_line(error)
        raise UserError(f"--data hf:{folder} is not what save_to_disk wrote: {reason}") from None
    splits = dict(loaded) if isinstance(loaded, dict) else {"train": loaded}
    if "train" not in splits:
        there = ", ".join(map(str, splits))
        raise UserError(f"--data hf:{folder} has no split train, only {there}")
    documents = {
        split: [
            (f"{split}:{index}", text_of(record, text_field, f"record {index} of {folder}"))
            for index, record in enumerate(splits[split])
        ]
        for split in ("train", "validation")
        if split in splits
    }
    if "validation" not in documents:
        return _split(documents["train"], str(folder))
    train, validation = ([text for _, text in documents[s]] for s in ("train", "validation"))
    return Corpus(train, validation, f"{folder}{_counted(train, validation)}")
