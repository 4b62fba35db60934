"""Where compiled programs and tokenised text are kept, for all runs of a user."""

import atexit
import contextlib
import os
from pathlib import Path

import jax

from .errors import UserError
from .files import digest, say_made_anew, write_whole


def folder(given: Path | None) -> Path:
    """The one given, else gradpow in $XDG_CACHE_HOME or in ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if given is not None or os.path.isabs(base):
        return given or Path(base) / "gradpow"
    try:
        return Path.home() / ".cache" / "gradpow"
    except RuntimeError:
        raise UserError("there is no home folder to keep a cache in: give --cache") from None


def keep_compiled(given: Path | None) -> None:
    """Has JAX keep compiled programs, after a look at those that are there.

    JAX never writes over an entry, whatever it holds, and with some compressions takes a damaged
    program for a good one. So each entry gets its checksum beside it, and one without, as a killed
    process leaves it, is not trusted either: what is deleted is compiled anew.
    """
    programs = folder(given) / "compiled"
    for entry in programs.glob("*-cache"):
        with contextlib.suppress(OSError):  # another process deletes it, or another user owns it
            noted = _checksum(entry).exists()
            if noted and _checksum(entry).read_text() == digest(entry):
                continue
            if noted:
                say_made_anew(entry)
            entry.unlink()
            _checksum(entry).unlink(missing_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(programs))
    atexit.register(note_compiled)


def note_compiled() -> None:
    """Writes the checksums of what has been compiled since."""
    programs = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    for entry in Path(programs).glob("*-cache") if programs else ():
        with contextlib.suppress(OSError):
            if not _checksum(entry).exists():
                write_whole(_checksum(entry), digest(entry))


def _checksum(entry: Path) -> Path:
    return entry.with_name(f"{entry.name}.sha256")
