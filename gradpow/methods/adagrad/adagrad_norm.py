"""AdaGrad-Norm: Ward et al. (2019), Algorithm 1."""

from typing import Any, Literal

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate
from gradpow.transforms import decay_weights, moment_scale, pooled

__all__ = ["adagrad_norm"]


def adagrad_norm(
    learning_rate: optax.ScalarOrSchedule,
    b0: Scalar = 0.1,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    over: Literal["tree"] | None = "tree",
) -> optax.GradientTransformationExtraArgs:
    r"""AdaGrad-Norm: gradient descent at one rate, which falls with the norms of all gradients.

    .. math::
      b_t^2 = b_{t-1}^2 + \|g_t\|^2, \qquad \theta_t = \theta_{t-1} - \frac{\eta_t}{b_t} g_t

    Keeps one number. The survey's eps is the square of b_0.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`, but for no decay, which the
        paper has not.
      b0: b_0, finite and > 0. Any number converges; that this is 0.1 is ours.
      over: "tree" for the norm over all parameters, as in the paper, or None for one of each
        tensor, with a rate of its own.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, params = gradpow.adagrad_norm(1.0, b0=3.0), {"a": jnp.zeros(1), "b": jnp.zeros(1)}
      >>> grads = {"a": jnp.array([4.0]), "b": jnp.array([0.0])}
      >>> tx.update(grads, tx.init(params))[0]["a"]  # -4 / (9 + 16)^(1/2)
      Array([-0.8], dtype=float32)

    References:
      Ward et al. (2019), Algorithm 1.
    """
    check("finite and > 0", b0=b0)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        moment_scale(pooled(optax.trace(1.0), over), eps_root=b0**2),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
