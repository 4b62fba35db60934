"""Hyper-parameters: what a number may be, and one check that every factory shares."""

import itertools
import math
from typing import Any, NamedTuple, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "RANGES",
    "Range",
    "Scalar",
    "check",
    "check_arrays",
    "check_choice",
    "check_count",
    "check_optional_rate",
    "check_order",
    "check_rate",
    "is_static",
    "product",
]

Scalar = float | jax.Array
"""A number, fixed or traced."""


def is_static(value: Any) -> TypeGuard[float]:
    """Whether ``value`` is a Python number, known before tracing and never swept by vmap.

    Examples:
      >>> from gradpow.core import is_static
      >>> is_static(0.5), is_static(jnp.float32(0.5))
      (True, False)
    """
    return isinstance(value, int | float)


class Range(NamedTuple):
    """An interval of numbers: its ends, whether they belong to it, and what to do outside of it."""

    low: float
    high: float
    with_low: bool
    with_high: bool
    remedy: str

    def holds(self, x: Any) -> Any:
        """Whether x lies in it, elementwise for arrays; NaN, which satisfies no comparison, not."""
        above = x >= self.low if self.with_low else x > self.low
        below = x <= self.high if self.with_high else x < self.high
        return above & below


def _from(low: float, high: float, remedy: str, ends: str = "[)") -> Range:
    return Range(low, high, ends[0] == "[", ends[1] == "]", remedy)


RANGES: dict[str, Range] = {
    "finite": _from(-math.inf, math.inf, "pass a finite number", "()"),
    "finite and > 0": _from(0, math.inf, "pass a positive number", "()"),
    "finite and >= 0": _from(0, math.inf, "pass 0 to switch it off"),
    "finite and >= 1": _from(1, math.inf, "pass a count"),
    "in [0, 1)": _from(0, 1, "the usual averages lie between 0.9 and 0.999"),
    "in [0, 1]": _from(0, 1, "pass the fraction to keep", "[]"),
    "in (0, 1]": _from(0, 1, "pass a small positive number such as 0.001", "(]"),
    "in (1, inf]": _from(1, math.inf, "2 is the Euclidean norm, jnp.inf the largest entry", "(]"),
    "in [1, 100]": _from(1, 100, "the papers use 1 to 3", "[]"),
    "in [2, inf)": _from(2, math.inf, "2 is the Euclidean step"),
    "in [2, inf]": _from(2, math.inf, "2 is the Euclidean step, jnp.inf the sign step", "[]"),
}
"""The ranges that :func:`check` knows, by the words in which docstrings and messages say them."""


def check(rule: str, **arguments: Any) -> None:
    """Raises unless every argument is a scalar in a range; tracers are trusted.

    Args:
      rule: one of :data:`gradpow.core.RANGES`.
      **arguments: the numbers, by the names that the user knows them by.

    Raises:
      ValueError: with name, value, range and remedy, if one lies outside or is no scalar.
      TypeError: if one is no number.

    Examples:
      >>> from gradpow.core import check
      >>> check("in [0, 1)", b1=0.9, b2=0.999)
      >>> check("in [0, 1)", b1=1.5)
      Traceback (most recent call last):
        ...
      ValueError: b1 must be in [0, 1), not 1.5: the usual averages lie between 0.9 and 0.999.
    """
    for name, value in arguments.items():
        _check(rule, RANGES[rule], name, value)


def _check(rule: str, allowed: Range, name: str, value: Any) -> None:
    if callable(value):
        raise TypeError(
            f"{name} must be a number {rule}, not the callable {value!r}: to schedule it, wrap "
            "the factory in optax.inject_hyperparams(..., hyperparam_dtype=jnp.float32)."
        )
    is_bool = isinstance(value, bool)  # which Python counts among the integers
    if is_bool or not isinstance(value, int | float | np.number | np.ndarray | jax.Array):
        raise TypeError(f"{name} must be a number {rule}, not {value!r}: {allowed.remedy}.")
    if jnp.ndim(value):
        raise ValueError(
            f"{name} must be a scalar {rule}, not an array of shape {jnp.shape(value)}: use "
            "jax.vmap over the whole update to sweep it."
        )
    if not isinstance(value, Tracer) and not allowed.holds(value):
        raise ValueError(f"{name} must be {rule}, not {value!r}: {allowed.remedy}.")


def check_rate(**arguments: Any) -> None:
    """Checks rates, which may also be schedules.

    Examples:
      >>> from gradpow.core import check_rate
      >>> check_rate(learning_rate=lambda count: 1e-3, weight_decay=0.1)
    """
    check("finite and >= 0", **{k: v for k, v in arguments.items() if not callable(v)})


def check_optional_rate(**arguments: Any) -> None:
    """As :func:`check_rate`, for rates that may also be None, where nothing is wanted.

    Examples:
      >>> from gradpow.core import check_optional_rate
      >>> check_optional_rate(weight_decay=None)
    """
    check_rate(**{k: v for k, v in arguments.items() if v is not None})


def check_order(**arguments: Any) -> None:
    """Raises unless the arguments rise in the order given; tracers are trusted.

    Examples:
      >>> from gradpow.core import check_order
      >>> check_order(low=2, high=1)
      Traceback (most recent call last):
        ...
      ValueError: low <= high must hold, not low = 2, high = 1.
    """
    values = list(arguments.values())
    if any(isinstance(value, Tracer) for value in values):
        return
    if any(a > b for a, b in itertools.pairwise(values)):
        said = ", ".join(f"{name} = {value!r}" for name, value in arguments.items())
        raise ValueError(f"{' <= '.join(arguments)} must hold, not {said}.")


def check_count(**arguments: Any) -> None:
    """Raises unless every argument is a whole number of at least 1, known before tracing.

    Examples:
      >>> from gradpow.core import check_count
      >>> check_count(every=10)
    """
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} must be a whole number >= 1, not {value!r}.")


def check_choice(choices: tuple[str, ...], **arguments: str) -> None:
    """Raises unless every argument is one of the choices.

    Examples:
      >>> from gradpow.core import check_choice
      >>> check_choice(("paper", "torch"), form="optax")
      Traceback (most recent call last):
        ...
      ValueError: form must be "paper" or "torch", not 'optax': see the argument form.
    """
    for name, value in arguments.items():
        if value not in choices:
            known = " or ".join(f'"{choice}"' for choice in choices)
            raise ValueError(f"{name} must be {known}, not {value!r}: see the argument {name}.")


def check_arrays(rule: str, **arguments: ArrayLike) -> list[NDArray[np.float64]]:
    """The arguments as float64 arrays, or a ValueError that names the first number outside.

    Examples:
      >>> from gradpow.core import check_arrays
      >>> check_arrays("finite and > 0", sigma=[1.0, 2.0])
      [array([1., 2.])]
    """
    arrays = {name: np.asarray(value, dtype=np.float64) for name, value in arguments.items()}
    for name, x in arrays.items():
        holds = RANGES[rule].holds(x)
        if not np.all(holds):
            raise ValueError(f"{name} must be {rule}, not {x[~holds][0]:g}: {RANGES[rule].remedy}.")
    return list(arrays.values())


def product(*factors: optax.ScalarOrSchedule | None) -> Any:
    """A product of rates: a number if all are, else a schedule; None if one is None.

    Examples:
      >>> from gradpow.core import product
      >>> product(0.5, 0.5), product(lambda count: 0.5, -3)(0), product(0.5, None)
      (0.25, -1.5, None)
    """
    given = [factor for factor in factors if factor is not None]
    if len(given) < len(factors):
        return None
    if not any(callable(factor) for factor in given):
        return math.prod(factor for factor in given if not callable(factor))
    rates = [factor if callable(factor) else optax.constant_schedule(factor) for factor in given]
    return lambda count: math.prod(rate(count) for rate in rates)
