"""SGDPower (Powerball): Yuan et al. (2019); Wang et al. (2025), Appendix A."""

import optax

from gradpow.core import Scalar, chain, check, check_rate
from gradpow.transforms import sign_power

__all__ = ["sgdpower"]


def sgdpower(
    learning_rate: optax.ScalarOrSchedule,
    p: Scalar,
    momentum: Scalar | None = None,
    nesterov: bool = False,
) -> optax.GradientTransformationExtraArgs:
    r"""The Powerball method: SGD on powered gradients.

    .. math::
      \theta_{t+1} = \theta_t - \eta_t\, \mathrm{sign}(g_t)\,|g_t|^p

    Args:
      learning_rate, nesterov: as in :func:`optax.sgd`.
      p: the power, > 0. Powerball studies p < 1; p = 0.5 is the square root. No default: the step
        scales with the power of the gradient, so p and the rate go together.
      momentum: decay of the accumulator, in [0, 1), or None for none.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.sgdpower(0.5, p=3)
      >>> tx.update(jnp.array([2.0, -1.0]), tx.init(jnp.zeros(2)))[0]
      Array([-4. ,  0.5], dtype=float32)

    References:
      Yuan et al. (2019); Wang et al. (2025), Appendix A.
    """
    check_rate(learning_rate=learning_rate)
    check("in [0, 1)", **({} if momentum is None else {"momentum": momentum}))
    return chain(sign_power(p), optax.sgd(learning_rate, momentum, nesterov))
