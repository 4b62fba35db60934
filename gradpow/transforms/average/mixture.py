"""Mixture: Pagliardini et al. (2024), Section 3; Xie et al. (2024), Algorithm 1."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Scalar, check, require_transformation, value_at

__all__ = ["MixtureState", "mixture"]


class MixtureState(NamedTuple):
    """State of :func:`mixture`: parts, the states of all; count, the steps taken."""

    parts: tuple[optax.OptState, ...]
    count: jax.typing.ArrayLike


def mixture(
    *terms: tuple[Scalar | optax.Schedule, optax.GradientTransformation],
) -> optax.GradientTransformationExtraArgs:
    r"""Feeds several transformations the same update and sums what they emit, with weights.

    .. math::
      u_t \leftarrow \sum_i w_i(t)\, \mathrm{tx}_i(u_t)

    AdEMAMix adds a slow average to a fast one, Adan the average of the gradient's changes;
    :func:`gradpow.transforms.linear_coupling` is the mixture of two steps with tau and 1 - tau.

    Args:
      terms: pairs of a weight, a finite number or a schedule from the count, which is 0 at the
        first step, and a transformation.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs` that passes extra arguments to all.

    Raises:
      ValueError: if there is none, or a weight is not finite.

    Examples:
      >>> import jax.numpy as jnp, optax
      >>> from gradpow.transforms import mixture
      >>> tx = mixture((1.0, optax.identity()), (10.0, optax.trace(0.5)))
      >>> tx.update(jnp.array([2.0]), tx.init(jnp.zeros(1)))[0]
      Array([22.], dtype=float32)

    References:
      Pagliardini et al. (2024), Section 3; Xie et al. (2024), Algorithm 1.
    """
    if not terms:
        raise ValueError("mixture needs at least one term, a weight and a transformation.")
    weights = [weight for weight, _ in terms]
    check("finite", **{f"weight_{i}": w for i, w in enumerate(weights) if not callable(w)})
    parts = [require_transformation(f"mixture's part {i}", tx) for i, (_, tx) in enumerate(terms)]

    def init(params):
        return MixtureState(tuple(tx.init(params) for tx in parts), jnp.zeros([], jnp.int32))

    def update(updates, state, params=None, **extra_args):
        made = [
            tx.update(updates, part, params, **extra_args)
            for tx, part in zip(parts, state.parts, strict=True)
        ]
        now = [value_at(w, state.count) for w in weights]

        def mixed(*emitted):
            return sum(jnp.asarray(w, u.dtype) * u for w, u in zip(now, emitted, strict=True))

        updates = jax.tree.map(mixed, *(u for u, _ in made))
        new_parts = tuple(part for _, part in made)
        return updates, MixtureState(new_parts, optax.safe_increment(state.count))

    return optax.GradientTransformationExtraArgs(init, update)
