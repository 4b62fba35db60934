"""NAG (Nesterov's accelerated gradient): Nesterov (1983); Sutskever et al. (2013), Section 2."""

import optax

from gradpow.core import Scalar, chain, check, check_rate
from gradpow.transforms import extrapolate

__all__ = ["nag"]


def nag(
    learning_rate: optax.ScalarOrSchedule,
    momentum: Scalar = 0.9,
) -> optax.GradientTransformationExtraArgs:
    r"""Nesterov's accelerated gradient as printed, with the rate inside of the momentum.

    .. math::
      m_t = \mu m_{t-1} + \eta_t\, g(\theta_{t-1} - \mu m_{t-1}), \qquad
      \theta_t = \theta_{t-1} - m_t

    The parameters are the points :math:`\theta - \mu m`, where gradients are taken, and
    ``gradpow.eval_params(state, params)`` is theta. At a constant rate they are the iterates of
    :func:`gradpow.sgd` with ``nesterov=True``, which keeps half as much and cannot say theta; under
    a schedule the two differ. Nesterov's own weights vary with t; a constant one is the form of
    deep learning.

    Args:
      learning_rate: eta, a number >= 0 or a schedule.
      momentum: mu, the weight of the past, in [0, 1).

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, params = gradpow.nag(0.1, momentum=0.5), jnp.zeros(1)
      >>> step, state = tx.update(jnp.array([10.0]), tx.init(params))
      >>> step, gradpow.eval_params(state, params + step)
      (Array([-1.5], dtype=float32), Array([-1.], dtype=float32))

    References:
      Nesterov (1983); Sutskever et al. (2013), Section 2.
    """
    check("in [0, 1)", momentum=momentum)
    check_rate(learning_rate=learning_rate)
    return chain(
        optax.scale_by_learning_rate(learning_rate),
        optax.trace(momentum),
        extrapolate(momentum),
    )
