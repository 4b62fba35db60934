"""Coordinates of a basis: Vyas et al. (2024), Algorithm 3; Zhao et al. (2024b), Algorithm 2."""

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
    rotated,
    spreadable,
)

__all__ = ["InBasisState", "in_basis"]


class InBasisState(NamedTuple):
    """State of :func:`in_basis`: count, the steps; basis, P and Q; momentum and inner, theirs."""

    count: jax.Array
    basis: Any
    momentum: optax.OptState
    inner: optax.OptState


@spreadable(keeps_factors=True)
def in_basis(
    inner: optax.GradientTransformation,
    basis: Basis,
    momentum: optax.GradientTransformation | None = None,
    matrices: Matrices | Any = last_two_axes,
) -> optax.GradientTransformationExtraArgs:
    r"""Works in the coordinates of a basis, which a rule makes of the gradient now and then.

    .. math::
      u_t \leftarrow P_t\, \mathrm{inner}\bigl(\mathrm{momentum}(P_t^\top u_t Q_t)\bigr)\, Q_t^\top

    Inside, ``grad`` is :math:`P_t^\top g_t Q_t`; there are no parameters. P or Q is the identity
    where a basis has one side. With fewer columns than rows they project, and what lies outside of
    their span is dropped: see :func:`gradpow.transforms.split_subspace`.

    At a refresh inner's state is treated as the basis says. :func:`gradpow.transforms.svd_basis`
    and :func:`gradpow.transforms.oja_basis` keep it as it is, column by column;
    :func:`gradpow.transforms.kronecker_basis` permutes it as it permutes its columns. Momentum is
    for filters that are linear: its state turns with the basis, so that it is the same as if it
    stood outside, for one product less a step. So SOAP is ``in_basis(moment_scale(optax.ema(b2)),
    kronecker_basis(), momentum=optax.ema(b1))``, and AdaDiag ``in_basis(optax.scale_by_adam(),
    svd_basis())``.

    What is 0 at the first step, in the basis of the first gradient itself, is exactly 0, not what
    rounding leaves, of which Adam would make steps of full length. For derivatives bases are
    constants. On TPU the products with P and Q have the precision of
    :func:`jax.default_matmul_precision`, the making of a basis the highest.

    Args:
      inner: a transformation that needs no parameters.
      basis: a rule, such as :func:`gradpow.transforms.kronecker_basis`.
      momentum: a linear filter before inner, such as :func:`optax.ema`; None for none.
      matrices: which axes are in and out, as in :func:`gradpow.on_matrices`; leaves without an
        answer are left alone.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``grad``, which
      :func:`gradpow.chain` passes on.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> from gradpow.transforms import in_basis, svd_basis
      >>> tx = gradpow.chain(in_basis(optax.scale_by_sign(), svd_basis(rank=1)))
      >>> g = jnp.array([[3.0, 4.0], [3.0, 4.0]])  # 1 of 2 rows is left, 2^(1/2) g
      >>> print(jnp.abs(tx.update(g, tx.init(g))[0]).round(3))
      [[0.707 0.707]
       [0.707 0.707]]

    References:
      Vyas et al. (2024), Algorithm 3; Zhao et al. (2024b), Algorithm 2.
    """
    inner = require_transformation("in_basis' inner", inner)
    momentum = require_transformation("in_basis' momentum", momentum or optax.identity())

    def init(params):
        count = jnp.zeros([], jnp.int32)
        if not jax.tree.leaves(params):  # optax.tree.map_params asks so for what is a parameter's
            inside = params if basis.keeps_shape else count
            return InBasisState(count, count, momentum.init(inside), inner.init(inside))
        view = InCoordinates(basis, matrices, params)
        inside = view.empty(params, bases := view.init(params))
        return InBasisState(count, bases, momentum.init(inside), inner.init(inside))

    def update(updates, state, params=None, *, grad=None, matrix_index=0, **extra_args):
        del params
        require_grad("in_basis", grad, updates)
        if not jax.tree.leaves(updates):
            return updates, state
        view = InCoordinates(basis, matrices, updates)
        turn = functools.partial(_turned, view, momentum, inner, view.stacks(grad), matrix_index)
        if not basis.late:
            state = turn(state)
        extra_args["grad"] = view.enter(grad, state.basis, state.count)
        c = view.enter(updates, state.basis, state.count)
        c, of_momentum = momentum.update(c, state.momentum, None, **extra_args)
        c, of_inner = inner.update(c, state.inner, None, **extra_args)
        emitted = view.leave(c, state.basis, updates)
        stepped = state._replace(momentum=view.pinned(of_momentum), inner=view.pinned(of_inner))
        if basis.late:
            still = optax.tree.zeros_like(emitted), state
            emitted, stepped = optax.tree.where(state.count == 0, still, (emitted, stepped))
            stepped = turn(stepped)
        return emitted, stepped._replace(count=optax.safe_increment(state.count))

    return optax.GradientTransformationExtraArgs(init, update)


def _turned(
    view: InCoordinates,
    momentum: Any,
    inner: Any,
    grads: Any,
    matrix_index: Any,
    state: InBasisState,
) -> InBasisState:
    def move(kept, old, new, orders):
        turned = view.on_stacks(rotated, momentum, kept[0], old, new)
        return turned, view.on_stacks(reordered, inner, kept[1], orders)

    kept = state.momentum, state.inner
    bases, kept = view.turn(state.count, state.basis, grads, move, kept, matrix_index)
    return InBasisState(state.count, bases, *kept)
