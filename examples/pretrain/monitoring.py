"""What --monitor logs beside the losses: `gradpow.metrics`, around the whole optimizer."""

import functools
import math
from typing import Any

import jax
import optax

from gradpow import metrics

from .names import name_of


def monitored(
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    hyper: dict[str, float],
    params: Any,
) -> optax.GradientTransformation:
    """The optimizer, watched; of Adam's moments only where it keeps them."""
    watched: dict[str, Any] = {
        "effective_rate": metrics.effective_rate,
        "relative_update": metrics.relative_update,
        "spike_warning": metrics.spike_detector(schedule),
    }
    state = jax.eval_shape(optimizer.init, params)
    if optax.tree.get_all_with_path(state, "ScaleByAdamState"):
        decays = {key: hyper[key] for key in ("b1", "b2")}
        noise = functools.partial(metrics.noise_to_signal, **decays)
        watched["noise_to_signal"] = noise
        watched["noise_to_signal_of"] = functools.partial(noise, per_tensor=True)
        watched["eps_share"] = functools.partial(
            metrics.eps_share, b2=hyper["b2"], eps=hyper["eps"]
        )
    return metrics.monitored(optimizer, watched)


def measurements(opt_state: optax.OptState) -> dict[str, float]:
    """Fetched from the device, by name; nothing where the optimizer is not watched."""
    if not isinstance(opt_state, metrics.MonitoredState):
        return {}
    found = jax.device_get(opt_state.measurements)
    leaves = jax.tree_util.tree_leaves_with_path(found)
    # Under jax_debug_nans -1 stands for what is unknown.
    return {name_of(path): float(x) if x >= 0 else math.nan for path, x in leaves}
