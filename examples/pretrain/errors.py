"""What the user can mend, shown as one line without a traceback."""

import contextlib
import io
import logging
import sys
from collections.abc import Iterator


class UserError(Exception):
    """A message that says what is wrong and what to do."""


def one_line(error: Exception) -> str:
    """What another library says is wrong, for a message of one line."""
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def shown_in_one_line(program: str) -> Iterator[None]:
    """Ends the program with status 2 and one line at a `UserError` or a refusal of the system."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show, it shows as \\u...
            stream.reconfigure(errors="backslashreplace")
    # Orbax tells of every file that it writes, and where one is damaged, of each part that it
    # gives up; what is wrong with a checkpoint comes as a UserError.
    for library in ("absl", "asyncio"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    hook = sys.unraisablehook

    def without_closed_loops(unraisable):
        if "Event loop is closed" not in str(unraisable.exc_value):
            hook(unraisable)

    sys.unraisablehook = without_closed_loops
    try:
        yield
    except (UserError, OSError, MemoryError) as error:
        print(f"{program}: {one_line(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{program}: stopped", file=sys.stderr)
        sys.exit(130)
