"""Links that evaluate metrics: around an optimizer, or within a chain."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

Metric = Callable[..., Any]


class MonitoredState(NamedTuple):
    """State of :func:`monitored`: the last step's measurements by name, and the inner state."""

    measurements: dict[str, Any]
    inner: optax.OptState


def monitored(
    inner: optax.GradientTransformation, metrics: Mapping[str, Metric]
) -> optax.GradientTransformationExtraArgs:
    r"""Evaluates metrics at every step and keeps what they say in the state.

    .. math:: u, s = \text{inner}(g, s, \theta), \qquad \text{measurements} = f(u, g, \theta, s)

    Updates and inner state are those of ``inner`` alone. The measurements come out of the jitted
    step: fetch them when you log, with ``optax.tree.get(state, "measurements")``. Put it around all
    else, so that ``updates`` are what the parameters get.

    Args:
      inner: any transformation or optimizer.
      metrics: by name, the functions of this module, with ``functools.partial`` for their options,
        or your own, which take updates, grad, params and state by keyword.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs` with a :class:`MonitoredState`. Before the
      first step measurements are NaN.

    Raises:
      ValueError: at init, if a metric reads what the optimizer does not keep.

    Examples:
      >>> import functools, gradpow, jax.numpy as jnp
      >>> from gradpow import metrics
      >>> tx = metrics.monitored(
      ...   gradpow.grams(1e-3, b2=0.95),
      ...   {
      ...     "largest": metrics.largest_update,
      ...     "eps share": functools.partial(metrics.eps_share, b2=0.95, eps=1e-6),
      ...   },
      ... )
      >>> params = jnp.array([1.0, -2.0])
      >>> updates, state = tx.update(params, tx.init(params), params)
      >>> {name: round(float(x), 6) for name, x in state.measurements.items()}
      {'eps share': 0.0, 'largest': 0.001}

    References:
      :func:`optax.monitor` does this for functions of the updates alone, as a link.
    """
    inner = optax.with_extra_args_support(inner)

    def measurements(updates, grad, params, state):
        known = {"updates": updates, "grad": grad, "params": params, "state": state}
        return {name: metric(**known) for name, metric in sorted(metrics.items())}

    def init(params):
        state = inner.init(params)
        shapes = jax.eval_shape(measurements, params, params, params, state)
        return MonitoredState(jax.tree.map(lambda x: jnp.full_like(x, jnp.nan), shapes), state)

    def update(grad, state, params=None, **extra_args):
        updates, inner_state = inner.update(grad, state.inner, params, **extra_args)
        return updates, MonitoredState(
            measurements(updates, grad, params, inner_state), inner_state
        )

    return optax.GradientTransformationExtraArgs(init, update)


def measure(metric: Metric) -> optax.GradientTransformationExtraArgs:
    r"""Fits a metric of updates, grad and params to :func:`optax.monitor`.

    .. math:: \text{measurement} = f(u, g, \theta)

    ``optax.monitor`` hands plain functions the updates alone. As a link in a :func:`gradpow.chain`
    it stands where you want to look: before the learning rate, say. Functions of the state see
    nothing there: use :func:`monitored` for those. ``optax.monitor`` has its measurements from the
    first step on, so take one step before a ``lax.scan`` over more.

    Args:
      metric: a function of this module, or your own, which takes updates, grad and params by
        keyword.

    Returns:
      A measurement for :func:`optax.monitor`; in a chain it gets grad from :func:`gradpow.chain`.

    Raises:
      TypeError: at update, if the metric needs an argument that is not there.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> from gradpow import metrics
      >>> tx = gradpow.chain(
      ...   optax.sgd(0.1, momentum=0.9),
      ...   optax.monitor({"agreement": metrics.measure(metrics.sign_agreement)}),
      ... )
      >>> _, state = tx.update(jnp.array([1.0, -1.0]), tx.init(jnp.zeros(2)))
      >>> _, state = tx.update(jnp.array([-0.1, -1.0]), state)
      >>> print(optax.tree.get(state, "agreement"))
      0.5

    References:
      :func:`optax.monitor`.
    """

    def update(updates, state, params=None, *, grad=None, **extra_args):
        del extra_args
        given = {"updates": updates, "grad": grad, "params": params}
        return metric(**{k: v for k, v in given.items() if v is not None}), state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)
