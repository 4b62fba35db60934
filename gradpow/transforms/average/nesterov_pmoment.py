"""Nesterov momentum of p-th order: Peng et al. (2025), Algorithm 1, lines 4 and 6."""

from typing import NamedTuple

import jax
import optax

from gradpow.core import Scalar, check, power_mean

__all__ = ["NesterovPmomentState", "nesterov_pmoment"]


class NesterovPmomentState(NamedTuple):
    """State of :func:`nesterov_pmoment`: s = phi_{1/p} of the moment, shaped as the parameters."""

    s: optax.Updates


def nesterov_pmoment(b: Scalar, p: Scalar = 1) -> optax.GradientTransformation:
    r"""Emits the signed p-th moment of the updates, one Nesterov step ahead.

    .. math::
      s_t &= \beta s_{t-1} + (1 - \beta)\,\varphi_p(u_t) \\
      n_t &= \varphi_{1/p}\bigl(\beta s_t + (1 - \beta)\,\varphi_p(u_t)\bigr),
      \qquad \varphi_p(x) = \mathrm{sign}(x)|x|^p

    Elementwise, without bias correction, s_0 = 0. With p = 1, the default, this is S3's momentum
    m_t and its look-ahead n_t. Other p are gradpow's own generalisation: no paper uses them.

    The state holds phi_{1/p}(s_t), in the units of the update, and is averaged at a scale of its
    own: the bare p-th power of small gradients would vanish in float32.

    Args:
      b: the weight of the past, in [0, 1). S3 uses 0.95 (Section VI and its appendix).
      p: the order of the moment, in [1, 100].

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import nesterov_pmoment
      >>> tx = nesterov_pmoment(0.5)
      >>> n, state = tx.update(jnp.array([4.0]), tx.init(jnp.zeros(1)))
      >>> n, state.s
      (Array([3.], dtype=float32), Array([2.], dtype=float32))

    References:
      Peng et al. (2025), Algorithm 1 and Theorem 3, form (II).
    """
    check("in [0, 1)", b=b)
    check("in [1, 100]", p=p)

    def init(params):
        return NesterovPmomentState(s=optax.tree.zeros_like(params))

    def update(updates, state, params=None):
        del params
        s = jax.tree.map(lambda s, u: power_mean(s, u, b, p), state.s, updates)
        n = jax.tree.map(lambda s, u: power_mean(s, u, b, p), s, updates)
        return n, NesterovPmomentState(s)

    return optax.GradientTransformation(init, update)
