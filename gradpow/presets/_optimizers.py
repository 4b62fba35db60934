"""Every optimizer by name, with its paper's hyper-parameters; what decays; the schedules."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import optax

from gradpow.catalog import atlas
from gradpow.core import hidden_matrices, map_with_names, parameter_kind, product
from gradpow.methods.powered import muonpower, stacey
from gradpow.transforms import decay_stepped_weights
from gradpow.wrappers import cautious, gradpower

Factory = Callable[..., optax.GradientTransformation]


def decay_mask(params: optax.Params) -> Any:
    """Which parameters decay: embeddings and matrices, not norms, biases or scales.

    By their names, as :func:`gradpow.core.parameter_kind` has them: learned tokens and tables of
    relative positions do not decay either. Look at what it makes of your model with
    ``print(gradpow.describe_split(params, gradpow.presets.decay_mask))``.

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
    hyper: dict[str, float] = {}  # noqa: RUF012 (nobody writes to it)
    normalises: bool = False

    def make(
        self,
        learning_rate: optax.ScalarOrSchedule,
        *,
        weight_decay: optax.ScalarOrSchedule,
        mask: Any = decay_mask,
        clip: float = 0.0,
        peak: float | None = None,
        **hyper: Any,
    ) -> optax.GradientTransformation:
        """Clipping, and then the optimizer.

        Args:
          learning_rate: a number or a schedule.
          weight_decay: times the learning rate, but for Adam and SGD, whose gradients it enters.
          mask: which parameters decay, as in :func:`optax.adamw`.
          clip: largest global norm of the gradient; 0 for no clipping.
          peak: of the schedule, for what asks for it, such as AdamC.
          hyper: the hyper-parameters that differ from its own.

        Returns:
          An :class:`optax.GradientTransformation`.
        """
        numbers = {**self.hyper, **hyper}
        if peak is not None and _takes(self.factory, "peak"):
            numbers["peak"] = peak
        tx = self.factory(learning_rate, weight_decay=weight_decay, mask=mask, **numbers)
        return optax.chain(optax.clip_by_global_norm(clip), tx) if clip else tx


_muon = functools.partial(muonpower, p=1.0)  # with the power 1 it is Muon itself


def _cautious_muon(
    learning_rate, hidden=hidden_matrices, beta=0.95, consistent_rms=0.2, b1=0.9, b2=0.95, eps=1e-8
):
    # Without a decay of its own, which caution would mask too.
    muon = muonpower(learning_rate, 1.0, hidden, beta, consistent_rms, b1, b2, eps, 0.0)
    return cautious(muon)


def _gradpower_lion(learning_rate, p=1.2, b1=0.9, b2=0.99, weight_decay=0.0, mask=None):
    return gradpower(optax.lion(learning_rate, b1, b2, None, weight_decay, mask), p)


# What the settings name and the catalog does not have, and optax's own of four that it has: runs
# have been stored with their states.
_VARIANTS: dict[str, Factory] = {
    "adam": optax.adam,
    "adamw": optax.adamw,
    "lion": optax.lion,
    "sgd": optax.sgd,
    "muon": _muon,
    "cautious_muon": _cautious_muon,
    "gradpower_lion": _gradpower_lion,
    "stacey_pp": stacey,
    "stacey_2p": stacey,
}

# What the papers have where the factories' own defaults are others, or there are none.
_LANGUAGE = {"b2": 0.95}  # Wang et al. (2025), Section 3.1; AMS authors (2025), Table 3
_LION = {"b1": 0.95, "b2": 0.98}  # Peng et al. (2025), appendix, for language models
_PAPERS: dict[str, dict[str, float]] = {
    **dict.fromkeys(("adamw", "adam", "ams", "grams", "cautious_adam", "cautious_lion"), _LANGUAGE),
    **dict.fromkeys(("lion", "gradpower_lion"), _LION),
    "sgd": {"momentum": 0.9},
    "sgdpower": {"p": 0.5, "momentum": 0.9},  # Yuan et al. (2019): the power
    "lp_descent": {"p": 3.0},  # Luo et al. (2025), Algorithm 1; the p is STACEY(p,p)'s
    "stacey_pp": {"p": 3.0, "mirror_p": 3.0},  # Luo et al. (2025), Table 7 and Algorithm 3
    "stacey_2p": {"p": 2.0, "mirror_p": 2.8, "eps": 0.0},  # Table 7 and Algorithm 4
}
# Guards that no paper sets are no hyper-parameters here.
_GUARDS = {"eps_root", "floor", "min_scale"}
# Their papers' weight decay is L2 regularisation: added to the gradient.
_IN_GRADIENT = {"adam", "sgd"}
# What the catalog cannot have measured: AMS normalises unless lambda is -1, its default, or 1.
_NORMALISES = {"ams", "cautious_muon"}


def _with_decay(name: str, factory: Factory) -> Factory:
    """The factory's own decay; without one: in the gradient for some, else after the step."""
    if _takes(factory, "weight_decay"):
        return factory

    @functools.wraps(factory)
    def build(learning_rate, weight_decay, mask, **hyper):
        tx = factory(learning_rate, **hyper)
        if name in _IN_GRADIENT:
            return optax.chain(optax.add_decayed_weights(weight_decay, mask), tx)
        return optax.chain(tx, decay_stepped_weights(product(learning_rate, weight_decay), mask))

    return build


def _takes(factory: Factory, name: str) -> bool:
    return name in inspect.signature(factory).parameters


def _numbers(factory: Factory) -> dict[str, float]:
    """A factory's hyper-parameters with their defaults, but for those that a partial has set."""
    known = _GUARDS | {"learning_rate", "weight_decay"} | getattr(factory, "keywords", {}).keys()
    return {
        name: parameter.default
        for name, parameter in inspect.signature(factory).parameters.items()
        if type(parameter.default) in (int, float) and name not in known
    }


def _asks_for_numbers_alone(factory: Factory) -> bool:
    """A learning rate, and other numbers at most."""
    parameters = inspect.signature(factory).parameters.values()
    required = [str(p.annotation) for p in parameters if p.default is p.empty]
    return _takes(factory, "learning_rate") and all("float" in said for said in required)


def _optimizers() -> dict[str, Optimizer]:
    """The catalog's methods that ask for a learning rate and numbers alone, and the variants.

    What needs more than gradients and parameters, such as logits of attention, is not for `train`.
    """
    methods = [
        entry
        for entry in atlas()
        if _asks_for_numbers_alone(entry.factory) and {*entry.needs} <= {"params"}
    ]
    factories = {entry.name: entry.factory for entry in methods} | _VARIANTS
    # Those with hidden matrices take the matrices of a stack one by one themselves.
    summing = {
        e.name
        for e in methods
        if e.sums == "a tensor" and not (_takes(e.factory, "hidden") or _takes(e.factory, "role"))
    }
    return {
        name: Optimizer(
            _with_decay(name, factory),
            _numbers(factory) | _PAPERS.get(name, {}),
            name in summing | _NORMALISES,
        )
        for name, factory in factories.items()
    }


OPTIMIZERS = _optimizers()
