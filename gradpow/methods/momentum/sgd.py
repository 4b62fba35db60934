"""SGD: Robbins and Monro (1951); Polyak (1964); Nesterov (1983)."""

import optax

from gradpow.core import Scalar, chain, check, check_rate

__all__ = ["sgd"]


def sgd(
    learning_rate: optax.ScalarOrSchedule,
    momentum: Scalar | None = None,
    nesterov: bool = False,
) -> optax.GradientTransformationExtraArgs:
    r"""Gradient descent with or without momentum, the call of :func:`optax.sgd` in a chain.

    .. math::
      m_t = \mu m_{t-1} + g_t, \qquad \theta_t = \theta_{t-1} - \eta_t m_t
      \quad\text{or, with Nesterov,}\quad \theta_{t-1} - \eta_t (\mu m_t + g_t)

    The rate is outside the momentum: under a schedule this differs from momentum of the steps.

    Args:
      learning_rate, nesterov: as in :func:`optax.sgd`.
      momentum: mu, the weight of the past, in [0, 1), or None for none.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.sgd(0.1)
      >>> tx.update(jnp.array([3.0, -1.0]), tx.init(jnp.zeros(2)))[0].round(3)
      Array([-0.3,  0.1], dtype=float32)

    References:
      Robbins and Monro (1951); Polyak (1964); Nesterov (1983).
    """
    check("in [0, 1)", **({} if momentum is None else {"momentum": momentum}))
    check_rate(learning_rate=learning_rate)
    return chain(optax.sgd(learning_rate, momentum, nesterov))
