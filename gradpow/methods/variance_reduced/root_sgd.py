"""ROOT-SGD: Li et al. (2022), Algorithm 1."""

import optax

from gradpow.core import chain, check_rate, step_number
from gradpow.transforms import recursive_momentum
from gradpow.wrappers import at_previous_point

__all__ = ["root_sgd"]


def root_sgd(learning_rate: optax.ScalarOrSchedule) -> optax.GradientTransformationExtraArgs:
    r"""ROOT-SGD: the mean of all gradients up to now, each carried to the present point.

    .. math::
      v_t = \nabla f(\theta_{t-1}, \xi_t)
      + \tfrac{t - 1}{t} \bigl(v_{t-1} - \nabla f(\theta_{t-2}, \xi_t)\bigr), \qquad
      \theta_t = \theta_{t-1} - \eta v_t

    The paper's burn-in of T_0 steps, in which v gathers and the point stays, is a rate of 0; the
    survey leaves it out::

        optax.join_schedules([optax.constant_schedule(0.0), optax.constant_schedule(rate)], [T_0])

    Its update needs the parameters and ``grad_fn``, see :func:`gradpow.inputs`.

    Args:
      learning_rate: a number or a schedule.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp
      >>> tx, theta = gradpow.root_sgd(0.1), jnp.ones(1)
      >>> grad_fn = jax.grad(lambda theta: jnp.sum(theta**2))
      >>> tx.update(grad_fn(theta), tx.init(theta), theta, grad_fn=grad_fn)[0]
      Array([-0.2], dtype=float32)

    References:
      Li et al. (2022), Algorithm 1.
    """
    check_rate(learning_rate=learning_rate)
    links = chain(
        recursive_momentum(lambda count: 1 / step_number(count)),
        optax.scale_by_learning_rate(learning_rate),
    )
    return at_previous_point(links)
