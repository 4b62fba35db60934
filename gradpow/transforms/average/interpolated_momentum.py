"""Interpolated momentum: Chen et al. (2023), Algorithm 2; Luo et al. (2025), Algorithm 2."""

from typing import NamedTuple

import jax
import optax

from gradpow.core import Scalar, check, is_static

__all__ = ["InterpolatedMomentumState", "interpolated_momentum"]


class InterpolatedMomentumState(NamedTuple):
    """State of :func:`interpolated_momentum`: m, the momentum, shaped as the parameters."""

    m: optax.Updates


def interpolated_momentum(b1: Scalar = 0.9, b2: Scalar = 0.99) -> optax.GradientTransformation:
    r"""Emits one average of the updates and remembers another.

    .. math::
      c_t &= \beta_1 m_{t-1} + (1 - \beta_1)\,u_t \\
      m_t &= \beta_2 m_{t-1} + (1 - \beta_2)\,u_t

    Elementwise, without bias correction, m_0 = 0. Two other papers are special cases: Lion is
    sign(c), and S3's Nesterov momentum is b1 = b**2, b2 = b.

    Args:
      b1: the weight of the past in what is emitted, in [0, 1). Default from STACEY's Tables 5-7.
      b2: the weight of the past in what is kept, in [0, 1). Default from STACEY's Tables 5-7.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import interpolated_momentum
      >>> tx = interpolated_momentum(0.5, 0.75)
      >>> c, state = tx.update(jnp.array([4.0]), tx.init(jnp.zeros(1)))
      >>> c, state.m
      (Array([2.], dtype=float32), Array([1.], dtype=float32))

    References:
      Chen et al. (2023), Algorithm 2; Luo et al. (2025), Algorithm 2, lines 3 and 7.
    """
    check("in [0, 1)", b1=b1, b2=b2)

    def init(params):
        return InterpolatedMomentumState(m=optax.tree.zeros_like(params))

    def update(updates, state, params=None):
        del params
        m = jax.tree.map(lambda m, u: b2 * m + (1 - b2) * u, state.m, updates)
        if is_static(b1) and is_static(b2) and b1 < b2:
            # The same c from the new m: then the old one is not read after the new one is written
            # in its place, and XLA needs no copy of it on CPU. It takes m's weight b1 / b2 <= 1.
            c = jax.tree.map(lambda m, u: b1 / b2 * m + (1 - b1 / b2) * u, m, updates)
        else:
            c = jax.tree.map(lambda m, u: b1 * m + (1 - b1) * u, state.m, updates)
        return c, InterpolatedMomentumState(m)

    return optax.GradientTransformation(init, update)
