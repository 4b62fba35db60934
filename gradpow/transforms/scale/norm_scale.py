"""Scaling by the norm: Hazan et al. (2015), Algorithm 1."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Scalar, abs_power, check, guarded_divide, norm

__all__ = ["norm_scale"]


def norm_scale(
    power: Scalar = 1.0,
    eps: Scalar = 0.0,
    over: Literal["tree"] | None = None,
    mean: bool = False,
) -> optax.GradientTransformation:
    r"""Divides the update by a power of its norm; 0 stays 0.

    .. math::
      u \leftarrow u / \max(\|u\|^r,\ \epsilon)

    Stateless. The norm takes a second pass and, where arrays are sharded, one sum over the devices.
    In float32 norms below 1e-19 count as 0, and those above 1e19 are infinite, where the update
    is 0.

    Args:
      power: r, finite and > 0. 1 makes a unit vector, 1/2 is Adam+'s.
      eps: lower bound of the denominator, >= 0.
      over: None for a norm of each tensor, "tree" for one of everything.
      mean: whether the norm is the root of the mean square instead of the sum.

    Raises:
      ValueError: if ``over`` is none of the two.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import norm_scale
      >>> u = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([4.0])}
      >>> for over in (None, "tree"):
      ...   print(norm_scale(over=over).update(u, ())[0])
      {'a': Array([1., 0.], dtype=float32), 'b': Array([1.], dtype=float32)}
      {'a': Array([0.6, 0. ], dtype=float32), 'b': Array([0.8], dtype=float32)}

    References:
      Hazan et al. (2015), Algorithm 1.
    """
    check("finite and > 0", power=power)
    check("finite and >= 0", eps=eps)
    if over not in (None, "tree"):
        raise ValueError(f'over must be None, for each tensor, or "tree", not {over!r}.')

    def scaled(part: Any) -> Any:
        d = jnp.maximum(abs_power(norm(part, mean), power), eps)
        return jax.tree.map(lambda u: guarded_divide(u, d.astype(u.dtype)), part)

    def update(updates, state, params=None):
        del params
        return scaled(updates) if over == "tree" else jax.tree.map(scaled, updates), state

    return optax.GradientTransformation(optax.init_empty_state, update)
