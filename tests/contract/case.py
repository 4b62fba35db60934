"""A case: what the contract needs to know of a link, a wrapper or a method. Each twin has one."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import optax

import gradpow
from gradpow.core import Range, numbers


@dataclass(frozen=True)
class Case:
    """What stands in a twin as CASE.

    factory: of the link, wrapper or method; a function of numbers alone where that takes more.
    numbers: valid values of all its numbers, chosen so that each has an effect.
    other: its other arguments.
    largest: of gradients, where the exact result itself leaves a type beyond it.
    optional: the numbers that may be None.
    """

    factory: Callable[..., optax.GradientTransformation]
    numbers: Mapping[str, float] = field(default_factory=dict)
    other: Mapping[str, Any] = field(default_factory=dict)
    largest: float = float("inf")

    def make(self, **changes: Any) -> optax.GradientTransformation:
        return self.factory(**{**self.numbers, **self.other, **changes})

    def in_chain(self, **changes: Any) -> optax.GradientTransformationExtraArgs:
        """Inside a gradpow chain, where links get their `grad`."""
        return gradpow.chain(self.make(**changes))

    @functools.cached_property
    def rates(self) -> tuple[str, ...]:
        """The numbers that may be schedules: those checked as rates, or not checked at all."""
        return tuple(name for name in self.numbers if _takes_schedules(self.factory, name))

    @functools.cached_property
    def ranges(self) -> dict[str, tuple[str, Range]]:
        """The range of each number that is checked when the factory is called, and its words."""
        return checked_in(self.make)


def checked_in(make: Callable[[], Any]) -> dict[str, tuple[str, Range]]:
    """What `gradpow.core.check` is asked while something is made: ranges by argument."""
    found: dict[str, tuple[str, Range]] = {}
    check = numbers._check

    def seen(rule: str, allowed: Range, name: str, value: Any) -> None:
        found.setdefault(name, (rule, allowed))
        check(rule, allowed, name, value)

    with mock.patch.object(numbers, "_check", seen):
        make()
    return found


def _takes_schedules(factory: Callable[..., Any], name: str) -> bool:
    annotation = inspect.signature(factory).parameters[name].annotation
    return "Callable" in str(annotation)  # as in optax.ScalarOrSchedule
