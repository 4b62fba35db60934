"""One rule inside of a subspace, another outside: Liu et al. (2025b), Algorithm 1."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    Basis,
    InCoordinates,
    Matrices,
    last_two_axes,
    reordered,
    require_grad,
    require_transformation,
)

__all__ = ["SplitSubspaceState", "split_subspace"]


class SplitSubspaceState(NamedTuple):
    """State of :func:`split_subspace`: count, the steps; basis, P and Q; those of both rules."""

    count: jax.Array
    basis: Any
    inside: optax.OptState
    outside: optax.OptState


def split_subspace(
    inside: optax.GradientTransformation,
    outside: optax.GradientTransformation,
    basis: Basis,
    matrices: Matrices | Any = last_two_axes,
) -> optax.GradientTransformationExtraArgs:
    r"""Works by one rule in the coordinates of a subspace, and by another on what lies outside.

    .. math::
      u_t \leftarrow P_t\, \mathrm{inside}(P_t^\top u_t Q_t)\, Q_t^\top
      + \mathrm{outside}\bigl(u_t - P_t P_t^\top u_t Q_t Q_t^\top\bigr)

    The rule inside gets the gradient in the same coordinates as ``grad``, the rule outside the
    whole. It is :func:`gradpow.transforms.in_basis` with a second part: there it stands what the
    basis does with the state inside. The state outside is left alone.

    Args:
      inside: a transformation that needs no parameters.
      outside: another, of matrices in the parameters' own layout.
      basis: a rule for fewer vectors than the axis is long, such as
        :func:`gradpow.transforms.oja_basis`.
      matrices: which axes are in and out, as in :func:`gradpow.on_matrices`; leaves without an
        answer are left alone.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``grad``, which
      :func:`gradpow.chain` passes on.

    Raises:
      ValueError: if the basis is made after the step, or has no fewer vectors.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> from gradpow.transforms import oja_basis, split_subspace
      >>> basis = oja_basis(rank=1)
      >>> tx = gradpow.chain(split_subspace(optax.scale(10.0), optax.identity(), basis))
      >>> g = jnp.diag(jnp.array([3.0, 4.0]))
      >>> print(tx.update(g, tx.init(g))[0])
      [[ 3.  0.]
       [ 0. 40.]]

    References:
      Liu et al. (2025b), Algorithm 1.
    """
    inside = require_transformation("split_subspace's inside", inside)
    outside = require_transformation("split_subspace's outside", outside)
    _require_subspace(basis)

    def init(params):
        count = jnp.zeros([], jnp.int32)
        if not jax.tree.leaves(params):  # optax.tree.map_params asks so for what is a parameter's
            return SplitSubspaceState(count, count, inside.init(count), outside.init(params))
        view = InCoordinates(basis, matrices, params)
        bases = view.init(params)
        states = inside.init(view.empty(params, bases)), outside.init(view.only(params))
        return SplitSubspaceState(count, bases, *states)

    def update(updates, state, params=None, *, grad=None, **extra_args):
        del params
        require_grad("split_subspace", grad, updates)
        if not jax.tree.leaves(updates):
            return updates, state
        view = InCoordinates(basis, matrices, updates)
        turned = functools.partial(_turned, view, inside)
        grads = view.stacks(grad)
        bases, kept = view.turn(state.count, state.basis, grads, turned, state.inside)
        c = view.enter(updates, bases, state.count)
        within = view.leave(c, bases, updates)
        rest = view.map(lambda n, u, part: u - part, updates, within)
        seen = {**extra_args, "grad": view.enter(grad, bases, state.count)}
        c, of_inside = inside.update(c, kept, None, **seen)
        seen = {**extra_args, "grad": view.only(grad)}
        rest, of_outside = outside.update(rest, state.outside, None, **seen)
        emitted = view.leave(c, bases, updates, rest)
        count = jnp.asarray(optax.safe_increment(state.count))
        return emitted, SplitSubspaceState(count, bases, view.pinned(of_inside), of_outside)

    return optax.GradientTransformationExtraArgs(init, update)


def _turned(view: InCoordinates, inside: Any, kept: Any, old: Any, new: Any, orders: Any) -> Any:
    del old, new
    return view.on_stacks(reordered, inside, kept, orders)


def _require_subspace(basis: Basis) -> None:
    if basis.late or basis.keeps_shape:
        raise ValueError(
            "split_subspace needs a basis of a subspace, made before the step: pass svd_basis with "
            "a rank, or oja_basis."
        )
