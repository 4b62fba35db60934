"""Products of rates that may be numbers or schedules."""

import optax

from ._numerics import is_static

ScalarOrSchedule = optax.ScalarOrSchedule


def product(*factors: ScalarOrSchedule) -> ScalarOrSchedule:
    """The product of numbers and schedules: a number if all are, 0 if any is statically 0."""
    if any(is_static(factor) and factor == 0 for factor in factors):
        return 0.0
    scalars = [factor for factor in factors if not callable(factor)]
    schedules = [factor for factor in factors if callable(factor)]
    result = 1.0
    for scalar in scalars:
        result = result * scalar
    if not schedules:
        return result

    def schedule(count):
        value = result
        for factor in schedules:
            value = value * factor(count)
        return value

    return schedule
