"""Adam-mini: Zhang et al. (2024), Algorithm 1."""

import re
from collections.abc import Callable
from typing import Any

import jax
import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate, parameter_kind
from gradpow.transforms import Blocks, decay_weights, moment_scale, pooled

__all__ = ["adam_mini", "adam_mini_blocks"]

QUERY_KEY = r"(^|/)(query|key|[qk]_proj|w[qk])(/|$)"
VALUE = r"(^|/)(value|v_proj|wv)(/|$)"


def adam_mini_blocks(path: str, leaf: jax.Array, heads: int | None = None) -> Any:
    """Which coordinates of a transformer share a number, for ``over``: those of Adam-mini.

    By the names and shapes of Flax: of embeddings each token; of queries and keys each head; of
    other kernels, and where the heads are not known, each output; a norm's scale is one block;
    biases are not pooled. Layers stacked in one tensor need a function of their own.

    Args:
      path: of a leaf, its names joined by "/".
      leaf: the leaf, of which the shape counts.
      heads: how many heads matrices of queries and keys have, which are those with "query", "key",
        "q_proj", "k_proj", "wq" or "wk" in the path; give it by :func:`functools.partial`. Arrays
        of three axes, (in, heads, out), say it themselves.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow import adam_mini_blocks
      >>> adam_mini_blocks("attention/query/kernel", jnp.ones((8, 4, 2)))
      Blocks(axis=1, count=4)
      >>> adam_mini_blocks("mlp/kernel", jnp.ones((2, 3)))
      (0,)
    """
    name, kind = path.lower().removesuffix("/value"), parameter_kind(path)
    if leaf.ndim < 2 or kind == "vector":
        return None if re.search("(scale|gamma|weight)$", name) else ()
    if kind == "embedding":
        return -1
    if re.search(QUERY_KEY, name) and (leaf.ndim == 3 or heads is not None):
        return Blocks(1, leaf.shape[1]) if leaf.ndim == 3 else Blocks(-1, heads or 1)
    return tuple(range(1 if re.search(VALUE, name) else leaf.ndim - 1))


def adam_mini(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    blocks: Callable[[str, jax.Array], Any] = adam_mini_blocks,
) -> optax.GradientTransformationExtraArgs:
    r"""Adam-mini: Adam with one second moment for each block of parameters, half the memory.

    .. math::
      m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
      v_{t,B} = \beta_2 v_{t-1,B} + (1 - \beta_2)\, \mathrm{mean}_{i \in B}\, g_{t,i}^2 \\
      \theta_t &= \theta_{t-1} - \eta_t \Bigl(\frac{m_t / (1 - \beta_1^t)}
      {\sqrt{v_t / (1 - \beta_2^t)} + \epsilon} + \lambda \theta_{t-1}\Bigr)

    Blocks are those of :func:`gradpow.adam_mini_blocks`: tokens, heads, output
    neurons. The authors' code exempts biases and norms from the decay, as ``mask`` may.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, but for no decay,
        the default of the authors' code.
      blocks: from the path and value of a leaf to the axes that share a number, or to
        :class:`gradpow.transforms.Blocks`, see :func:`gradpow.transforms.pooled`. Where queries and
        keys are matrices, ``functools.partial(adam_mini_blocks, heads=12)`` knows their heads.
        With ``optax.inject_hyperparams`` pass ``static_args=("mask", "blocks")``.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, params = gradpow.adam_mini(0.1), {"mlp": {"kernel": jnp.zeros((2, 2))}}
      >>> grads = {"mlp": {"kernel": jnp.array([[1.0, 3.0], [7.0, 3.0]])}}
      >>> tx.update(grads, tx.init(params))[0]["mlp"]["kernel"].round(3)
      Array([[-0.02, -0.1 ],
             [-0.14, -0.1 ]], dtype=float32)

    References:
      Zhang et al. (2024), Algorithm 1, with the partition of its authors' code, version 1.1.1.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        optax.ema(b1),
        moment_scale(pooled(optax.ema(b2), blocks, mean=True), eps=eps),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
