"""Files that are made once and read later: written whole or not at all, and known when read.

A killed process leaves the old file. What a disk has damaged since is found by its checksum, and is
made anew where it can be.
"""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import secrets
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .errors import UserError

T = TypeVar("T")
CHECKSUM = "crc32"  # its key in a JSON object, of all else in it


class Damaged(UserError):
    """A file that is not what was written."""


def make_folder(path: Path) -> None:
    """Raises `UserError` where nothing can be written; long work asks before, not after."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise UserError(f"cannot write to {path}: {error.strerror}") from None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Raises `BlockingIOError` while another process has the lock, which ends with it."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass  # a disk that has no locks, as some that hosts share
        yield


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place at the end, with the umask's mode."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # some libraries' writers leave a file to its owner alone
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # else a machine that fails may leave the new name to zeros
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    with writing(path) as temporary:
        temporary.write_text(text, "utf-8")


def write_json(path: Path, content: Any) -> None:
    write_whole(path, json.dumps(content, indent=1) + "\n")


def write_checked_json(path: Path, content: dict[str, Any]) -> None:
    """With a checksum, which `read_json` compares."""
    write_json(path, content | {CHECKSUM: _crc32(content)})


def read_json(path: Path) -> Any:
    """Raises `Damaged` for no JSON and for a wrong checksum; a file without one is taken as is."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        raise Damaged(f"{path} is damaged: it is no JSON") from None
    wanted = content.pop(CHECKSUM, None) if isinstance(content, dict) else None
    if wanted is not None and wanted != _crc32(content):
        raise Damaged(
            f"{path} is damaged: its checksum differs; if it was changed on purpose, delete its "
            f"{CHECKSUM}"
        )
    return content


def read_kept(path: Path, make: Callable[[Any], T]) -> T | None:
    """What `make` makes of a JSON file; None where there is none, or a damaged one: it says so."""
    try:
        return make(read_json(path))
    except FileNotFoundError:
        return None
    except (Damaged, KeyError, TypeError, ValueError, AttributeError):
        say_made_anew(path)
        return None


def write_array(path: Path, array: np.ndarray) -> None:
    """As numpy does, and four bytes more: the checksum of all before them."""
    header = io.BytesIO()
    described = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(header, described)
    with writing(path) as temporary, temporary.open("wb") as file:
        file.write(header.getvalue())
        file.write(array.data)
        file.write(zlib.crc32(array.data, zlib.crc32(header.getvalue())).to_bytes(4, "little"))


def read_array(path: Path) -> np.ndarray | None:
    """What `write_array` wrote, left on the disk; None where there is none or it is damaged."""
    try:
        content = np.memmap(path, np.uint8, "r")
    except FileNotFoundError:
        return None
    except (OSError, ValueError):  # of another user alone; empty
        content = np.zeros(0, np.uint8)
    checksum = zlib.crc32(content.data[:-4]).to_bytes(4, "little")
    if content[:6].tobytes() != b"\x93NUMPY" or content[-4:].tobytes() != checksum:
        say_made_anew(path)
        return None
    return np.load(path, mmap_mode="r")


def say_made_anew(path: Path) -> None:
    print(f"{path} is damaged: it is made anew", file=sys.stderr, flush=True)


def digest(path: Path) -> str:
    """Of a file's content, by SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _crc32(content: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(content).encode())  # which keeps the order of keys
