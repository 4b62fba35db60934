"""What schedules of methods are made of: the papers' t, and how much of an average is filled."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from gradpow.core.numbers import Scalar

__all__ = ["filled", "step_number", "value_at"]


def step_number(count: ArrayLike) -> jax.Array:
    """t = 1, 2, ... of the papers as a real number, of the count of a schedule, which starts at 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import step_number
      >>> print(step_number(jnp.array(0)))
      1.0
    """
    # Strongly typed: a schedule of the user's in float32 would round the product of both in x64.
    return jnp.asarray(count, jnp.result_type(float)) + 1


def filled(b: Scalar, count: ArrayLike) -> jax.Array:
    """``1 - b^t``, by which bias corrections divide, to the last bits for b near 1.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import filled
      >>> print(filled(0.5, jnp.array(1)))  # 1 - 0.5^2
      0.75
    """
    t = step_number(count)
    # 0.999^1 in float32, subtracted from 1, would err by 3e-5.
    return -jnp.expm1(t * jnp.log(jnp.asarray(b, t.dtype)))


def value_at(value: optax.ScalarOrSchedule | None, count: ArrayLike) -> Any:
    """What a number or a schedule is at a count, which is 0 at the first step; None is None.

    Examples:
      >>> from gradpow.core import value_at
      >>> value_at(0.5, 3), value_at(lambda count: 2 * count, 3)
      (0.5, 6)
    """
    return value(count) if callable(value) else value
