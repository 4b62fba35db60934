"""Programs to read and to run, from the repository's root: ``python -m examples.compare``."""

import re
import sys
from types import TracebackType


def say_what_is_missing(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """One line for a package that is not installed; all else as Python shows it."""
    if not isinstance(error, ModuleNotFoundError):
        sys.__excepthook__(kind, error, trace)
        return
    program = sys.modules["__main__"]
    said = re.search(r'pip install -e "[^"]+"', program.__doc__ or "")
    command = said[0] if said else 'pip install -e ".[pretrain,examples]"'
    name = program.__spec__.name if program.__spec__ else program.__name__
    name = name.removesuffix(".__main__")
    print(f"{name}: {error.name} is not installed: {command}", file=sys.stderr)


if sys.argv[0] == "-m":  # a program starts, and what it imports comes after this
    sys.excepthook = say_what_is_missing
