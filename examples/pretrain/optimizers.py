"""Every optimizer by name, with its paper's hyper-parameters, and the learning-rate schedules.

What decays, and what Muon orthogonalises, goes by the names of parameters, never by their number of
axes: where layers are stacked in one tensor, a norm's scale has two.
"""

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax
from optax.contrib import MuonDimensionNumbers

import gradpow
from gradpow.transforms import decay_stepped_weights

from .errors import UserError
from .names import by_path


def decays(path: str) -> bool:
    """Weight decay falls on embeddings and matrices, not on norms and biases."""
    return not re.search(r"norm|(^|/)ln_|(bias|scale)$", path)


def hidden_matrices(path: str, leaf: Any) -> MuonDimensionNumbers | None:
    """Muon takes the projections of attention, MLPs, experts and routers; AdamW all else.

    The last two axes are in and out; those before them count layers and experts.
    """
    path = path.removesuffix("/value")
    if not re.search(r"(_proj|c_fc|mlp/gate)(/kernel)?$", path):
        return None
    return MuonDimensionNumbers(leaf.ndim - 2, leaf.ndim - 1)


def per_layer(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """Gives each layer of a stacked tensor what `tx` gives a tensor: a normaliser of its own.

    `optax.partition` with two copies of `tx`, one of them mapped over the first axis of
    everything below "layers".
    """
    tx = optax.with_extra_args_support(tx)

    def update(updates, state, params=None, **extra_args):
        del extra_args  # AMS and Cautious take their gradient from their own chain
        return jax.vmap(tx.update)(updates, state, params)

    stacked = optax.GradientTransformationExtraArgs(jax.vmap(tx.init), update)
    labels = by_path(lambda path: "layers" if path.startswith("layers/") else "rest")
    return optax.partition({"layers": stacked, "rest": tx}, labels)


def _decay_after(factory: Callable[..., optax.GradientTransformation]) -> Callable[..., Any]:
    """For factories without weight decay: decoupled, after the step."""

    def build(learning_rate, weight_decay, mask, **hyper):
        return optax.chain(
            factory(learning_rate, **hyper),
            decay_stepped_weights(lambda count: learning_rate(count) * weight_decay, mask),
        )

    return build


def _decay_in_gradient(factory: Callable[..., optax.GradientTransformation]) -> Callable[..., Any]:
    """L2 regularisation, the "weight decay" of Adam and SGD: added to the gradient."""

    def build(learning_rate, weight_decay, mask, **hyper):
        return optax.chain(
            optax.add_decayed_weights(weight_decay, mask), factory(learning_rate, **hyper)
        )

    return build


def _gradpower_lion(learning_rate, weight_decay, mask, p, b1, b2):
    return gradpow.gradpower(optax.lion(learning_rate, b1, b2, None, weight_decay, mask), p)


_muonpower = functools.partial(gradpow.muonpower, hidden=hidden_matrices)
_muon = functools.partial(_muonpower, p=1.0)  # with the power 1 it is Muon itself


@_decay_after  # within Cautious the decay would be masked too
def _cautious_muon(learning_rate, **hyper):
    return gradpow.cautious(_muon(learning_rate, weight_decay=0.0, **hyper))


class Optimizer(NamedTuple):
    factory: Callable[..., optax.GradientTransformation]  # of rate, weight_decay, mask, **hyper
    hyper: dict[str, float]
    normalises: bool = False  # per tensor, and so per layer where layers are stacked


ADAM = {"b1": 0.9, "b2": 0.95, "eps": 1e-8}  # GradPower, Section 3.1
MUON = {"beta": 0.95, "consistent_rms": 0.2, **ADAM}  # Moonlight, as in GradPower, Appendix B.2
LION = {"b1": 0.95, "b2": 0.98}  # S3, appendix, for language models
STACEY = {"b1": 0.9, "b2": 0.99, "alpha": 0.01, "tau": 0.001}  # STACEY, Table 7
AMS = {"b1": 0.9, "b2": 0.95, "eps": 1e-6}  # AMS, Table 3
OPTIMIZERS: dict[str, Optimizer] = {
    # baselines
    "adamw": Optimizer(optax.adamw, ADAM),
    "adam": Optimizer(_decay_in_gradient(optax.adam), ADAM),
    "sgd": Optimizer(_decay_in_gradient(optax.sgd), {"momentum": 0.9}),
    "lion": Optimizer(optax.lion, LION),
    "muon": Optimizer(_muon, MUON),
    # GradPower: Section 3.1, eq. (4), Appendix B.2; sgdpower with Powerball's p
    "adampower": Optimizer(gradpow.adampower, {"p": 1.2, **ADAM}),
    "adagradpower": Optimizer(_decay_after(gradpow.adagradpower), {"p": 1.2, "eps": 1e-8}),
    "sgdpower": Optimizer(_decay_after(gradpow.sgdpower), {"p": 0.5, "momentum": 0.9}),
    "muonpower": Optimizer(_muonpower, {"p": 1.2, **MUON}),
    "gradpower_lion": Optimizer(_gradpower_lion, {"p": 1.2, **LION}),
    # S3, appendix
    "s3": Optimizer(gradpow.s3, {"b": 0.95, "p": 3.0, "eps": 0.0}),
    # STACEY (p, 2), (p, p), (2, p): Table 7 and Algorithms 2, 3, 4; and Algorithm 1
    "stacey": Optimizer(gradpow.stacey, {"p": 2.8, "mirror_p": 2.0, **STACEY, "eps": 1e-8}),
    "stacey_pp": Optimizer(gradpow.stacey, {"p": 3.0, "mirror_p": 3.0, **STACEY, "eps": 1e-8}),
    "stacey_2p": Optimizer(gradpow.stacey, {"p": 2.0, "mirror_p": 2.8, **STACEY, "eps": 0.0}),
    "lp_descent": Optimizer(_decay_after(gradpow.lp_descent), {"p": 3.0}),
    # AMS, Table 3: AMS, Grams, Cautious
    "ams": Optimizer(gradpow.ams, {**AMS, "b3": 0.0, "negative_scale": -1.0}, normalises=True),
    "grams": Optimizer(gradpow.grams, AMS),
    "cautious_adam": Optimizer(gradpow.cautious_adam, AMS, normalises=True),
    "cautious_lion": Optimizer(gradpow.cautious_lion, {"b1": 0.9, "b2": 0.95}, normalises=True),
    "cautious_muon": Optimizer(_cautious_muon, MUON, normalises=True),
}


def make_optimizer(
    optimizer: str,
    schedule: optax.Schedule,
    *,
    weight_decay: float,
    hyper: dict[str, float],
    clip: float,
    stacked: bool,
) -> optax.GradientTransformation:
    """Clipping by the global norm (0: none), and then the optimizer."""
    entry = OPTIMIZERS[optimizer]
    try:
        tx = entry.factory(schedule, weight_decay=weight_decay, mask=by_path(decays), **hyper)
    except (TypeError, ValueError) as error:
        raise UserError(f"--optimizer {optimizer}: {error}") from None
    if entry.normalises and stacked:
        tx = per_layer(tx)
    return optax.chain(optax.clip_by_global_norm(clip), tx) if clip else tx


def make_schedule(
    kind: str, peak: float, *, steps: int, warmup: int, final_fraction: float
) -> optax.Schedule:
    """Linear from 0 to `peak` over `warmup` steps, then by `kind`, down to final_fraction * peak.

    "wsd" is constant up to 80% of the steps and then linear (GradPower, Section 3.1).
    """
    if not 0 <= warmup < steps:
        raise UserError(f"--warmup must be at least 0 and below --steps {steps}, not {warmup}")
    end = final_fraction * peak
    if kind == "wsd":
        if warmup > 0.8 * steps:
            raise UserError(f"--schedule wsd decays from 80% of --steps {steps}: lower --warmup")
        return gradpow.schedules.warmup_stable_decay(peak, steps, warmup, end_factor=final_fraction)
    after = {
        "cosine": optax.cosine_decay_schedule(peak, steps - warmup, final_fraction),
        "linear": optax.linear_schedule(peak, end, steps - warmup),
        "constant": optax.constant_schedule(peak),
    }[kind]
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), after], [warmup])
