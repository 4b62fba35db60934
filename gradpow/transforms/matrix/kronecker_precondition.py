"""Preconditioned axes: Gupta et al. (2018), Algorithm 1; Duvvuri et al. (2024), Algorithm 1."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from optax.contrib import MuonDimensionNumbers

from gradpow.core import (
    Matrices,
    Scalar,
    check,
    check_choice,
    check_count,
    dimension_numbers,
    from_stack,
    gathered,
    inverse_power,
    is_numbers,
    laid_out_as,
    last_two_axes,
    replicated,
    require_grad,
    require_transformation,
    spreadable,
    square_zeros,
    to_stack,
)

__all__ = ["KroneckerState", "Sides", "kronecker_precondition"]


class Sides(NamedTuple):
    """Matrices of a leaf's two sides: inputs, of its in axis; outputs, of its out axis; or None."""

    inputs: jax.Array | None
    outputs: jax.Array | None


class KroneckerState(NamedTuple):
    """State of :func:`kronecker_precondition`: count, the steps taken; moment, the filter's, of L
    and R of each leaf; roots, their inverse powers as they were last computed.
    """

    count: jax.typing.ArrayLike
    moment: optax.OptState
    roots: Any


@spreadable(keeps_factors=True)
def kronecker_precondition(
    moment: optax.GradientTransformation,
    power: Scalar = 0.25,
    eps: Scalar = 0.0,
    relative: bool = False,
    sides: Literal["both", "inputs", "outputs", "shorter"] = "both",
    combine: Literal["product", "mean"] = "product",
    every: int = 1,
    matrices: Matrices | Any = last_two_axes,
) -> optax.GradientTransformationExtraArgs:
    r"""Multiplies each axis of a matrix by the inverse power of a moment of its gradient's squares.

    .. math::
      L_t &= F(G_t G_t^\top), \qquad R_t = F(G_t^\top G_t), \qquad
      A_t = (L_t + \epsilon I)^{-r}, \qquad B_t = (R_t + \epsilon I)^{-r} \\
      U_t &\leftarrow A_t U_t B_t \quad \text{(product)}, \qquad
      U_t \leftarrow K(K(U_t)),\ K(X) = (A_t X + X B_t) / 2 \quad \text{(mean)}

    G is the gradient, with rows for inputs and columns for outputs. F is a filter, as in
    :func:`gradpow.transforms.moment_scale`: :func:`optax.trace` of 1 sums, :func:`optax.ema`
    averages::

        Shampoo   power=1/4                       CASPR   power=1/4, combine="mean"
        ASGO      power=1/2, sides="shorter"

    Roots are computed at the first step and then every so many, shifted by the number that
    :func:`gradpow.spread` gives a matrix, and kept; they are those of
    :func:`gradpow.core.inverse_power`, which says what becomes of zeros and of rounding. ``grad``
    makes L and R, so that U may be a momentum. A leaf that is no matrix is left as it is. Across
    devices each matrix is whole, and a stack laid out as before.

    Args:
      moment: F, a filter that keeps the shape of what it is fed.
      power: r, finite and > 0.
      eps: added to the eigenvalues, >= 0.
      relative: whether eps is a fraction of their mean, tr(L)/m.
      sides: which of A and B there are; "shorter" is that of the shorter axis, of the inputs if
        both are alike. With one side K(X) is A X or X B.
      combine: "product" or "mean".
      every: how many steps lie between two computations of the roots, a whole number >= 1.
      matrices: which axes of a leaf are in and out, see :func:`gradpow.on_matrices`; by default the
        last two. A vector is then a matrix of one row.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``grad``, which
      :func:`gradpow.chain` passes on.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> from gradpow.transforms import kronecker_precondition
      >>> tx = gradpow.chain(kronecker_precondition(optax.trace(1.0)))
      >>> g = jnp.array([[3.0, 0.0], [0.0, -4.0]])
      >>> print(tx.update(g, tx.init(g))[0].round(3))  # without a past, the polar factor of g
      [[ 1.  0.]
       [ 0. -1.]]

    References:
      Gupta et al. (2018), Algorithm 1; Duvvuri et al. (2024), Algorithm 1; An et al. (2025).
    """
    check("finite and > 0", power=power)
    check("finite and >= 0", eps=eps)
    check_choice(("both", "inputs", "outputs", "shorter"), sides=sides)
    check_choice(("product", "mean"), combine=combine)
    check_count(every=every)
    moment = require_transformation("kronecker_precondition's moment", moment)

    apply = _product if combine == "product" else _mean_twice

    def init(params):
        return _start(moment, matrices, sides, params)

    def update(updates, state, params=None, *, grad=None, matrix_index=0, **extra_args):
        require_grad("kronecker_precondition", grad, updates)
        if not jax.tree.leaves(updates):
            return updates, state
        numbers = dimension_numbers(matrices, updates)
        squares = _of_each(lambda n, g: _squares(n, g, sides), numbers, grad)
        moments, new_moment = moment.update(squares, state.moment, params, **extra_args)

        def new_roots():
            return jax.tree.map(lambda a: _root(a, power, eps, relative), moments)

        refresh = (state.count == 0) | ((state.count - matrix_index) % every == 0)
        roots = jax.lax.cond(refresh, new_roots, lambda: state.roots)
        roots = jax.tree.map(lambda p: replicated(p, 2), roots)
        updates = _of_each(lambda *leaf: _preconditioned(apply, *leaf), numbers, updates, roots)
        return updates, KroneckerState(optax.safe_increment(state.count), new_moment, roots)

    return optax.GradientTransformationExtraArgs(init, update)


def _start(
    moment: optax.GradientTransformation, matrices: Any, sides: str, params: Any
) -> KroneckerState:
    count = jnp.zeros([], jnp.int32)
    # A tree without leaves is optax.tree.map_params', which asks for what is a parameter's.
    if not jax.tree.leaves(params):
        return KroneckerState(count, moment.init(jnp.zeros([])), jnp.zeros([]))
    numbers = dimension_numbers(matrices, params)
    zeros = [_of_each(lambda n, x: _no_squares(n, x, sides), numbers, params) for _ in "FP"]
    return KroneckerState(count, moment.init(zeros[0]), zeros[1])


def _of_each(f: Callable[..., Any], numbers: Any, *trees: Any) -> Any:
    return jax.tree.map(f, numbers, *trees, is_leaf=is_numbers)


def _has(sides: str, rows: int, columns: int) -> tuple[bool, bool]:
    """Whether there is a matrix for the inputs, the rows, and one for the outputs."""
    if sides == "shorter":
        sides = "inputs" if rows <= columns else "outputs"
    return sides != "outputs", sides != "inputs"


def _no_squares(n: MuonDimensionNumbers | None, x: Any, sides: str) -> Sides:
    if n is None:
        return Sides(None, None)
    stack = jax.eval_shape(lambda x: to_stack(x, n), x)
    has = zip(_has(sides, *stack.shape[-2:]), stack.shape[-2:], strict=True)
    return Sides(*(square_zeros(stack, m) if wanted else None for wanted, m in has))


def _squares(n: MuonDimensionNumbers | None, g: jax.Array, sides: str) -> Sides:
    """G G' and G' G."""
    if n is None:
        return Sides(None, None)
    g = gathered(to_stack(g, n))
    has = zip(_has(sides, *g.shape[-2:]), (g, g.mT), strict=True)
    return Sides(*(_gram(x) if wanted else None for wanted, x in has))


def _gram(g: jax.Array) -> jax.Array:
    gram = replicated(jnp.matmul(g, g.mT, precision="highest"), 2)  # small eigenvalues count
    # Of one sign, so that what F keeps becomes infinite at most, never infinity less infinity.
    return jnp.where(jnp.isfinite(gram), gram, jnp.inf)


def _root(a: jax.Array, power: Scalar, eps: Scalar, relative: bool) -> jax.Array:
    mean = jnp.trace(a, axis1=-2, axis2=-1) / a.shape[-1]
    return inverse_power(a, power, eps * mean if relative else eps)


def _preconditioned(
    apply: Callable[[jax.Array, Sides], jax.Array],
    n: MuonDimensionNumbers | None,
    u: jax.Array,
    p: Sides,
) -> jax.Array:
    if n is None:
        return u
    with jax.default_matmul_precision("highest"):  # a weak direction is amplified
        x = apply(gathered(to_stack(u, n)), p)
    return laid_out_as(u, from_stack(x, n, u))


def _product(x: jax.Array, p: Sides) -> jax.Array:
    x = x if p.inputs is None else p.inputs @ x
    return x if p.outputs is None else x @ p.outputs


def _mean_twice(x: jax.Array, p: Sides) -> jax.Array:
    return _mean(_mean(x, p), p)


def _mean(x: jax.Array, p: Sides) -> jax.Array:
    if p.inputs is None or p.outputs is None:
        return _product(x, p)
    return (p.inputs @ x + x @ p.outputs) / 2
