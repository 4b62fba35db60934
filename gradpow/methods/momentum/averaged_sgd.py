"""Averaged SGD (ASGD, Polyak-Ruppert averaging): Polyak and Juditsky (1992)."""

import optax

from gradpow.core import chain, check_rate
from gradpow.transforms import average_iterates

__all__ = ["averaged_sgd"]


def averaged_sgd(
    learning_rate: optax.ScalarOrSchedule,
) -> optax.GradientTransformationExtraArgs:
    r"""Gradient descent whose answer is the mean of its iterates.

    .. math::
      \theta_t = \theta_{t-1} - \eta_t g_t, \qquad
      \bar\theta_t = \tfrac1t (\theta_0 + \dots + \theta_{t-1})

    ``gradpow.eval_params(state, params)`` is the mean, which to evaluate and keep; training does
    not see it. The rate is constant, or :math:`t^{-a}` with 1/2 < a < 1. The survey prints a mean
    of gradients, which is another and much slower method. PyTorch's ASGD is Bottou's variant, with
    a decay and a rate of its own. To average from a later step on, or another optimizer's iterates,
    chain :func:`gradpow.transforms.average_iterates` after it.

    Args:
      learning_rate: eta, a number >= 0 or a schedule.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, params = gradpow.averaged_sgd(0.5), jnp.array([1.0])
      >>> state = tx.init(params)
      >>> for _ in range(3):  # of theta^2 / 2: at 1, 0.5, 0.25
      ...   updates, state = tx.update(params, state, params)
      ...   params = params + updates
      >>> print(params, gradpow.eval_params(state, params).round(3))
      [0.125] [0.583]

    References:
      Polyak and Juditsky (1992).
    """
    check_rate(learning_rate=learning_rate)
    return chain(
        optax.scale_by_learning_rate(learning_rate),
        average_iterates(),
    )
