"""Nesterov's average with a warm-up: Dozat (2016)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Scalar, check, scalar_dtype

__all__ = ["NesterovEmaState", "nesterov_ema"]


class NesterovEmaState(NamedTuple):
    """State of :func:`nesterov_ema`: m; product, that of the mu up to now; count, the steps."""

    m: optax.Updates
    product: jax.Array
    count: jax.Array


def nesterov_ema(b: Scalar, mu: optax.Schedule) -> optax.GradientTransformation:
    r"""Emits where the average will be with the next step's weight, both parts bias-corrected.

    .. math::
      m_t &= b\, m_{t-1} + (1 - b)\, u_t \\
      u_t &\leftarrow \frac{\mu_{t+1}\, m_t}{1 - \prod_{i \le t+1} \mu_i}
      + \frac{(1 - \mu_t)\, u_t}{1 - \prod_{i \le t} \mu_i}

    With a constant mu = b it is the numerator of :func:`optax.nadam`.

    Args:
      b: the weight of the past, in [0, 1).
      mu: a schedule from the count, which is 0 at the first step, to a number in [0, 1).

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import nesterov_ema
      >>> tx = nesterov_ema(0.5, lambda count: 0.5)
      >>> tx.update(jnp.array([3.0]), tx.init(jnp.zeros(1)))[0]  # 0.5 1.5 / 0.75 + 0.5 3 / 0.5
      Array([4.], dtype=float32)

    References:
      Dozat (2016). That m averages with b and not with mu is PyTorch's and Keras'.
    """
    check("in [0, 1)", b=b)

    def init(params):
        zeros = optax.tree.zeros_like(params)
        return NesterovEmaState(zeros, jnp.ones([], scalar_dtype(params)), jnp.zeros([], jnp.int32))

    def update(updates, state, params=None):
        del params
        count = jnp.asarray(optax.safe_increment(state.count))
        now, later = mu(state.count), mu(count)
        product = jnp.asarray(state.product * now, state.product.dtype)
        m = jax.tree.map(lambda m, u: (b * m + (1 - b) * u).astype(m.dtype), state.m, updates)
        of_m, of_u = later / (1 - product * later), (1 - now) / (1 - product)

        def emit(m, u):
            return jnp.asarray(of_m, u.dtype) * m + jnp.asarray(of_u, u.dtype) * u

        emitted = jax.tree.map(emit, m, updates)
        return emitted, NesterovEmaState(m, product, count)

    return optax.GradientTransformation(init, update)
