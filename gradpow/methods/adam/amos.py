"""Amos: Tian and Parikh (2022), Algorithm 1."""

import math
import re
from collections.abc import Callable
from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_rate, parameter_kind
from gradpow.transforms import amos_scale

__all__ = ["amos", "amos_axes", "amos_sizes"]


def amos_sizes(path: str, leaf: Any) -> float:
    r"""The size that Amos expects of a tensor's weights, by its path and shape.

    :math:`n^{-1/2}` for matrices of n inputs (all axes but the last), :math:`(2/n)^{1/2}` for
    embeddings of n numbers a token, 1 for the scales of norms, 1/2 for biases and all other
    vectors, as the authors' code has it for BERT. There a matrix after a GELU has
    :math:`(2/n)^{1/2}`, which no name tells.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> gradpow.amos_sizes("mlp/kernel", jnp.ones((16, 5)))
      0.25
    """
    kind = parameter_kind(path)
    if kind == "vector" and re.search(r"(scale|gamma)(/value)?$", path.lower()):
        return 1.0
    if kind == "vector" or leaf.ndim < 2:
        return 0.5
    if kind == "embedding":
        return math.sqrt(2 / max(leaf.shape[-1], 1))
    return 1 / math.sqrt(max(math.prod(leaf.shape[:-1]), 1))


def amos_axes(path: str, leaf: Any) -> int | tuple[int, ...] | None:
    """What shares one second moment in Amos: a column of a matrix, a token of an embedding.

    Of all other tensors the whole, which is None.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> gradpow.amos_axes("mlp/kernel", jnp.ones((16, 5)))  # averages run over these axes
      (0,)
    """
    kind = parameter_kind(path)
    if kind == "vector" or leaf.ndim < 2:
        return None
    return -1 if kind == "embedding" else tuple(range(leaf.ndim - 1))


def amos(
    learning_rate: optax.ScalarOrSchedule,
    b2: Scalar = 0.999,
    momentum: Scalar | None = None,
    clip_value: Scalar | None = None,
    size: Callable[[str, Any], Scalar] = amos_sizes,
    over: Callable[[str, Any], Any] = amos_axes,
) -> optax.GradientTransformationExtraArgs:
    r"""Amos: Adam-like steps to weights of an expected size e, with a decay that ends by itself.

    .. math::
      v_t &= \beta v_{t-1} + (1 - \beta)\, \overline{g_t^2}, \qquad
      \gamma_t = c_t\, \eta_t^2\, \overline{g_t^2} / \hat v_t, \qquad
      b_{t+1} = b_t + \gamma_t (1 + b_t) \\
      \theta_{t+1} &= \theta_t - d_t \Bigl(\frac{\eta_t e}{\sqrt{\hat v_t}}\, g_t
      + \frac{\gamma_t}{2} \theta_t\Bigr), \quad
      c_t = (1 + \tfrac14 \sqrt{\eta_t}\, b_t)^{-1/2}, \;
      d_t = (1 + \tfrac14 \sqrt{\eta_t e}\, b_t)^{-1}

    The decay is inside: add none. The survey prints :math:`\sqrt{\eta}\, e` in d and clips by norm;
    the authors' code has e under the root and clips coordinates, as here. It reads schedules from
    t = 1, we from 0.

    Args:
      learning_rate: eta, a number or a schedule: about (batches in the data)^(-1/2).
      b2: beta, in [0, 1); 1 - b2 of about the size of the rate.
      momentum: that of the steps, in [0, 1), or None for none.
      clip_value: bound of every coordinate of the gradient, finite and > 0, or None for none.
      size: from a leaf's path (its names joined by "/") and the leaf to e. Pass
        ``optax.inject_hyperparams`` ``static_args=("size", "over")``.
      over: from the same to the axes that share a v and a b.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, params = gradpow.amos(0.1), {"kernel": jnp.zeros((16, 1))}
      >>> tx.update({"kernel": jnp.ones((16, 1))}, tx.init(params), params)[0]["kernel"][0].round(4)
      Array([-0.025], dtype=float32)

    References:
      Tian and Parikh (2022), Algorithm 1, and the authors' code, whose defaults these are.
    """
    check_rate(learning_rate=learning_rate)
    check("in [0, 1)", b2=b2, **({} if momentum is None else {"momentum": momentum}))
    check("finite and > 0", **({} if clip_value is None else {"clip_value": clip_value}))
    return chain(
        optax.identity() if clip_value is None else optax.clip(clip_value),
        amos_scale(learning_rate, size, b2, over),
        optax.identity() if momentum is None else optax.ema(momentum, debias=False),
        optax.scale(-1.0),
    )
