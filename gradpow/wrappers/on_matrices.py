"""Matrices apart: Wang et al. (2025), Appendix B.2; Liu et al. (2025), Section 2.2."""

from typing import Any

import jax
import optax

from gradpow.core import (
    Matrices,
    dimension_numbers,
    hidden_matrices,
    is_numbers,
    require_transformation,
)

__all__ = ["on_matrices"]


def on_matrices(
    inner: optax.GradientTransformation,
    rest: optax.GradientTransformation,
    matrices: Matrices | Any = hidden_matrices,
) -> optax.GradientTransformationExtraArgs:
    r"""One optimizer for matrices, another for all else.

    .. math::
      u \leftarrow \mathrm{inner}(u) \text{ for matrices}, \qquad
      u \leftarrow \mathrm{rest}(u) \text{ for other leaves}

    :func:`optax.partition` by what ``matrices`` says, with the labels "matrices" and "rest". Each
    sees its own leaves alone, so what sums over a tree sums over a part. Links such as
    :func:`gradpow.transforms.orthogonalize` take ``matrices`` too, to know which axes are in and
    out. Empty leaves go to the rest. To see the split, print
    ``gradpow.describe_split(params, gradpow.hidden_matrices)``.

    Args:
      inner: an optimizer for matrices.
      rest: an optimizer for all other leaves.
      matrices: which leaves are matrices: a function of path and leaf to ``True`` (a matrix (in,
        out)), ``MuonDimensionNumbers`` (its axes; all others are batch axes, so layers stacked in
        one tensor are ``MuonDimensionNumbers(1, 2)``) or None; or a tree of the same answers, or a
        prefix of one.

    Raises:
      ValueError: at init, if ``matrices`` says True of a leaf that has not two axes.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> params = {"mlp": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}}
      >>> tx = gradpow.on_matrices(optax.sgd(1.0), optax.sgd(0.5))
      >>> tx.update(params, tx.init(params))[0]["mlp"]["bias"]
      Array([-0.5, -0.5], dtype=float32)

    References:
      Wang et al. (2025), Appendix B.2; Liu et al. (2025), Section 2.2.
    """
    parts: dict[Any, optax.GradientTransformation] = {
        "matrices": require_transformation("on_matrices' inner", inner),
        "rest": require_transformation("on_matrices' rest", rest),
    }

    def labels(params: optax.Params) -> Any:
        return jax.tree.map(
            lambda numbers: "rest" if numbers is None else "matrices",
            dimension_numbers(matrices, params),
            is_leaf=is_numbers,
        )

    return optax.partition(parts, labels)
