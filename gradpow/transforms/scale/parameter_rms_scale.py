"""Scaling by the parameters' root mean square: Su (2023)."""

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Scalar, check, require_params, square_root

__all__ = ["parameter_rms_scale"]


def parameter_rms_scale(
    rows: bool = False, min_scale: Scalar = 0.0
) -> optax.GradientTransformation:
    r"""Multiplies the update by the root mean square of its parameters, a relative step.

    .. math::
      u \leftarrow u \max\bigl((\textstyle\sum_i \theta_i^2 / d)^{1/2},\ \mathrm{floor}\bigr)

    The mean is taken over a tensor or, with ``rows``, over its last axis, for each token of an
    embedding by itself. It is that of :func:`optax.scale_by_param_block_rms`, which has no rows.
    With the floor 0 a tensor of zeros never moves. Stateless.

    Args:
      rows: whether each row has a mean of its own; scalars are rows.
      min_scale: the floor, >= 0. The authors of Tiger have none.

    Returns:
      An :class:`optax.GradientTransformation`; its update needs the parameters.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import parameter_rms_scale
      >>> theta, u = jnp.array([[3.0, 3.0], [4.0, 4.0]]), jnp.ones((2, 2))
      >>> print(parameter_rms_scale(rows=True).update(u, (), theta)[0])
      [[3. 3.]
       [4. 4.]]

    References:
      Su (2023), ``tiger.py``.
    """
    check("finite and >= 0", min_scale=min_scale)

    def update(updates, state, params=None):
        require_params("parameter_rms_scale", params)

        def scale(u, theta):
            axis = -1 if rows and theta.ndim else None
            return jnp.maximum(_root_mean_square(theta, axis), min_scale).astype(u.dtype) * u

        return jax.tree.map(scale, updates, params), state

    return optax.GradientTransformation(optax.init_empty_state, update)


def _root_mean_square(x: jax.Array, axis: int | None) -> jax.Array:
    """0 for zeros and for an empty array, with a slope of 0 there."""
    size = float(x.size if axis is None else x.shape[axis])  # which int32 may not hold
    mean = jnp.sum(x * x, axis, keepdims=True) / max(size, 1.0)
    return square_root(mean)
