"""Stochastic l_p descent: Luo et al. (2025), Algorithm 1."""

import optax

from gradpow.core import Scalar, chain, check_rate
from gradpow.transforms import lp_steepest

__all__ = ["lp_descent"]


def lp_descent(
    learning_rate: optax.ScalarOrSchedule, p: Scalar, scaled: bool = False
) -> optax.GradientTransformationExtraArgs:
    r"""Stochastic l_p descent: SGD at p = 2, signSGD at p = inf.

    .. math::
      \theta_{t+1} = \theta_t - \eta_t\, \mathrm{sign}(g_t)\,|g_t|^{1/(p-1)}

    Args:
      learning_rate: eta, a number or a schedule.
      p: the norm, in [2, inf]; see :func:`gradpow.transforms.lp_steepest`.
      scaled: whether to take the deterministic step, scaled by the dual norm of the gradient over
        the whole tree.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.lp_descent(0.5, p=3)
      >>> tx.update(jnp.array([4.0, 0.0]), tx.init(jnp.zeros(2)))[0]
      Array([-1., -0.], dtype=float32)

    References:
      Luo et al. (2025), Algorithm 1.
    """
    check_rate(learning_rate=learning_rate)
    return chain(lp_steepest(p, scaled=scaled), optax.scale_by_learning_rate(learning_rate))
