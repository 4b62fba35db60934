"""SAGA: Defazio et al. (2014), Section 1."""

import optax

from gradpow.core import chain, check_rate
from gradpow.transforms import control_variate
from gradpow.wrappers import gradient_table

__all__ = ["saga"]


def saga(learning_rate: optax.ScalarOrSchedule, size: int) -> optax.GradientTransformationExtraArgs:
    r"""SAGA: gradients corrected by those that a table keeps of each batch, without bias.

    .. math::
      \theta_t = \theta_{t-1} - \eta\, \Bigl(\nabla f_j(\theta_{t-1}) - y_j
      + \frac1n \sum_i y_i\Bigr), \qquad \text{then } y_j \leftarrow \nabla f_j(\theta_{t-1})

    The paper starts at the gradients of all batches at :math:`\theta_0`; put them in with
    ``optimizer.init(params).filled(table)``, see :func:`gradpow.gradient_table`. Without, y is 0,
    as in SAG. The paper's proximal step is the loop's own projection. The survey mixes points and
    gradients: y are gradients.

    Its update needs ``index``, of the batch.

    Args:
      learning_rate: a number or a schedule; the paper has 1 / (3 L).
      size: n, the number of batches, >= 1.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, theta = gradpow.saga(0.1, size=2), jnp.ones(1)
      >>> state = tx.init(theta).filled(jnp.array([[1.0], [3.0]]))
      >>> tx.update(jnp.array([2.0]), state, index=0)[0]  # -0.1 (2 - 1 + 2)
      Array([-0.3], dtype=float32)

    References:
      Defazio et al. (2014), Section 1.
    """
    check_rate(learning_rate=learning_rate)
    links = chain(control_variate(), optax.scale_by_learning_rate(learning_rate))
    return gradient_table(size, links)
