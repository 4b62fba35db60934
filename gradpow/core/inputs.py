"""What one training loop hands to every optimizer: the loss, the gradient, functions of both."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import optax

__all__ = ["full_gradient", "inputs"]

ValueAndGrad = Callable[[Any], tuple[Any, Any]]


def inputs(
    loss_fn: Callable[..., Any],
    has_aux: bool = False,
    around: Callable[[ValueAndGrad], ValueAndGrad] | None = None,
) -> Callable[..., tuple[Any, Any, dict[str, Any]]]:
    """Makes what the update of any optimizer may ask for, of a loss::

        make = gradpow.inputs(loss_fn)

        @jax.jit
        def step(params, state, batch):
            value, grads, extra = make(params, batch)
            updates, state = tx.update(grads, state, params, **extra)
            return optax.apply_updates(params, updates), state, value

    So one loop runs every method. ``extra`` has

    * ``grad``, the gradient, ``value``, the loss, and ``value_fn``, the loss of this batch as a
      function of parameters;
    * ``grad_fn``, the gradient of this batch as a function of parameters, the one that made
      ``grads``: same batch, dropout key, clipping, sums over devices;
    * ``curvature_product``, from a tree v to H v, with the Hessian of this batch at ``params``.

    Functions cost nothing unless an optimizer calls them. Make it inside the function that is
    jitted, and hand ``extra`` to ``optax.with_extra_args_support(tx)``, or to what
    :func:`gradpow.get` returns, which drop what is not asked for.

    Args:
      loss_fn: from params and any further arguments (a batch, keys) to the loss, or to (loss, aux).
      has_aux: whether it returns (loss, aux); the value that is returned first is then that pair.
      around: wraps the function from parameters to (value, grads) of a batch, for what belongs to
        the gradient: the mean over devices, clipping, a loss scale, small batches in turn. It acts
        on the first gradient and on every other alike.

    Returns:
      A function from params and ``loss_fn``'s further arguments to (value, grads, extra).

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> make = gradpow.inputs(lambda theta, x: jnp.sum((theta - x) ** 2))
      >>> value, grads, extra = make(jnp.zeros(2), jnp.ones(2))
      >>> value, grads
      (Array(2., dtype=float32), Array([-2., -2.], dtype=float32))
      >>> extra["grad_fn"](jnp.ones(2)), extra["curvature_product"](jnp.ones(2))
      (Array([0., 0.], dtype=float32), Array([2., 2.], dtype=float32))
    """

    def make(params: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any, dict[str, Any]]:
        def loss(theta: Any) -> Any:
            return loss_fn(theta, *args, **kwargs)

        value_and_grad: ValueAndGrad = jax.value_and_grad(loss, has_aux=has_aux)
        if around is not None:
            value_and_grad = around(value_and_grad)

        def value_of(value: Any) -> Any:
            return value[0] if has_aux else value

        # optax's line searches refuse extra arguments that no function of theirs declares.
        def value_fn(theta: Any, grad_fn: Any = None, curvature_product: Any = None) -> Any:
            del grad_fn, curvature_product
            return value_of(loss(theta)) if around is None else value_of(value_and_grad(theta)[0])

        def grad_fn(theta: Any) -> Any:
            return value_and_grad(theta)[1]

        def curvature_product(v: Any) -> Any:
            return jax.jvp(grad_fn, (params,), (v,))[1]

        value, grads = value_and_grad(params)
        extra = {
            "grad": grads,  # which optax's line searches ask for
            "value": value_of(value),
            "value_fn": value_fn,
            "grad_fn": grad_fn,
            "curvature_product": curvature_product,
        }
        return value, grads, extra

    return make


def full_gradient(grad_fn: Callable[..., Any], params: Any, batches: Iterable[Any]) -> Any:
    """The mean of a gradient over batches of one size, for :func:`gradpow.set_anchor`.

    Args:
      grad_fn: from params and a batch to the gradient; jit it.
      params: the point.
      batches: at least one.

    Returns:
      The mean, in the type of the gradients.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp
      >>> grad_fn = jax.grad(lambda theta, x: jnp.sum((theta - x) ** 2))
      >>> gradpow.full_gradient(grad_fn, jnp.zeros(1), [jnp.ones(1), 3 * jnp.ones(1)])
      Array([-4.], dtype=float32)
    """

    def wide(g: jax.Array) -> jax.Array:
        return jnp.asarray(g, jnp.promote_types(g.dtype, jnp.float32))

    total, types, n = None, None, 0
    for batch in batches:
        gradient = grad_fn(params, batch)
        types = jax.tree.map(lambda g: g.dtype, gradient)
        gradient = jax.tree.map(wide, gradient)
        total = gradient if total is None else optax.tree.add(total, gradient)
        n += 1
    if total is None:
        raise ValueError("full_gradient needs at least one batch.")
    return jax.tree.map(lambda g, dtype: jnp.asarray(g / n, dtype), total, types)
