"""Every optimizer by name, with its paper's hyper-parameters; what decays; the schedules."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import optax

from gradpow.core import map_with_names, parameter_kind, product
from gradpow.methods.agreement import ams, cautious_adam, cautious_lion, grams
from gradpow.methods.powered import (
    adagradpower,
    adampower,
    lp_descent,
    muonpower,
    s3,
    sgdpower,
    stacey,
)
from gradpow.schedules import warmup_stable_decay
from gradpow.transforms import decay_stepped_weights
from gradpow.wrappers import cautious, gradpower

Factory = Callable[..., optax.GradientTransformation]


def decay_mask(params: optax.Params) -> Any:
    """Which parameters decay: embeddings and matrices, not norms, biases or scales.

    By their names, as :func:`gradpow.core.parameter_kind` has them.

    Args:
      params: the parameters, a tree whose paths name them.

    Returns:
      A tree of bools, as the ``mask`` of :func:`optax.adamw` takes it.

    Examples:
      >>> from gradpow.presets import decay_mask
      >>> decay_mask({"embed": 1.0, "norm": {"scale": 1.0}, "mlp": {"kernel": 1.0, "bias": 1.0}})
      {'embed': True, 'mlp': {'bias': False, 'kernel': True}, 'norm': {'scale': False}}

    References:
      None of the papers says what it leaves out; this is the usual choice.
    """
    return map_with_names(lambda path, _: parameter_kind(path) != "vector", params)


def _decay_after(factory: Factory) -> Factory:
    """For factories without weight decay: decoupled, after the step."""

    def build(learning_rate, weight_decay, mask, **hyper):
        return optax.chain(
            factory(learning_rate, **hyper),
            decay_stepped_weights(product(learning_rate, weight_decay), mask),
        )

    return build


def _decay_in_gradient(factory: Factory) -> Factory:
    """L2 regularisation, the "weight decay" of Adam and SGD: added to the gradient."""

    def build(learning_rate, weight_decay, mask, **hyper):
        return optax.chain(
            optax.add_decayed_weights(weight_decay, mask), factory(learning_rate, **hyper)
        )

    return build


def _gradpower_lion(learning_rate, weight_decay, mask, p, b1, b2):
    return gradpower(optax.lion(learning_rate, b1, b2, None, weight_decay, mask), p)


_muon = functools.partial(muonpower, p=1.0)  # with the power 1 it is Muon itself


@_decay_after  # within Cautious the decay would be masked too
def _cautious_muon(learning_rate, **hyper):
    return cautious(_muon(learning_rate, weight_decay=0.0, **hyper))


class Optimizer(NamedTuple):
    """An optimizer of :data:`gradpow.presets.OPTIMIZERS`.

    Args:
      factory: function of learning_rate, weight_decay, mask and the hyper-parameters by name, to
        an :class:`optax.GradientTransformation`.
      hyper: the paper's hyper-parameters; a recipe changes some.
      normalises: whether each tensor is normalised by itself, so that layers stacked in one tensor
        share what they should have each.
    """

    factory: Factory
    hyper: dict[str, float]
    normalises: bool = False


_ADAM = {"b1": 0.9, "b2": 0.95, "eps": 1e-8}  # GradPower, Section 3.1
_MUON = {"beta": 0.95, "consistent_rms": 0.2, **_ADAM}  # Moonlight, as in GradPower, Appendix B.2
_LION = {"b1": 0.95, "b2": 0.98}  # S3, appendix, for language models
_STACEY = {"b1": 0.9, "b2": 0.99, "alpha": 0.01, "tau": 0.001}  # STACEY, Tables 5 to 7
_AMS = {"b1": 0.9, "b2": 0.95, "eps": 1e-6}  # AMS, Table 3
OPTIMIZERS: dict[str, Optimizer] = {
    # baselines
    "adamw": Optimizer(optax.adamw, _ADAM),
    "adam": Optimizer(_decay_in_gradient(optax.adam), _ADAM),
    "sgd": Optimizer(_decay_in_gradient(optax.sgd), {"momentum": 0.9}),
    "lion": Optimizer(optax.lion, _LION),
    "muon": Optimizer(_muon, _MUON),
    # GradPower: Section 3.1, eq. (4), Appendix B.2; sgdpower with Powerball's p
    "adampower": Optimizer(adampower, {"p": 1.2, **_ADAM}),
    "adagradpower": Optimizer(_decay_after(adagradpower), {"p": 1.2, "eps": 1e-8}),
    "sgdpower": Optimizer(_decay_after(sgdpower), {"p": 0.5, "momentum": 0.9}),
    "muonpower": Optimizer(muonpower, {"p": 1.2, **_MUON}),
    "gradpower_lion": Optimizer(_gradpower_lion, {"p": 1.2, **_LION}),
    # S3, appendix
    "s3": Optimizer(s3, {"b": 0.95, "p": 3.0, "eps": 0.0}),
    # STACEY (p, 2), (p, p), (2, p): Table 7 and Algorithms 2, 3, 4; and Algorithm 1
    "stacey": Optimizer(stacey, {"p": 2.8, "mirror_p": 2.0, **_STACEY, "eps": 1e-8}),
    "stacey_pp": Optimizer(stacey, {"p": 3.0, "mirror_p": 3.0, **_STACEY, "eps": 1e-8}),
    "stacey_2p": Optimizer(stacey, {"p": 2.0, "mirror_p": 2.8, **_STACEY, "eps": 0.0}),
    "lp_descent": Optimizer(_decay_after(lp_descent), {"p": 3.0}),
    # AMS, Table 3: AMS, Grams, Cautious
    "ams": Optimizer(ams, {**_AMS, "negative_scale": -1.0}, normalises=True),
    "grams": Optimizer(grams, _AMS),
    "cautious_adam": Optimizer(cautious_adam, _AMS, normalises=True),
    "cautious_lion": Optimizer(cautious_lion, {"b1": 0.9, "b2": 0.95}, normalises=True),
    "cautious_muon": Optimizer(_cautious_muon, _MUON, normalises=True),
}


def make_schedule(
    kind: str, peak: float, *, steps: int, warmup: int, final_fraction: float
) -> optax.Schedule:
    r"""A learning rate as the papers have it: linear warm-up, then constant or down by ``kind``.

    With W, T the steps of warm-up and in all, e the final fraction and s = (t - W) / (T - W), the
    rate is eta t / W before step W, and from there on

    .. math::
      \eta_t = \eta \begin{cases}
        e + (1 - e)\, (1 + \cos \pi s) / 2 & \text{cosine} \\
        1 - (1 - e)\, s & \text{linear} \\
        1 & \text{constant}
      \end{cases}

    "wsd" is :func:`gradpow.schedules.warmup_stable_decay`, constant up to 80% of the steps.

    Args:
      kind: "cosine", "linear", "constant" or "wsd".
      peak: eta, >= 0.
      steps: T.
      warmup: W, at least 0 and below T.
      final_fraction: e, in [0, 1]; "constant" has no use for it.

    Returns:
      A schedule: a function from the step count to the rate.

    Raises:
      ValueError: if there is no such kind, or no room for the warm-up.

    Examples:
      >>> from gradpow.presets import make_schedule
      >>> rate = make_schedule("linear", 1.0, steps=110, warmup=10, final_fraction=0.5)
      >>> [float(rate(step)) for step in (0, 5, 10, 60, 110)]
      [0.0, 0.5, 1.0, 0.75, 0.5]

    References:
      `GradPower`, Section 3.1; `S3`, Section VI-A; `AMS/Grams`, Appendix F.
    """
    if not 0 <= warmup < steps:
        raise ValueError(f"warmup must be at least 0 and below steps {steps}, not {warmup}")
    if kind == "wsd":
        if warmup > 0.8 * steps:
            raise ValueError(f"schedule wsd decays from 80% of steps {steps}: lower warmup")
        return warmup_stable_decay(peak, steps, warmup, end_factor=final_fraction)
    after = {
        "cosine": optax.cosine_decay_schedule(peak, steps - warmup, final_fraction),
        "linear": optax.linear_schedule(peak, final_fraction * peak, steps - warmup),
        "constant": optax.constant_schedule(peak),
    }
    if kind not in after:
        raise ValueError(f"schedule must be {', '.join(after)} or wsd, not {kind!r}")
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), after[kind]], [warmup])
