"""Sign power: Wang et al. (2025), Section 2, equation (1); Yuan et al. (2019)."""

import jax
import optax

from gradpow.core import Scalar, check, signed_power

__all__ = ["sign_power"]


def sign_power(p: Scalar) -> optax.GradientTransformation:
    r"""Raises every coordinate of the update to a power and keeps its sign.

    .. math::
      u_i \leftarrow \varphi_p(u_i) = \mathrm{sign}(u_i)\,|u_i|^p

    With p > 1 large coordinates gain on small ones, with p < 1 they lose; p = 1 changes nothing.
    The same map is STACEY's steepest-descent direction (exponent 1/(p-1)) and its mirror map. The
    Powerball method is p < 1 before SGD.

    Stateless, elementwise, for leaves of any shape. Zeros, infinities and NaN map to themselves,
    subnormals to 0. In float32 the result is within 1e-6 of the exact power (up to p = 10) where
    that is a normal number; beyond, it overflows to infinity (if p = 1.2, from 1.3e32 on) or
    flushes to 0 (below 2.4e-32). The derivative at 0 is 1 if p = 1 and 0 otherwise, so that
    meta-gradients stay finite.

    Args:
      p: the power, positive and finite; GradPower trains language models with 1.2, and finds that
        the best p falls as the batch grows, below 1 for the largest (Section 3.5). Static values 1,
        2 and 3 are the cheapest; a traced p costs as much as a fixed fractional one.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import sign_power
      >>> tx = sign_power(2)
      >>> tx.update(jnp.array([-3.0, 0.0, 0.5]), tx.init(jnp.zeros(3)))[0]
      Array([-9.  ,  0.  ,  0.25], dtype=float32)

    References:
      Wang et al. (2025), Section 2, equation (1).
    """
    check("finite and > 0", p=p)

    def update(updates, state, params=None):
        del params
        return jax.tree.map(lambda u: signed_power(u, p), updates), state

    return optax.GradientTransformation(optax.init_empty_state, update)
