"""SGLD: Welling and Teh (2011), Equation 4."""

import jax
import optax

from gradpow.core import Scalar, chain
from gradpow.transforms import langevin

__all__ = ["sgld"]


def sgld(
    learning_rate: optax.ScalarOrSchedule, key: jax.Array | int, temperature: Scalar = 1.0
) -> optax.GradientTransformationExtraArgs:
    r"""SGLD: gradient descent with the noise that makes its iterates samples.

    .. math::
      \theta_t = \theta_{t-1} - \eta_t g_t + \sqrt{2 \eta_t T}\, z_t, \qquad z_t \sim N(0, I)

    The paper's step is eps / 2 on the posterior's negative logarithm, of N examples, with T = 1. On
    the mean loss that is a rate of N eps / 2 and T = 1 / N. With full batches it is GLD. The paper
    has eps = a (b + t)^(-kappa), kappa in (1/2, 1], as a schedule.

    Args:
      learning_rate: a number or a schedule.
      key: of :func:`jax.random.key`, or a seed; another one for each chain of samples.
      temperature: T, finite and >= 0.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.sgld(0.1, key=0, temperature=0.0)
      >>> tx.update(jnp.ones(1), tx.init(jnp.ones(1)))[0]
      Array([-0.1], dtype=float32)

    References:
      Welling and Teh (2011), Equation 4.
    """
    return chain(langevin(learning_rate, temperature, key))
