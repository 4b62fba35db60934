"""Removal of the radial part: Heo et al. (2021), Algorithms 1 and 2."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    Scalar,
    check,
    check_optional_rate,
    full_mask,
    guarded_divide,
    require_grad,
    require_mask,
    require_params,
    square_root,
    value_at,
)

__all__ = ["RemoveRadialState", "remove_radial"]


class RemoveRadialState(NamedTuple):
    """State of :func:`remove_radial`: count, the steps taken."""

    count: jax.typing.ArrayLike


def remove_radial(
    delta: Scalar = 0.1,
    weight_decay: optax.ScalarOrSchedule | None = None,
    wd_ratio: Scalar = 0.1,
    eps: Scalar = 1e-8,
    axis: int = -1,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Removes the part of the update along weights whose length does not matter.

    Scale-invariant weights have gradients at right angles to them, by which they are known. For the
    channels c of a tensor, each of d coordinates, else for the whole tensor as one channel, else
    not at all:

    .. math::
      \text{if } \max_c |\cos(\theta_c, g_c)| < \delta / \sqrt{d}: \quad
      u_c \leftarrow u_c - \frac{\langle \theta_c, u_c \rangle}{\|\theta_c\|^2}\, \theta_c, \quad
      \lambda \leftarrow \rho \lambda; \qquad\quad u \leftarrow u + \lambda \theta

    The decay stands in this link because it depends on what was removed. Tensors of less than two
    axes keep their update and decay in full. g is the extra argument ``grad``. Four sums a channel:
    two passes, and where a summed axis is sharded a sum over the devices.

    Args:
      delta: finite and >= 0; 0.1 in the paper. 0 removes nothing but where a gradient is 0.
      weight_decay: lambda, a number >= 0 or a schedule, or None for no decay.
      wd_ratio: rho, the share of the decay that is left, in [0, 1].
      eps: lower bound of the norms in the cosine, and added to those of the weights below, >= 0.
      axis: the axis of the channels: the last of a Flax kernel, the first in PyTorch.
      mask: which leaves decay, as in :func:`optax.add_decayed_weights`; None for all.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs the parameters and
      ``grad``, which :func:`gradpow.chain` passes on.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import remove_radial
      >>> theta, g = jnp.array([[2.0], [0.0]]), jnp.array([[0.0], [1.0]])
      >>> tx, u = remove_radial(), jnp.array([[5.0], [7.0]])
      >>> tx.update(u, tx.init(theta), theta, grad=g)[0].ravel()
      Array([0., 7.], dtype=float32)

    References:
      Heo et al. (2021), Algorithms 1 and 2, and ``adamp.py`` of its authors.
    """
    check("finite and >= 0", delta=delta, eps=eps)
    check("in [0, 1]", wd_ratio=wd_ratio)
    check_optional_rate(weight_decay=weight_decay)
    require_mask(mask)

    def init(params):
        del params
        return RemoveRadialState(jnp.zeros([], jnp.int32))

    def update(updates, state, params=None, *, grad=None, **extra_args):
        del extra_args
        require_params("remove_radial", params)
        require_grad("remove_radial", grad, updates)
        decay = value_at(weight_decay, state.count)
        wanted = full_mask(mask, params)

        def remove(u, theta, g, decays):
            left = 1.0
            if u.ndim > 1:
                along, left = _radial(u, theta, g, delta, wd_ratio, eps, axis)
                u = u - along * theta
            if decays and decay is not None:
                u = u + (decay * left * theta).astype(u.dtype)
            return u

        updates = jax.tree.map(remove, updates, params, grad, wanted)
        return updates, RemoveRadialState(optax.safe_increment(state.count))

    return optax.GradientTransformationExtraArgs(init, update)


def _radial(
    u: jax.Array, theta: jax.Array, g: jax.Array, delta: Any, wd_ratio: Any, eps: Any, axis: int
) -> tuple[jax.Array, jax.Array]:
    """How much of theta to take away, by channel, and the share of the decay that is left."""
    others = tuple(i for i in range(u.ndim) if i != range(u.ndim)[axis])
    dots = [jnp.sum(x * y, others, keepdims=True) for x, y in ((theta, theta), (theta, u))]
    dots += [jnp.sum(x * y, others, keepdims=True) for x, y in ((g, g), (theta, g))]

    def view(dots: list[jax.Array], d: int) -> tuple[jax.Array, jax.Array]:
        theta_theta, theta_u, g_g, theta_g = dots
        length = square_root(theta_theta)
        cosine = guarded_divide(jnp.abs(theta_g), jnp.maximum(length, eps))
        cosine = guarded_divide(cosine, jnp.maximum(square_root(g_g), eps))
        found = jnp.max(cosine, initial=0) < delta / max(float(d), 1.0) ** 0.5
        return found, guarded_divide(theta_u, (length + eps) ** 2)

    of_channels, by_channel = view(dots, u.size // max(u.shape[axis], 1))
    of_tensor, by_tensor = view([jnp.sum(dot) for dot in dots], u.size)
    along = jnp.where(of_channels, by_channel, jnp.where(of_tensor, by_tensor, 0))
    return along, jnp.where(of_channels | of_tensor, wd_ratio, 1.0).astype(u.dtype)
