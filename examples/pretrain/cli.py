"""Command lines through tyro, whose complaint, a box of several lines, becomes one line."""

import contextlib
import dataclasses
import difflib
import io
import itertools
import math
import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import tyro

from .errors import UserError, shown_in_one_line

T = TypeVar("T")


def run(options: type[T], script: Callable[[T], str], arguments: list[str] | None) -> None:
    """Prints what a script, named as its function, says of its options."""
    with shown_in_one_line(script.__name__):
        print(script(parse(options, f"examples.pretrain.{script.__name__}", arguments)))


def parse(
    options: type[T],
    module: str,
    arguments: list[str] | None,
    default: Any = None,
    others: list[str] | None = None,
    add_help: bool = True,
) -> T:
    """The options of ``python -m module``; raises `UserError` for what they do not allow.

    With a list for `others`, options that are not these are not refused but added to it; without
    `add_help`, --help is one of them.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    defaults = {} if default is None else {"default": default}
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            prog = f"python -m {module}"
            if others is None:
                return tyro.cli(options, args=arguments, prog=prog, **defaults)
            found, unknown = tyro.cli(
                options,
                args=arguments,
                prog=prog,
                return_unknown_args=True,
                add_help=add_help,
                **defaults,
            )
            others += unknown
            return found
    except SystemExit as end:
        if not end.code:  # --help
            raise
        message = _inside(complaint.getvalue())
    raise UserError(f"{message.rstrip('.')}; {_hint(message, arguments, default or options)}")


def require_at_least(least: int, **given: float | tuple[float, ...]) -> None:
    """Raises `UserError` for the first option with a smaller number, or with none."""
    for key, numbers in given.items():
        numbers = numbers if isinstance(numbers, tuple) else (numbers,)
        if not numbers or not all(least <= x < math.inf for x in numbers):
            raise UserError(f"--{key.replace('_', '-')} must be at least {least}")


def _inside(box: str) -> str:
    """What tyro says is wrong: without its frame, its title and its help."""
    lines = [re.sub(r"[│╭╮╰╯─]|-{3,}", "", line).strip() for line in box.splitlines()]
    _title, *lines = [line for line in lines if line]
    helps = ("Got errors", "Perhaps you meant", "Argument helptext", "For full helptext")
    return " ".join(itertools.takewhile(lambda line: not line.startswith(helps), lines))


def _hint(message: str, arguments: list[str], options: Any) -> str:
    flags = ["--" + flag.replace("_", "-") for flag in _flags(options)]
    given = [argument.split("=")[0] for argument in arguments if argument.startswith("--")]
    unknown = next((flag for flag in given if flag in message and flag not in flags), "")
    group, dot, _ = unknown.partition(".")
    if dot:
        return "there are " + ", ".join(flag for flag in flags if flag.startswith(group + "."))
    near = difflib.get_close_matches(unknown, flags, 1)
    return f"did you mean {near[0]}?" if near else "--help lists all options"


def _flags(options: Any) -> list[str]:
    """The names of a dataclass's options, those in a group with the group's name and a dot."""
    flags = []
    for field in dataclasses.fields(options):
        value = getattr(options, field.name, None)
        if dataclasses.is_dataclass(value):
            value = {inner.name: None for inner in dataclasses.fields(value)}
        flags += (
            [f"{field.name}.{key}" for key in value] if isinstance(value, dict) else [field.name]
        )
    return flags
