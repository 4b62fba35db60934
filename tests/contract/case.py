"""A case: what the contract needs to know of a link, a wrapper or a method. Each twin has one."""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import optax

import gradpow
from gradpow.core import RANGES, Range, numbers


@dataclass(frozen=True)
class Case:
    """What stands in a twin as CASE.

    factory: of the link, wrapper or method. A function of the twin in its place has annotations.
    numbers: valid values of all its numbers, chosen so that each has an effect.
    other: its other arguments.
    largest: of gradients, where the exact result itself leaves a type beyond it.
    traced: how far updates with traced numbers may be from those with static ones. optax's own
        Adam differs by 2.6e-5: 1 - b is rounded before or after the subtraction.
    sharded: how far a sharded step may be from the unsharded one, if by more than last bits.
    at_init: numbers that act when a state is made, and not when they are changed in it.
    by_rows: whether it sums rows or columns, and so exchanges a number of each.
    second: whether it takes a second gradient: optax.MultiSteps is refused, and a point is kept.
    arguments: from updates and parameters to what else its update needs.
    """

    factory: Callable[..., optax.GradientTransformation]
    numbers: Mapping[str, float] = field(default_factory=dict)
    other: Mapping[str, Any] = field(default_factory=dict)
    largest: float = float("inf")
    traced: float = 1e-4
    sharded: float | None = None
    at_init: tuple[str, ...] = ()
    by_rows: bool = False
    second: bool = False
    arguments: Callable[[Any, Any], dict[str, Any]] | None = None

    def make(self, **changes: Any) -> optax.GradientTransformation:
        return self._handed(self.factory(**{**self.numbers, **self.other, **changes}))

    def in_chain(self, **changes: Any) -> optax.GradientTransformationExtraArgs:
        """Inside a gradpow chain, where links get their `grad`."""
        return gradpow.chain(self.make(**changes))

    @functools.cached_property
    def is_of_the_package(self) -> bool:
        return self.factory.__module__.startswith("gradpow.")

    @functools.cached_property
    def rates(self) -> tuple[str, ...]:
        """The numbers that may be schedules, as their annotations say."""
        return tuple(name for name in self.numbers if "Callable" in self._annotation(name))

    @functools.cached_property
    def optional(self) -> tuple[str, ...]:
        """The numbers that may be None, as their annotations say."""
        return tuple(name for name in self.numbers if "None" in self._annotation(name))

    @functools.cached_property
    def static(self) -> tuple[str, ...]:
        """The arguments that are no numbers, which optax.inject_hyperparams must not touch."""
        return tuple(k for k in inspect.signature(self.factory).parameters if k not in self.numbers)

    @functools.cached_property
    def ranges(self) -> dict[str, Range]:
        """The range of each number that is checked when the factory is called."""
        found: dict[str, Range] = {}
        check = numbers._check

        def seen(rule: str, allowed: Range, name: str, value: Any) -> None:
            if value is self.numbers.get(name):  # not a link's argument of the same name
                found.setdefault(name, allowed)
            check(rule, allowed, name, value)

        with mock.patch.object(numbers, "_check", seen):
            self.make()
        return found

    @functools.cached_property
    def sums(self) -> str:
        """What is summed over in a step of its chain: "nothing", "a tensor" or "the tree"."""
        from tests.contract.measured import sums  # which reads all twins, and they this

        with jax.enable_x64(False):
            return sums(self.in_chain())

    def injected(self, **changes: Any) -> optax.GradientTransformationExtraArgs:
        """With all its numbers in the state of optax.inject_hyperparams."""
        factory = optax.inject_hyperparams(self.factory, self.static, hyperparam_dtype=jnp.float32)
        return self._handed(factory(**{**self.numbers, **self.other, **changes}))

    def _handed(self, tx: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
        """With its arguments, which the contract's loops do not know."""
        tx, arguments = optax.with_extra_args_support(tx), self.arguments
        if arguments is None:
            return tx

        def update(updates, state, params=None, **extra_args):
            given = extra_args | arguments(updates, params)
            return tx.update(updates, state, params, **given)

        return optax.GradientTransformationExtraArgs(tx.init, update)

    def _annotation(self, name: str) -> str:
        annotation = typing.get_type_hints(self.factory).get(name)
        if annotation is None:
            raise TypeError(f"{self.factory} does not say by an annotation what {name} may be")
        return str(annotation)


def second_gradient(updates: Any, params: Any) -> dict[str, Any]:
    """The gradient of a parabola that has this one here, and is not as steep in all directions.

    Or a gradient uphill would be parallel to it, and LookSAM's difference of both be rounding.
    """
    here = updates if params is None else params

    def grad_fn(theta: Any) -> Any:
        def moved(g: Any, x: Any, y: Any) -> Any:
            return (g + (0.5 + 0.25 * jnp.cos(3 * x)) * (y - x)).astype(g.dtype)

        return jax.tree.map(moved, updates, here, theta)

    return {"grad_fn": grad_fn}


def reference_gradients(updates: Any, params: Any) -> dict[str, Any]:
    """What providers hand to links."""
    del params
    return {
        "reference_grad": jax.tree.map(lambda g: g / 2, updates),
        "reference_mean": jax.tree.map(lambda g: g / 4, updates),
    }


def at_index(updates: Any, params: Any) -> dict[str, Any]:
    """Which of its batches a table is at."""
    del updates, params
    return {"index": 1}


def words(allowed: Range) -> str:
    """How docstrings and messages say a range."""
    return next(text for text, known in RANGES.items() if known is allowed)
