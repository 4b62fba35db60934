"""AdaGrad: Duchi et al. (2011), Figure 1."""

import optax

from gradpow.core import Scalar, chain, check, check_rate
from gradpow.transforms import moment_scale

__all__ = ["adagrad"]


def adagrad(
    learning_rate: optax.ScalarOrSchedule, eps: Scalar = 1e-10, eps_root: Scalar = 0.0
) -> optax.GradientTransformationExtraArgs:
    r"""AdaGrad, in its diagonal form: each coordinate's rate falls with the gradients seen there.

    .. math::
      v_t = v_{t-1} + g_t^2, \qquad
      \theta_t = \theta_{t-1} - \eta_t\, g_t / (\sqrt{v_t + \epsilon_{root}} + \epsilon)

    As in the paper and PyTorch eps, there delta, is added to the root. The survey and
    :func:`optax.adagrad` have it inside, which is ``eps_root``; optax also starts v at 0.1.

    Args:
      learning_rate: eta, a number or a schedule.
      eps: added to the root, >= 0. The default is PyTorch's.
      eps_root: added inside of the root, >= 0.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.adagrad(0.5)
      >>> _, state = tx.update(jnp.array([3.0, 0.0]), tx.init(jnp.zeros(2)))
      >>> tx.update(jnp.array([4.0, 0.0]), state)[0].round(3)  # 0.5 * 4 / (9 + 16)^(1/2)
      Array([-0.4, -0. ], dtype=float32)

    References:
      Duchi et al. (2011), Figure 1.
    """
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate)
    return chain(
        moment_scale(optax.trace(1.0), eps=eps, eps_root=eps_root),
        optax.scale_by_learning_rate(learning_rate),
    )
