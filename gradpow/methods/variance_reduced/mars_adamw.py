"""MARS-AdamW: Yuan et al. (2025), Section 3."""

from collections.abc import Callable
from typing import Any

import optax

from gradpow.core import Matrices, Scalar, chain, check, check_rate, require_mask
from gradpow.transforms import clip_by_tensor_norm, gradient_correction
from gradpow.wrappers import at_previous_point, on_matrices

__all__ = ["mars_adamw", "two_axes"]


def two_axes(path: str, leaf: Any) -> bool | None:
    """Says of all leaves with two axes that they are matrices, embeddings and heads too.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> gradpow.two_axes("embed", jnp.ones((2, 3))), gradpow.two_axes("bias", jnp.ones(3))
      (True, None)
    """
    del path
    return True if leaf.ndim == 2 else None


def mars_adamw(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.95,
    b2: Scalar = 0.99,
    eps: Scalar = 1e-8,
    gamma: Scalar = 0.025,
    weight_decay: optax.ScalarOrSchedule = 0.0,
    mask: Any = None,
    rest: optax.GradientTransformation | None = None,
    matrices: Matrices | Any = two_axes,
    provider: Callable[
        [optax.GradientTransformation], optax.GradientTransformationExtraArgs
    ] = at_previous_point,
) -> optax.GradientTransformationExtraArgs:
    r"""MARS-AdamW: AdamW on gradients of less variance.

    .. math::
      c_t &= g_t + \gamma \frac{\beta_1}{1 - \beta_1} (g_t - r_t), \qquad
      c_t \leftarrow \frac{c_t}{\max(1, \|c_t\|_2)} \\
      \theta_t &= \theta_{t-1} - \eta_t (\mathrm{Adam}(c_t) + \lambda \theta_{t-1})

    For leaves with two axes; the rest goes to plain AdamW, as in the authors' code. Where r is
    taken, ``provider`` says, as in :func:`gradpow.mars`. Defaults are the authors', whose
    code starts at r = 0, where their algorithm has no first correction.

    Its update needs the parameters, and the exact form ``grad_fn``, see :func:`gradpow.inputs`.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, of matrices.
      gamma: finite and >= 0.
      rest: for all else; None is AdamW with this rate, betas of 0.9 and 0.95 and a decay of 0.1.
      matrices: as in :func:`gradpow.on_matrices`; layers in one stack need it.
      provider: :func:`gradpow.at_previous_point` is the exact form, with a second gradient,
        :func:`gradpow.lagged_gradient` the approximate one.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp
      >>> tx, theta = gradpow.mars_adamw(0.1), jnp.ones((1, 2))
      >>> grad_fn = jax.grad(lambda theta: jnp.sum(theta**2))
      >>> tx.update(grad_fn(theta), tx.init(theta), theta, grad_fn=grad_fn)[0].round(3)
      Array([[-0.1, -0.1]], dtype=float32)

    References:
      Yuan et al. (2025), Section 3.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", gamma=gamma, eps=eps)
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    require_mask(mask)
    if rest is None:
        rest = optax.adamw(learning_rate, 0.9, 0.95, eps, weight_decay=0.1)
    corrected = chain(
        gradient_correction(gamma * b1 / (1 - b1)),
        clip_by_tensor_norm(1.0),
        optax.adamw(learning_rate, b1, b2, eps, weight_decay=weight_decay, mask=mask),
    )
    return provider(chain(on_matrices(corrected, rest, matrices)))
