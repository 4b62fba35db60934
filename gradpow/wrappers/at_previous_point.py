"""Gradients at the previous point: Cutkosky and Orabona (2019), Algorithm 1."""

from typing import Any, NamedTuple

import optax

from gradpow.core import (
    copied,
    reference_gradient,
    refuse_multi_steps,
    require_params,
    require_transformation,
    set_own,
)

__all__ = ["AtPreviousPointState", "at_previous_point"]


class AtPreviousPointState(NamedTuple):
    """State of :func:`at_previous_point`: point, theta_{t-1}; inner, the wrapped state."""

    point: optax.Params
    inner: optax.OptState

    def set_anchor(self, params: Any, full_gradient: Any) -> "AtPreviousPointState":
        inner = set_own(self.inner, params, full_gradient)
        return AtPreviousPointState(copied(params, self.point), inner)


def at_previous_point(
    inner: optax.GradientTransformation,
) -> optax.GradientTransformationExtraArgs:
    r"""Hands the links inside this batch's gradient at the last step's parameters.

    .. math::
      r_t = \nabla f(\theta_{t-1}, \xi_t), \qquad \theta_0 = \theta_1

    They receive r as the extra argument ``reference_grad``, as they receive ``grad`` from
    :func:`gradpow.chain`: :func:`gradpow.transforms.recursive_momentum` (STORM, SARAH) and
    :func:`gradpow.transforms.gradient_correction` (MARS) read it. The second gradient doubles the
    work of a step. Keeps a copy of the parameters.

    Stands outside of :func:`optax.masked` and :func:`optax.partition`, since a model needs all of
    its parameters, and never inside :class:`optax.MultiSteps`: accumulate inside ``grad_fn``.
    Clipping and scaling of gradients belong into ``grad_fn`` too, or behind the correction.

    Args:
      inner: an optimizer, or links.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs the parameters and
      ``grad_fn``, the function of the parameters that made the gradient, as
      :func:`gradpow.inputs` hands it, or the loop's own ``reference_grad``.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp, optax
      >>> from gradpow.transforms import recursive_momentum
      >>> tx = gradpow.at_previous_point(gradpow.chain(recursive_momentum(0.5), optax.sgd(0.1)))
      >>> grad_fn = jax.grad(lambda theta: jnp.sum(theta**2))
      >>> theta = jnp.ones(1)
      >>> tx.update(grad_fn(theta), tx.init(theta), theta, grad_fn=grad_fn)[0]
      Array([-0.2], dtype=float32)

    References:
      Cutkosky and Orabona (2019), Algorithm 1, line 7.
    """
    inner = require_transformation("at_previous_point's inner", inner)

    def init(params):
        return AtPreviousPointState(copied(params, params), inner.init(params))

    def update(updates, state, params=None, *, grad_fn=None, reference_grad=None, **extra_args):
        require_params("at_previous_point", params)
        refuse_multi_steps("at_previous_point")
        r = reference_gradient("at_previous_point", state.point, updates, grad_fn, reference_grad)
        extra_args |= {"reference_grad": r, "grad_fn": grad_fn}
        updates, new_inner = inner.update(updates, state.inner, params, **extra_args)
        return updates, AtPreviousPointState(copied(params, state.point), new_inner)

    return optax.GradientTransformationExtraArgs(init, update)
