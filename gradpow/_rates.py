"""Products of rates that may be numbers or schedules."""

import math

import optax

from ._numerics import is_static


def product(*factors: optax.ScalarOrSchedule) -> optax.ScalarOrSchedule:
    """The product of numbers and schedules: a number if all are, 0 if any is statically 0."""
    if any(is_static(factor) and factor == 0 for factor in factors):
        return 0.0
    constant = math.prod(factor for factor in factors if not callable(factor))
    schedules = [factor for factor in factors if callable(factor)]
    if not schedules:
        return constant
    return lambda count: math.prod((schedule(count) for schedule in schedules), start=constant)
