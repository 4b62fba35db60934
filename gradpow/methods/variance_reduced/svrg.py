"""SVRG: Johnson and Zhang (2013), Figure 1."""

import optax

from gradpow.core import chain, check_rate
from gradpow.transforms import control_variate
from gradpow.wrappers import at_anchor

__all__ = ["svrg"]


def svrg(learning_rate: optax.ScalarOrSchedule) -> optax.GradientTransformationExtraArgs:
    r"""SVRG: gradients corrected by those at an anchor, whose full gradient is known.

    .. math::
      \theta_t = \theta_{t-1} - \eta\,
      \bigl(\nabla f(\theta_{t-1}, \xi_t) - \nabla f(\tilde\theta, \xi_t)
      + \nabla F(\tilde\theta)\bigr)

    The loop sets the anchor every m steps, at the last iterate (Option I)::

        state = gradpow.set_anchor(state, params, gradpow.full_gradient(grad_fn, params, batches))

    The paper has m = 2n for convex and 5n for other problems of n batches, and first some passes of
    plain SGD, which this is before the first anchor. Option II, an iterate t in 0 .. m - 1 at
    random, is the one that is analysed; the survey has 1 .. m.

    Its update needs ``grad_fn``, see :func:`gradpow.inputs`.

    Args:
      learning_rate: a number or a schedule.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp
      >>> tx, theta = gradpow.svrg(0.1), jnp.ones(1)
      >>> state = gradpow.set_anchor(tx.init(theta), theta, jnp.array([3.0]))
      >>> grad_fn = jax.grad(lambda theta: jnp.sum(theta**2))
      >>> tx.update(grad_fn(theta), state, theta, grad_fn=grad_fn)[0]
      Array([-0.3], dtype=float32)

    References:
      Johnson and Zhang (2013), Figure 1.
    """
    check_rate(learning_rate=learning_rate)
    return at_anchor(chain(control_variate(), optax.scale_by_learning_rate(learning_rate)))
