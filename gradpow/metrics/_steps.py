"""Metrics of steps: their size, and how they stand to gradient and parameters."""

from typing import Any

import jax
import jax.numpy as jnp

from gradpow.core import guarded_divide, scalar_dtype, size, sum_of_squares

__all__ = [
    "effective_rate",
    "largest_update",
    "relative_update",
    "sign_agreement",
    "update_rms",
]


def update_rms(updates: Any, **_: Any) -> jax.Array:
    r"""Root mean square of the update.

    .. math:: \sqrt{\tfrac{1}{d} \textstyle\sum_i u_i^2}

    Args:
      updates: a tree of arrays of any shape; it has d coordinates.
      **_: ignored.

    Returns:
      A scalar, in the units of the parameters.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow import metrics
      >>> print(metrics.update_rms({"a": jnp.array([3.0, -4.0]), "b": jnp.zeros(2)}))
      2.5
    """
    return _norm(updates) / size(updates) ** 0.5


def largest_update(updates: Any, **_: Any) -> jax.Array:
    r"""The largest step of any coordinate, which rises before loss spikes.

    .. math:: \max_i |u_i|

    Over the learning rate, and without weight decay, it is at most 1 for S3 (Theorem 2) and 7.27
    for Adam with decays 0.9 and 0.999 (Theorem 1, :func:`gradpow.theory.adam_update_bound`).

    Args:
      updates: a tree of arrays of any shape.
      **_: ignored.

    Returns:
      A scalar, in the units of the parameters.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow import metrics
      >>> print(metrics.largest_update({"a": jnp.array([3.0, -4.0]), "b": jnp.zeros(2)}))
      4.0

    References:
      Peng et al. (2025), Section III and Figure 3.
    """
    dtype = scalar_dtype(updates)
    each = [jnp.max(jnp.abs(u), initial=0).astype(dtype) for u in jax.tree.leaves(updates)]
    return jnp.max(jnp.stack(each)) if each else jnp.zeros([], dtype)


def sign_agreement(updates: Any, grad: Any, **_: Any) -> jax.Array:
    r"""The share of coordinates whose step goes against the gradient: downhill.

    .. math:: \frac{|\{i : u_i g_i < 0\}|}{|\{i : u_i g_i \neq 0\}|}

    It is what AMS, Grams and Cautious act on: of Grams it is 1, and Cautious masks the rest. In a
    chain before the learning rate, where the update is not yet negated, it is 1 minus this.

    Args:
      updates: a tree of arrays of any shape.
      grad: the raw gradient, of the same structure.
      **_: ignored.

    Returns:
      A scalar in [0, 1].

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow import metrics
      >>> u, g = jnp.array([-1.0, 1.0, 2.0, -0.5, 0.0]), jnp.array([1.0, -1.0, 1.0, 2.0, 1.0])
      >>> print(metrics.sign_agreement(u, g))
      0.75

    References:
      AMS authors (2025), Section 3.
    """
    # Signs, since the product of two small numbers underflows; float32 sums of counts err by less
    # than 1e-7 of them, where integers would overflow beyond 2^31 coordinates.
    dtype = scalar_dtype((updates, grad))
    signs = jax.tree.leaves(jax.tree.map(lambda u, g: jnp.sign(u) * jnp.sign(g), updates, grad))
    none = jnp.zeros([], dtype)
    downhill = sum((jnp.sum(s < 0, dtype=dtype) for s in signs), start=none)
    both = sum((jnp.sum(s != 0, dtype=dtype) for s in signs), start=none)
    return downhill / jnp.maximum(both, 1)


def effective_rate(updates: Any, grad: Any, **_: Any) -> jax.Array:
    r"""The learning rate at which SGD would take a step of this size.

    .. math:: \|u\|_2 \,/\, \|g\|_2

    Args:
      updates: a tree of arrays of any shape.
      grad: the raw gradient, of the same structure.
      **_: ignored.

    Returns:
      A scalar, from 0 on; 0 where the gradient is 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow import metrics
      >>> print(metrics.effective_rate(jnp.array([3.0, -4.0]), jnp.array([0.0, 10.0])))
      0.5
    """
    return guarded_divide(_norm(updates), _norm(grad))


def relative_update(updates: Any, params: Any, **_: Any) -> jax.Array:
    r"""The size of the step relative to that of the parameters.

    .. math:: \|u\|_2 \,/\, \|\theta\|_2

    Args:
      updates: a tree of arrays of any shape.
      params: the parameters, of the same structure.
      **_: ignored.

    Returns:
      A scalar, from 0 on; 0 where all parameters are 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow import metrics
      >>> print(metrics.relative_update(jnp.array([3.0, -4.0]), jnp.array([0.0, 10.0])))
      0.5
    """
    return guarded_divide(_norm(updates), _norm(params))


def _norm(tree: Any) -> jax.Array:
    return jnp.sqrt(sum_of_squares(tree))
