"""STORM: Cutkosky and Orabona (2019), Algorithm 1."""

import optax

from gradpow.core import Scalar, chain, check_rate
from gradpow.transforms import storm_step
from gradpow.wrappers import at_previous_point

__all__ = ["storm"]


def storm(
    learning_rate: optax.ScalarOrSchedule = 0.1, w: Scalar = 0.1, c: Scalar = 1.0
) -> optax.GradientTransformationExtraArgs:
    r"""STORM: momentum that follows the point, without large batches or anchors.

    .. math::
      d_t &= g_t + (1 - a_t)\bigl(d_{t-1} - \nabla f(\theta_{t-1}, \xi_t)\bigr) \\
      \eta_t &= k \Bigl(w + \sum_{i \le t} \|g_i\|_2^2\Bigr)^{-1/3}, \qquad
      a_{t+1} = c\, \eta_t^2 \\
      \theta_{t+1} &= \theta_t - \eta_t d_t

    a is at most 1. The paper tunes k, w and c; the defaults are those of public copies. The
    authors' TensorFlow code is another method: a sum for each coordinate, a of the present rate,
    a first estimate of a_1 g_1, and clipping. The survey names STORM without its rule.

    Its update needs the parameters and ``grad_fn``, see :func:`gradpow.inputs`.

    Args:
      learning_rate: k, a number or a schedule.
      w: finite and > 0.
      c: finite and >= 0.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp
      >>> tx, theta = gradpow.storm(0.5, w=4.0), jnp.ones(1)
      >>> grad_fn = jax.grad(lambda theta: jnp.sum(theta**2))
      >>> tx.update(grad_fn(theta), tx.init(theta), theta, grad_fn=grad_fn)[0]
      Array([-0.5], dtype=float32)

    References:
      Cutkosky and Orabona (2019), Algorithm 1.
    """
    check_rate(learning_rate=learning_rate)
    return at_previous_point(chain(storm_step(learning_rate, w, c), optax.scale(-1.0)))
