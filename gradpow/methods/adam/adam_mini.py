"""Adam-mini: Zhang et al. (2024), Algorithm 1."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate
from gradpow.transforms import decay_weights, moment_scale, pooled, transformer_blocks

__all__ = ["adam_mini"]


def adam_mini(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    blocks: Callable[[str, jax.Array], Any] = transformer_blocks,
) -> optax.GradientTransformationExtraArgs:
    r"""Adam-mini: Adam with one second moment for each block of parameters, half the memory.

    .. math::
      m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
      v_{t,B} = \beta_2 v_{t-1,B} + (1 - \beta_2)\, \mathrm{mean}_{i \in B}\, g_{t,i}^2 \\
      \theta_t &= \theta_{t-1} - \eta_t \Bigl(\frac{m_t / (1 - \beta_1^t)}
      {\sqrt{v_t / (1 - \beta_2^t)} + \epsilon} + \lambda \theta_{t-1}\Bigr)

    Blocks are those of :func:`gradpow.transforms.transformer_blocks`: tokens, heads, output
    neurons. The authors' code exempts biases and norms from the decay, as ``mask`` may.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, but for no decay,
        the default of the authors' code.
      blocks: from the path and value of a leaf to the axes that share a number, or to
        :class:`gradpow.transforms.Blocks`, see :func:`gradpow.transforms.pooled`. Where queries and
        keys are matrices, ``functools.partial(transformer_blocks, heads=12)`` knows their heads.
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
