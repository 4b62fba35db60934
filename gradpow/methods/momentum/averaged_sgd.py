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

    ``gradpow.eval_params(state, params)`` is the mean. The rate is constant, or :math:`t^{-a}` with
    1/2 < a < 1. The survey prints a mean of gradients, a much slower method; PyTorch's ASGD is
    Bottou's variant. Other averages, or another optimizer's iterates, take
    :func:`gradpow.transforms.average_iterates`.

    Args:
      learning_rate: eta, a number >= 0 or a schedule.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, params = gradpow.averaged_sgd(0.5), jnp.array([1.0])
      >>> updates, state = tx.update(jnp.array([1.0]), tx.init(params), params)
      >>> params + updates, gradpow.eval_params(state, params)
      (Array([0.5], dtype=float32), Array([1.], dtype=float32))

    References:
      Polyak and Juditsky (1992).
    """
    check_rate(learning_rate=learning_rate)
    return chain(
        optax.scale_by_learning_rate(learning_rate),
        average_iterates(),
    )
