"""DASGO: An et al. (2025), dasgo.py."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate
from gradpow.transforms import decay_weights, moment_scale, norm_scale, pooled

__all__ = ["dasgo"]


def _outputs(path: str, leaf: jax.Array) -> int | tuple[()]:
    """The last axis of a kernel; a leaf of less than two axes is not pooled."""
    del path
    return -1 if leaf.ndim > 1 else ()


def dasgo(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.95,
    eps: Scalar = 1e-8,
    rms: Scalar | None = None,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    over: Callable[[str, jax.Array], Any] = _outputs,
) -> optax.GradientTransformationExtraArgs:
    r"""DASGO: one second moment for each input of a matrix, the diagonal of ASGO's.

    .. math::
      m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
      v_{t,j} = \beta_2 v_{t-1,j} + (1 - \beta_2) \textstyle\sum_i g_{t,ij}^2 \\
      \theta_t &= \theta_{t-1} - \eta_t\, m_t / \sqrt{v_t + \epsilon}

    No bias is corrected. With ``rms=0.2, weight_decay=0.1`` it is what the authors train with: each
    tensor's step is brought to the root mean square 0.2. They leave embeddings and vectors to Adam,
    as :func:`optax.partition` does; here a vector has a v of each coordinate.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, with the authors'
        defaults and no decay; eps is inside of the root.
      rms: the root mean square of a tensor's step before the rate, finite and > 0, or None to leave
        it as it is.
      over: from the path and value of a leaf to the axes that are summed, see
        :func:`gradpow.transforms.pooled`. By default the outputs: the last axis of a Flax kernel,
        which is the first, i, in the authors' PyTorch.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, g = gradpow.dasgo(1.0, b1=0.0, b2=0.0), jnp.array([[3.0, 4.0], [0.0, 2.0]])
      >>> tx.update(g, tx.init(jnp.zeros((2, 2))))[0]
      Array([[-0.6, -0.8],
             [-0. , -1. ]], dtype=float32)

    References:
      An et al. (2025), and ``dasgo.py`` of its authors.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps)
    check("finite and > 0", **({} if rms is None else {"rms": rms}))
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        optax.ema(b1, debias=False),
        moment_scale(pooled(optax.ema(b2, debias=False), over), eps_root=eps),
        optax.identity() if rms is None else optax.chain(norm_scale(mean=True), optax.scale(rms)),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
