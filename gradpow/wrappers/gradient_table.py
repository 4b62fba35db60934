"""A table of gradients: Schmidt et al. (2017), Algorithm 1; Defazio et al. (2014), Section 1."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import copied, require_transformation

__all__ = ["GradientTableState", "gradient_table"]


class GradientTableState(NamedTuple):
    """State of :func:`gradient_table`: y, the gradients; mean, of all; inner, the wrapped state."""

    y: optax.Updates
    mean: optax.Updates
    inner: optax.OptState

    def filled(self, table: Any) -> "GradientTableState":
        """With the gradients of all batches in it, a tree with a first axis for the batches."""
        y = copied(table, self.y)
        return GradientTableState(y, jax.tree.map(lambda y: jnp.mean(y, 0), y), self.inner)


def gradient_table(
    size: int, inner: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    r"""Hands the links inside the gradient that this batch had when it was last seen.

    .. math::
      r_t = y_j, \qquad \mu_t = \frac1n \sum_i y_i, \qquad \text{then } y_j \leftarrow g_t

    For n fixed batches, of which the training loop says by ``index`` which one it is at. Links
    receive ``reference_grad`` and ``reference_mean``, which
    :func:`gradpow.transforms.control_variate` reads, with weight 1/n in SAG and 1 in SAGA.

    Keeps n gradients: for convex and small problems. y starts at 0, as in SAG; SAGA starts at the
    gradients of all batches at :math:`\theta_0`: make them a tree with a first axis for the
    batches, and put it in place with ``state.filled(table)``.

    Args:
      size: n, the number of batches, >= 1.
      inner: an optimizer, or links.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``index``, of the batch,
      in [0, n), which is not checked.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> from gradpow.transforms import control_variate
      >>> tx = gradpow.gradient_table(2, control_variate())
      >>> first, state = tx.update(jnp.array([3.0]), tx.init(jnp.zeros(1)), index=0)
      >>> first, tx.update(jnp.array([5.0]), state, index=0)[0]  # 5 - 3 + 3 / 2
      (Array([3.], dtype=float32), Array([3.5], dtype=float32))

    References:
      Schmidt et al. (2017), Algorithm 1; Defazio et al. (2014), Section 1.
    """
    inner = require_transformation("gradient_table's inner", inner)
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ValueError(f"size must be an integer >= 1, not {size!r}: the number of batches.")

    def table(zeros: jax.Array) -> jax.Array:  # broadcast, so that it lies on devices as they do
        return jnp.broadcast_to(zeros, (size, *zeros.shape))

    def init(params):
        zeros = optax.tree.zeros_like(params)
        # Without a leaf for optax.tree.map_params, which must not take a table for a parameter.
        y = jax.tree.map(table, zeros) if jax.tree.leaves(params) else jnp.zeros([])
        return GradientTableState(y, zeros, inner.init(params))

    def update(updates, state, params=None, *, index=None, **extra_args):
        if index is None:
            raise ValueError(
                "gradient_table needs to know which of its batches this is: call "
                f"update(..., index=i) with i from 0 to {size - 1}."
            )
        if not jax.tree.leaves(updates):
            return updates, state
        r = jax.tree.map(lambda y: y[index], state.y)
        given = extra_args | {"reference_grad": r, "reference_mean": state.mean}
        new_updates, new_inner = inner.update(updates, state.inner, params, **given)
        y = jax.tree.map(lambda y, g: y.at[index].set(g.astype(y.dtype)), state.y, updates)
        mean = jax.tree.map(lambda m, g, r: m + (g - r) / size, state.mean, updates, r)
        return new_updates, GradientTableState(y, mean, new_inner)

    return optax.GradientTransformationExtraArgs(init, update)
