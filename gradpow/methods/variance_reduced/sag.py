"""SAG: Schmidt et al. (2017), Algorithm 1."""

import optax

from gradpow.core import chain, check_rate
from gradpow.transforms import control_variate
from gradpow.wrappers import gradient_table

__all__ = ["sag"]


def sag(learning_rate: optax.ScalarOrSchedule, size: int) -> optax.GradientTransformationExtraArgs:
    r"""SAG: the mean of the gradients that each batch had when it was last seen.

    .. math::
      y_j \leftarrow \nabla f_j(\theta_{t-1}), \qquad
      \theta_t = \theta_{t-1} - \frac{\eta}{n} \sum_i y_i

    y starts at 0. The authors advise to divide by the number of batches seen up to now, which their
    Algorithm 1 does not; ``state.filled(table)`` of :func:`gradpow.gradient_table` starts at
    gradients instead.

    Its update needs ``index``, of the batch.

    Args:
      learning_rate: a number or a schedule; the paper has 1 / (16 L).
      size: n, the number of batches, >= 1.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, theta = gradpow.sag(0.1, size=2), jnp.ones(1)
      >>> tx.update(jnp.array([4.0]), tx.init(theta), index=0)[0]  # -0.1 (4 + 0) / 2
      Array([-0.2], dtype=float32)

    References:
      Schmidt et al. (2017), Algorithm 1.
    """
    check_rate(learning_rate=learning_rate)
    # gradient_table checks the size, of which 1 / size is taken here first.
    weight = 1 / size if isinstance(size, int) and size > 0 else 1.0
    links = chain(control_variate(weight), optax.scale_by_learning_rate(learning_rate))
    return gradient_table(size, links)
