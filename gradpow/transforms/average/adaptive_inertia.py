"""Adaptive inertia: Xie et al. (2022), adai.py."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Scalar, check, guarded_divide, size

__all__ = ["AdaptiveInertiaState", "adaptive_inertia"]


class AdaptiveInertiaState(NamedTuple):
    """State of :func:`adaptive_inertia`, the averages of u, u^2 and 1: m, v and weight."""

    m: optax.Updates
    v: optax.Updates
    weight: optax.Updates


def adaptive_inertia(
    b0: Scalar = 0.1, b2: Scalar = 0.99, eps: Scalar = 1e-3
) -> optax.GradientTransformation:
    r"""Averages the update, with a weight of the past for each coordinate by its second moment.

    .. math::
      v_t &= \beta_2 v_{t-1} + (1 - \beta_2)\, u_t^2, \qquad
      a_t = \min(\max(\beta_0 v_t / \bar v_t,\ \epsilon),\ 1) \\
      m_t &= (1 - a_t)\, m_{t-1} + a_t u_t, \qquad w_t = (1 - a_t)\, w_{t-1} + a_t \\
      u_t &\leftarrow m_t / w_t

    The bar is the mean over all coordinates of all tensors. 1 - a is the paper's beta_1, and w its
    :math:`1 - \prod_s \beta_{1,s}`; so written neither loses digits where beta_1 is near 1. The
    bias corrections of v cancel. A second pass, and where arrays are sharded one sum over the
    devices. Keeps three numbers a coordinate.

    Args:
      b0: beta_0, finite and >= 0; the larger, the less inertia.
      b2: the weight of the past in v, in [0, 1).
      eps: the least share of what comes in, in (0, 1].

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import adaptive_inertia
      >>> tx = adaptive_inertia(b0=0.5, b2=0.0)
      >>> _, state = tx.update(jnp.array([1.0, 1.0]), tx.init(jnp.zeros(2)))
      >>> tx.update(jnp.array([0.0, 2.0]), state)[0].round(3)  # a is 0.001 and 1
      Array([0.998, 2.   ], dtype=float32)

    References:
      Xie et al. (2022), and ``adai.py`` of its authors.
    """
    check("finite and >= 0", b0=b0)
    check("in [0, 1)", b2=b2)
    check("in (0, 1]", eps=eps)

    def init(params):
        return AdaptiveInertiaState(*(optax.tree.zeros_like(params) for _ in range(3)))

    def update(updates, state, params=None):
        del params
        v = optax.tree.update_moment(updates, state.v, b2, 2)
        mean = optax.tree.sum(jax.tree.map(jnp.sum, v)) / size(v)

        def share(v):
            # A square may have left float32, and with it the mean.
            relative = guarded_divide(jnp.minimum(v, jnp.finfo(v.dtype).max), mean)
            return jnp.clip(b0 * relative, eps, 1).astype(v.dtype)

        a = jax.tree.map(share, v)
        m = jax.tree.map(lambda a, m, u: (1 - a) * m + a * u, a, state.m, updates)
        weight = jax.tree.map(lambda a, w: (1 - a) * w + a, a, state.weight)
        return jax.tree.map(guarded_divide, m, weight), AdaptiveInertiaState(m, v, weight)

    return optax.GradientTransformation(init, update)
