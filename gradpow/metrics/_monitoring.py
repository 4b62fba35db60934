"""Links that evaluate metrics: around an optimizer, or within a chain."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import refuse_foreign_states, require_transformation

from ._special import unknown

__all__ = ["MonitoredState", "measure", "monitored"]

Metric = Callable[..., Any]


class MonitoredState(NamedTuple):
    """State of :func:`monitored`: measurements, the last step's, by name; measuring, the measures'
    states, by name; inner, the state of what is monitored.
    """

    measurements: dict[str, Any]
    measuring: dict[str, Any]
    inner: optax.OptState


def monitored(
    inner: optax.GradientTransformation,
    metrics: Mapping[str, Metric | optax.GradientTransformationExtraArgs],
) -> optax.GradientTransformationExtraArgs:
    r"""Evaluates metrics at every step and keeps what they say in the state.

    .. math:: u, s = \text{inner}(g, s, \theta), \qquad \text{measurements} = f(u, g, \theta, s)

    Updates and inner state are those of ``inner`` alone. The measurements come out of the jitted
    step: fetch them when you log, with ``optax.tree.get(state, "measurements")``. Put it around all
    else, so that ``updates`` are what the parameters get.

    Args:
      inner: any transformation or optimizer.
      metrics: by name, the functions of this module, with ``functools.partial`` for their options,
        or your own, which take updates, grad, params and state by keyword; or, as in
        :func:`optax.monitor`, measures with a state, such as :func:`spike_detector`.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs` with a :class:`MonitoredState`. Before the
      first step measurements are NaN, and -1 under ``jax_debug_nans``, which refuses NaN.

    Raises:
      TypeError: if a metric is neither a function nor a measure, or ``inner`` no transformation.
      ValueError: at init, if a metric reads what the optimizer does not keep; at update, if the
        state is another optimizer's.

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
      {'largest': 0.001, 'eps share': 0.0}

    References:
      :func:`optax.monitor` does this for functions of the updates alone, as a link.
    """
    _require_metrics(metrics)
    inner = require_transformation("monitored's inner", inner)

    def evaluate(measuring, **known):
        measurements, measuring = {}, dict(measuring)
        for name, metric in metrics.items():
            if callable(metric):
                measurements[name] = metric(**known)
            else:
                seen = {key: known[key] for key in ("params", "grad")}
                measurements[name], measuring[name] = metric.update(
                    known["updates"], measuring[name], **seen
                )
        return measurements, measuring

    def init(params):
        state = inner.init(params)
        measuring = {name: m.init(params) for name, m in metrics.items() if not callable(m)}
        known = {"updates": params, "grad": params, "params": params, "state": state}
        shapes, _ = jax.eval_shape(lambda known: evaluate(measuring, **known), known)
        return MonitoredState(jax.tree.map(_unknown, shapes), measuring, state)

    def update(updates, state, params=None, **extra_args):
        steps, new_inner = inner.update(updates, state.inner, params, **extra_args)
        measurements, measuring = evaluate(
            state.measuring, updates=steps, grad=updates, params=params, state=new_inner
        )
        # Gradients of another type than the parameters must not change that of the state.
        measurements = {
            name: jax.tree.map(_like, found, state.measurements[name])
            for name, found in measurements.items()
        }
        return steps, MonitoredState(measurements, measuring, new_inner)

    return optax.GradientTransformationExtraArgs(init, refuse_foreign_states(init, update))


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


def _like(x: Any, other: jax.Array) -> jax.Array:
    return jnp.asarray(x, other.dtype)


def _unknown(x: Any) -> jax.Array:
    nothing = unknown(x.dtype) if jnp.issubdtype(x.dtype, jnp.inexact) else 0
    return jnp.full(x.shape, nothing, x.dtype)


def _require_metrics(metrics: Any) -> None:
    if not isinstance(metrics, Mapping):
        raise TypeError(f"metrics must be a mapping from names to metrics, not {metrics!r}.")
    for name, metric in metrics.items():
        if not callable(metric):
            require_transformation(f"metrics[{name!r}], unless it is a function,", metric)
