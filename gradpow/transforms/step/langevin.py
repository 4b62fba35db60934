"""Langevin noise: Welling and Teh (2011), Equation 4."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Scalar, check, check_rate, value_at

__all__ = ["LangevinState", "langevin"]


class LangevinState(NamedTuple):
    """State of :func:`langevin`: key, of the next step's noise; count, the steps taken."""

    key: jax.Array
    count: jax.typing.ArrayLike


def langevin(
    learning_rate: optax.ScalarOrSchedule, temperature: Scalar, key: jax.Array | int
) -> optax.GradientTransformation:
    r"""Steps downhill with noise, so that parameters are samples in the end.

    .. math::
      u_t \leftarrow -\eta_t u_t + \sqrt{2 \eta_t T}\, z_t, \qquad z_t \sim N(0, I)

    Their density is exp(-f / T) for small rates. Stands last in a chain, with the rate inside.
    Numbers are drawn in float32, so that they are the same in every type.

    Args:
      learning_rate: a number or a schedule.
      temperature: T, finite and >= 0; 0 is SGD.
      key: a key of :func:`jax.random.key`, an old one, or a seed.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import langevin
      >>> tx = langevin(0.5, temperature=0.0, key=0)
      >>> tx.update(jnp.array([2.0]), tx.init(jnp.zeros(1)))[0]
      Array([-1.], dtype=float32)

    References:
      Welling and Teh (2011), Equation 4.
    """
    check_rate(learning_rate=learning_rate)
    check("finite and >= 0", temperature=temperature)

    def init(params):
        del params
        # The numbers of a key, a copy of them, which every checkpoint can store.
        first = jax.random.PRNGKey(key) if isinstance(key, int) else key
        typed = jnp.issubdtype(first.dtype, jax.dtypes.prng_key)
        numbers = jax.random.key_data(first) if typed else first
        return LangevinState(jnp.array(numbers), jnp.zeros([], jnp.int32))

    def update(updates, state, params=None):
        del params
        next_key, now = jax.random.split(state.key)
        rate = jnp.asarray(value_at(learning_rate, state.count))
        noise = jnp.sqrt(2 * rate * temperature)
        leaves, structure = jax.tree.flatten(updates)
        keys = jax.random.split(now, len(leaves)) if leaves else []

        def step(u, key):
            z = jax.random.normal(key, u.shape, jnp.float32).astype(u.dtype)
            return noise.astype(u.dtype) * z - rate.astype(u.dtype) * u

        steps = structure.unflatten(map(step, leaves, keys))
        return steps, LangevinState(next_key, optax.safe_increment(state.count))

    return optax.GradientTransformation(init, update)
