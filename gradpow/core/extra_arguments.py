"""What an update may be handed beside the gradient, and what is said where it is missing."""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gradpow.core.trees import require_like

__all__ = [
    "reference_gradient",
    "refuse_multi_steps",
    "require_grad",
    "require_max_logits",
    "require_params",
    "require_reference",
    "within",
]


def require_params(name: str, params: Any) -> None:
    """Raises, with the remedy, if the link of this name got no parameters.

    Examples:
      >>> from gradpow.core import require_params
      >>> require_params("my_link", None)
      Traceback (most recent call last):
        ...
      ValueError: my_link needs the parameters: call update(grads, state, params).
    """
    if params is None:
        raise ValueError(f"{name} needs the parameters: call update(grads, state, params).")


def require_grad(name: str, grad: Any, updates: Any) -> None:
    """Raises, with the remedy, if the link of this name got no raw gradient, or another tree's.

    Examples:
      >>> from gradpow.core import require_grad
      >>> require_grad("my_link", grad={"w": 1.0}, updates={"w": 2.0})
    """
    if grad is None:
        raise ValueError(
            f"{name} reads the raw gradient beside the update: build the chain with gradpow.chain, "
            "which hands it on, or call update(..., grad=grads). optax.MultiSteps drops it: wrap "
            "the whole chain in MultiSteps, not a link of it."
        )
    if jax.tree.structure(grad) != jax.tree.structure(updates):
        raise ValueError(
            f"{name} got a gradient and an update of different structures: "
            f"{jax.tree.structure(grad)} and {jax.tree.structure(updates)}. Inside a chain, "
            "optax.masked and optax.partition need mask_compatible_extra_args=True around it."
        )


def require_max_logits(name: str, max_logits: Any) -> None:
    """Raises, with the remedy, if the link of this name got no logits of attention.

    Examples:
      >>> from gradpow.core import require_max_logits
      >>> require_max_logits("my_link", {"layers/0/attn": 12.0})
    """
    if max_logits is None:
        raise ValueError(
            f"{name} needs the largest logit of each head: call update(grads, state, params, "
            'max_logits={"layers/0/attn": logits, ...}), {} where there is no attention.'
        )


def within(tree: Any, updates: Any) -> Any:
    """A tree of all parameters, cut where :func:`optax.masked` and ``partition`` cut the updates.

    Examples:
      >>> import optax
      >>> from gradpow.core import within
      >>> within({"a": 1.0, "b": 2.0}, {"a": 3.0, "b": optax.MaskedNode()})
      {'a': 1.0, 'b': MaskedNode()}
    """

    def is_cut(x: Any) -> bool:
        return isinstance(x, optax.MaskedNode)

    return jax.tree.map(lambda u, x: u if is_cut(u) else x, updates, tree, is_leaf=is_cut)


def require_reference(name: str, reference_grad: Any, updates: Any) -> Any:
    """The gradient at the reference point for a link's own leaves, or an error with the remedy.

    In at least float32, as :func:`gradpow.chain` has the updates: the difference of two gradients
    that are nearly equal drowns in the rounding of a narrow type.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import require_reference
      >>> require_reference("my_link", jnp.ones(2, jnp.bfloat16), jnp.zeros(2)).dtype
      dtype('float32')
    """
    if reference_grad is None:
        raise ValueError(
            f"{name} needs this batch's gradient at another point: wrap the optimizer in "
            "gradpow.at_previous_point, at_anchor, gradient_table or lagged_gradient, or call "
            "update(..., reference_grad=grads)."
        )
    reference_grad = within(reference_grad, updates)
    return jax.tree.map(lambda r, u: jnp.asarray(r, u.dtype), reference_grad, updates)


def reference_gradient(
    name: str, point: Any, updates: Any, grad_fn: Any, reference_grad: Any
) -> Any:
    """What a provider hands on: the loop's own ``reference_grad``, or ``grad_fn`` at its point.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from gradpow.core import reference_gradient
      >>> grad_fn = jax.grad(lambda theta: jnp.sum(theta**2))
      >>> reference_gradient("my_provider", jnp.ones(2), jnp.ones(2), grad_fn, None)
      Array([2., 2.], dtype=float32)
    """
    if reference_grad is not None:
        made, found = "reference_grad", reference_grad
    elif grad_fn is not None:
        made, found = "what grad_fn returns", grad_fn(point)
    else:
        raise ValueError(
            f"{name} takes a second gradient of the same batch: call update(grads, state, params, "
            "grad_fn=grad_fn) with the function of the parameters that made grads, as "
            "gradpow.inputs hands it."
        )
    require_like(updates, made, found)
    return found


def refuse_multi_steps(name: str) -> None:
    """Raises if :class:`optax.MultiSteps` is what calls this update.

    It hands on the mean gradient of all its small batches, and the ``grad_fn`` of the last alone;
    nothing in the arguments tells, so the callers are looked at, while the step is traced.

    Examples:
      >>> from gradpow.core import refuse_multi_steps
      >>> refuse_multi_steps("my_provider")
    """
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code is optax.MultiSteps.update.__code__:
            raise ValueError(
                f"{name} cannot stand inside optax.MultiSteps, which hands it the mean gradient of "
                "several batches and the grad_fn of the last: accumulate inside grad_fn, with "
                "gradpow.inputs(loss_fn, around=optax.microbatching.microbatch(...))."
            )
        frame = frame.f_back
