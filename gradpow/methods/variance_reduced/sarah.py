"""SARAH: Nguyen et al. (2017), Algorithm 1; Wang et al. (2019)."""

import optax

from gradpow.core import chain, check_rate
from gradpow.transforms import recursive_momentum
from gradpow.wrappers import at_previous_point

__all__ = ["sarah"]


def sarah(learning_rate: optax.ScalarOrSchedule) -> optax.GradientTransformationExtraArgs:
    r"""SARAH and SpiderBoost: the full gradient at an anchor, followed step by step.

    .. math::
      v_t = \nabla f(\theta_t, \xi_t) - \nabla f(\theta_{t-1}, \xi_t) + v_{t-1}, \qquad
      \theta_{t+1} = \theta_t - \eta v_t

    The loop restarts it every q steps, v then being the full gradient::

        state = gradpow.set_anchor(state, params, gradpow.full_gradient(grad_fn, params, batches))

    SpiderBoost is this with q near the root of the number of batches and the constant rate 1/(2L).
    The survey has r at the anchor, which with this recursion is neither SVRG nor SARAH, and divides
    SpiderBoost's step by the norm, which dropping is that paper's point. SARAH's output is an
    iterate of the epoch at random; the last one is usual.

    Its update needs the parameters and ``grad_fn``, see :func:`gradpow.inputs`. Without a restart
    it starts at the first gradient.

    Args:
      learning_rate: a number or a schedule.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp
      >>> tx, theta = gradpow.sarah(0.1), jnp.ones(1)
      >>> state = gradpow.set_anchor(tx.init(theta), theta, jnp.array([3.0]))
      >>> grad_fn = jax.grad(lambda theta: jnp.sum(theta**2))
      >>> tx.update(grad_fn(theta), state, theta, grad_fn=grad_fn)[0]
      Array([-0.3], dtype=float32)

    References:
      Nguyen et al. (2017), Algorithm 1; Wang et al. (2019), Algorithm 1.
    """
    check_rate(learning_rate=learning_rate)
    links = chain(recursive_momentum(0.0), optax.scale_by_learning_rate(learning_rate))
    return at_previous_point(links)
