"""How much of a gradient is noise, from exponential averages of it and of its square."""

from typing import Any

import jax
import jax.numpy as jnp

from gradpow.core.numbers import Scalar
from gradpow.core.trees import scalar_dtype

__all__ = ["variance_and_signal"]


def variance_and_signal(
    average_squared: Any, square: Any, b: Scalar, count: jax.typing.ArrayLike
) -> tuple[jax.Array, jax.Array]:
    """Var g and (E g)^2, from the square of g's average and the average of g^2, both debiased.

    After t gradients the average with decay b has variance c Var g, with c the sum of its weights'
    squares, (1 - b)(1 + b^t) / ((1 + b)(1 - b^t)); hence E[average^2] = (E g)^2 + c Var g, while
    E[g^2] = (E g)^2 + Var g. Both are 0 where c is 1 and nothing is known: before the second
    gradient, and where b is 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import variance_and_signal
      >>> variance, signal = variance_and_signal(jnp.float32(4.0), jnp.float32(5.0), 0.5, 100)
      >>> f"{variance:.1f} {signal:.1f}"  # c is 1/3
      '1.5 3.5'
    """
    t = jnp.asarray(count, scalar_dtype((average_squared, square)))
    past = b ** jnp.maximum(t, 2)
    free = 1 - (1 - b) * (1 + past) / ((1 + b) * (1 - past))
    known = (t > 1) & (free > 0)
    # Wherever it is not known yet, no operation makes NaN on the way.
    variance = jnp.maximum(square - average_squared, 0) / jnp.where(known, free, 1)
    signal = jnp.maximum(square - variance, 0)
    return jnp.where(known, variance, 0), jnp.where(known, signal, 0)
