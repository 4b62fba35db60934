"""What a basis for a stack of matrices is, and how a step goes into it, out of it, and with it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core.axes import Matrices, dimension_numbers
from gradpow.core.numbers import Scalar
from gradpow.core.replicated import laid_out_as, replicated, whole
from gradpow.core.stacks import from_stack, is_numbers, to_stack

__all__ = ["Basis", "InCoordinates", "Turned", "check_rank", "reordered", "rotated"]


class Turned(NamedTuple):
    """A basis after a refresh: state; order, from where its columns come, of each side."""

    state: Any
    order: tuple[jax.Array | None, jax.Array | None] = (None, None)


class Basis(NamedTuple):
    """A rule for two matrices with orthonormal columns, P of the in axis and Q of the out axis.

    Its functions take stacks (..., in, out). A state has the fields p and q, of which one is None
    where an axis keeps its own coordinates: x becomes P'xQ, and returns as PyQ'.

    Args:
      init: from shape and type of a stack to a state.
      start: from a state and the first gradient to the first basis.
      refresh: from a state and a gradient to :class:`gradpow.core.Turned`.
      every: how many steps lie between refreshes.
      keeps_shape: whether both matrices are square.
      observe: from a state and a gradient to a state, at each step; None for nothing.
      late: whether a basis is made after the step, for the next: then the first step makes a basis
        and nothing else.
    """

    init: Callable[[tuple[int, ...], Any], Any]
    start: Callable[[Any, jax.Array], Any]
    refresh: Callable[[Any, jax.Array], Turned]
    every: Scalar
    keeps_shape: bool
    observe: Callable[[Any, jax.Array], Any] | None = None
    late: bool = False


class InCoordinates:
    """A basis for each matrix of a tree: what links in a basis share.

    Trees inside have :class:`optax.MaskedNode` where a leaf is no matrix. Where a basis keeps the
    shape they have the parameters' own layout, else they are stacks.
    """

    def __init__(self, basis: Basis, matrices: Matrices | Any, tree: Any):
        self.basis = basis
        self.numbers = dimension_numbers(matrices, tree)

    def map(self, f: Callable[..., Any], *trees: Any) -> Any:
        """f of the numbers and the parts of each matrix."""
        return jax.tree.map(
            lambda n, *parts: optax.MaskedNode() if n is None else f(n, *parts),
            self.numbers,
            *trees,
            is_leaf=is_numbers,
        )

    def only(self, tree: Any) -> Any:
        """The leaves that are matrices."""
        return self.map(lambda n, x: x, tree)

    def stacks(self, tree: Any) -> Any:
        return self.map(lambda n, x: to_stack(whole(x), n), tree)

    def init(self, params: Any) -> Any:
        """The states before the first step."""

        def of_leaf(n, x):
            stack = jax.eval_shape(lambda x: to_stack(x, n), x)
            return self.basis.init(stack.shape, stack.dtype)

        return self.map(of_leaf, params)

    def empty(self, params: Any, bases: Any) -> Any:
        """Zeros of the shapes that trees have inside, from which states are made."""
        if self.basis.keeps_shape:
            return self.only(params)

        def of_leaf(n, x, b):
            shape = jax.eval_shape(lambda x, b: _into(to_stack(x, n), b), x, b)
            return jnp.zeros(shape.shape, shape.dtype)

        return self.map(of_leaf, params, bases)

    def enter(self, tree: Any, bases: Any, count: jax.Array) -> Any:
        """Into coordinates.

        At the first step a basis is that of the first gradient, most of whose coordinates are 0
        but for rounding, and Adam would make steps of full length of what rounding left.
        """

        def of_leaf(n, x, b):
            y = _into(to_stack(whole(x), n), b)
            if not self.basis.late:
                y = jnp.where((count == 0) & _is_rounding(y), 0, y)
            return laid_out_as(x, from_stack(y, n, x)) if self.basis.keeps_shape else y

        return self.map(of_leaf, tree, bases)

    def leave(self, tree: Any, bases: Any, like: Any, rest: Any = None) -> Any:
        """Back into the parameters' layout; a leaf that is no matrix is that of ``like``.

        Args:
          tree: coordinates.
          bases: the states.
          like: a tree of the parameters.
          rest: what is added to matrices, in the parameters' layout.
        """

        def of_leaf(n, x, y, b, *rest):
            if n is None:
                return x
            y = to_stack(whole(y), n) if self.basis.keeps_shape else y
            return sum(rest, laid_out_as(x, from_stack(_out_of(y, b), n, x)))

        trees = [like, tree, bases, *([] if rest is None else [rest])]
        return jax.tree.map(of_leaf, self.numbers, *trees, is_leaf=is_numbers)

    def turn(
        self, count: jax.Array, bases: Any, grads: Any, move: Any, kept: Any, shift: Any = 0
    ) -> Any:
        """The bases after this step's gradients, and what is kept in them.

        Args:
          count: of the steps before.
          bases: the states.
          grads: stacks.
          move: from the kept, the old and the new bases and their orders to the kept.
          kept: states of links inside.
          shift: of the steps at which a basis is refreshed.
        """
        basis, grads = self.basis, jax.lax.stop_gradient(grads)
        if basis.observe is not None:
            observe = basis.observe
            bases = self.map(lambda n, b, g: observe(b, g), bases, grads)

        def start():
            return self.map(lambda n, b, g: basis.start(b, g), bases, grads), kept

        def refresh():
            turned = self.map(lambda n, b, g: basis.refresh(b, g), bases, grads)
            new = self.map(lambda n, t: t.state, turned)
            return new, move(kept, bases, new, self.map(lambda n, t: t.order, turned))

        due = jnp.mod(count - shift, jnp.asarray(basis.every, count.dtype)) == 0
        branch = jnp.where(count == 0, 0, jnp.where(due, 1, 2))
        new, kept = jax.lax.switch(branch, [start, refresh, lambda: (bases, kept)])
        return jax.tree.map(replicated, new), kept

    def pinned(self, state: Any) -> Any:
        """The state of a link inside, laid out as it was made: what is no parameter's is whole."""
        return state if self.basis.keeps_shape else jax.tree.map(replicated, state)

    def on_stacks(self, f: Callable[..., jax.Array], tx: Any, state: Any, *trees: Any) -> Any:
        """Maps f over what stands in a matrix's place in the state of a link inside, as stacks."""

        def of_leaf(x, n, *parts):
            if not self.basis.keeps_shape:
                return f(x, *parts)
            y = from_stack(f(to_stack(whole(x), n), *parts), n, x)
            return laid_out_as(x, y)

        numbers = self.map(lambda n: n)
        return optax.tree.map_params(tx, of_leaf, state, numbers, *trees)


def rotated(x: jax.Array, old: Any, new: Any) -> jax.Array:
    """Coordinates in the old basis as those in the new one.

    Examples:
      >>> import jax.numpy as jnp
      >>> from types import SimpleNamespace
      >>> from gradpow.core import rotated
      >>> old = SimpleNamespace(p=jnp.eye(2), q=None)
      >>> new = SimpleNamespace(p=jnp.array([[0.0, -1.0], [1.0, 0.0]]), q=None)
      >>> print(rotated(jnp.array([[3.0], [4.0]]), old, new).T)
      [[ 4. -3.]]
    """
    return _into(_out_of(x, old), new)


def reordered(x: jax.Array, order: Any) -> jax.Array:
    """Rows and columns from where the orders say, None being as they are.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import reordered
      >>> print(reordered(jnp.array([[3.0], [4.0]]), (jnp.array([1, 0]), None)).T)
      [[4. 3.]]
    """
    rows, columns = order
    if rows is not None:
        x = jnp.take_along_axis(x, rows[..., :, None], -2)
    return x if columns is None else jnp.take_along_axis(x, columns[..., None, :], -1)


def check_rank(**arguments: Any) -> None:
    """Raises unless each is a Python integer above 0, which shapes depend on, or None.

    Examples:
      >>> from gradpow.core import check_rank
      >>> check_rank(rank=128)
      >>> check_rank(rank=0)
      Traceback (most recent call last):
        ...
      ValueError: rank must be an integer above 0, known before tracing, not 0.
    """
    for name, rank in arguments.items():
        if rank is not None and (not isinstance(rank, int) or isinstance(rank, bool) or rank < 1):
            raise ValueError(
                f"{name} must be an integer above 0, known before tracing, not {rank!r}."
            )


def _is_rounding(y: jax.Array) -> jax.Array:
    """What errs in products of matrices and in decompositions, some roundings of the largest."""
    largest = jnp.max(jnp.abs(y), (-2, -1), keepdims=True, initial=0)
    return jnp.abs(y) <= 4 * max(y.shape[-2:]) ** 0.5 * jnp.finfo(y.dtype).eps * largest


def _into(x: jax.Array, basis: Any) -> jax.Array:
    x = x if basis.p is None else basis.p.mT @ x
    return x if basis.q is None else x @ basis.q


def _out_of(y: jax.Array, basis: Any) -> jax.Array:
    y = y if basis.p is None else basis.p @ y
    return y if basis.q is None else y @ basis.q.mT
