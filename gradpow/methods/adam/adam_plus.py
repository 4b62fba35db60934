"""Adam+: Liu et al. (2020b), Algorithm 1."""

import jax.numpy as jnp
import optax

from gradpow.core import Scalar, chain, check, check_rate
from gradpow.transforms import extrapolate, norm_scale, running_mean

__all__ = ["adam_plus"]


def adam_plus(
    learning_rate: optax.ScalarOrSchedule,
    b: Scalar = 0.1,
    a: Scalar = 1.0,
) -> optax.GradientTransformationExtraArgs:
    r"""Adam+: a momentum of gradients ahead of the iterate, over the root of its norm.

    With the norm over all tensors, and g taken at y, which are the parameters:

    .. math::
      z_t &= (1 - \beta) z_{t-1} + \beta\, g(y_t), \qquad z_1 = g(y_1) \\
      x_{t+1} &= x_t - \eta_t\, \beta^a z_t / \|z_t\|^{1/2}, \qquad
      y_{t+1} = x_t + (x_{t+1} - x_t) / \beta

    Evaluate ``gradpow.eval_params(state, params)``, which is x: y is 1/b steps ahead. The paper
    bounds the root from below by 1e-8, where 0/0 is 0 here. The survey's rate lacks its index.

    Args:
      learning_rate: the paper's alpha, whose default there is 0.1; a number >= 0 or a schedule.
      b: beta, the weight of the new gradient, in (0, 1].
      a: the power of b in the rate, finite and >= 0.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, params = gradpow.adam_plus(1.0, b=0.5), jnp.zeros(2)
      >>> step, state = tx.update(jnp.array([4.0, 0.0]), tx.init(params))
      >>> step, gradpow.eval_params(state, params + step)
      (Array([-2., -0.], dtype=float32), Array([-1.,  0.], dtype=float32))

    References:
      Liu et al. (2020b), Algorithm 1.
    """
    check("in (0, 1]", b=b)
    check("finite and >= 0", a=a)
    check_rate(learning_rate=learning_rate)
    return chain(
        running_mean(lambda count: jnp.where(jnp.asarray(count) > 0, b, 1.0)),
        norm_scale(0.5, over="tree"),
        optax.scale(b**a),
        optax.scale_by_learning_rate(learning_rate),
        extrapolate(1 / b - 1),
    )
