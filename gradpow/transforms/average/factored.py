"""Factored moment: Shazeer and Stern (2018), Section 3."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gradpow.core import guarded_divide, require_transformation

from .pooled import pooled

__all__ = ["FactoredState", "factored"]


class FactoredState(NamedTuple):
    """State of :func:`factored`: rows, the filter's of R; columns, of C."""

    rows: optax.OptState
    columns: optax.OptState


def factored(moment: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    r"""Of a matrix a filter sees the means of rows and of columns, whose product stands for it.

    .. math::
      R = F(\mathrm{mean}_j\, x_{ij}), \qquad C = F(\mathrm{mean}_i\, x_{ij}), \qquad
      y_{ij} = R_i C_j / \mathrm{mean}(R)

    A filter for :func:`gradpow.transforms.moment_scale`, where nothing that comes in is negative;
    among matrices of rank 1 it is the nearest to F(x) in the divergence of Kullback and Leibler.
    Of more than two axes the two longest are factored, as in :func:`optax.adafactor`; the filter
    sees vectors and scalars as they are.

    The state is sharded as the rows and the columns of the parameters are. Where a mean has left
    float32 the columns stand alone, so that what divides by them becomes 0, not NaN.

    Args:
      moment: F, a filter, such as :func:`gradpow.transforms.running_mean`.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`.

    Examples:
      >>> import jax.numpy as jnp, optax
      >>> from gradpow.transforms import factored
      >>> tx, x = factored(optax.trace(1.0)), jnp.array([[1.0, 2.0], [3.0, 6.0]])
      >>> tx.update(x, tx.init(x))[0]  # of rank 1
      Array([[1., 2.],
             [3., 6.]], dtype=float32)

    References:
      Shazeer and Stern (2018), Section 3. That the filter is any is ours.
    """
    moment = require_transformation("factored's moment", moment)
    # Of a vector the rows' filter has the whole, and the columns' as little as can be.
    rows = pooled(moment, lambda _, x: _longest(x)[1] if x.ndim > 1 else (), mean=True)
    columns = pooled(moment, lambda _, x: _longest(x)[0] if x.ndim > 1 else None, mean=True)

    def init(params):
        return FactoredState(rows.init(params), columns.init(params))

    def update(updates, state, params=None, **extra_args):
        r, new_rows = rows.update(updates, state.rows, params, **extra_args)
        c, new_columns = columns.update(updates, state.columns, params, **extra_args)

        def multiply(x, r, c):
            if x.ndim < 2:
                return r
            mean = jnp.mean(r, _longest(x)[0], keepdims=True)
            # In this order, since the product of two small moments leaves float32.
            return jnp.where(jnp.isfinite(mean), guarded_divide(r, mean), 1) * c

        return jax.tree.map(multiply, updates, r, c), FactoredState(new_rows, new_columns)

    return optax.GradientTransformationExtraArgs(init, update)


def _longest(x: jax.Array) -> tuple[int, int]:
    """The second longest axis and the longest."""
    second, first = np.argsort(x.shape, stable=True)[-2:]
    return int(second), int(first)
