"""A setting and its recipe for one optimizer, resolved: what is trained with, all on one page."""

import dataclasses
from collections.abc import Callable
from typing import Any, Self

import optax

from gradpow.core import check, nearest

from ._optimizers import OPTIMIZERS, decay_mask
from ._recipe import Recipe, Setting
from ._schedules import make_schedule
from ._settings import SETTINGS

_SCHEDULES = {
    "cosine": "cosine to {:g} of the peak",
    "linear": "linear to {:g} of the peak",
    "constant": "constant",
    "wsd": "constant up to 80% of the steps, then linear to {:g} of the peak",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """An optimizer with a paper's numbers, ready to be printed, changed and made.

    From :func:`gradpow.presets.get`; ``dataclasses.replace`` changes any field.

    Args:
      name: of the setting, in :data:`gradpow.presets.SETTINGS`.
      model: the model and what it was trained on.
      optimizer: by its name in :data:`gradpow.presets.OPTIMIZERS`.
      learning_rate: at its peak.
      weight_decay: times the learning rate, but for Adam and SGD, whose gradients it enters.
      hyper: all the optimizer's hyper-parameters.
      clip: largest global norm of the gradient; 0 for no clipping.
      schedule: "cosine", "linear", "constant" or "wsd".
      warmup: steps of linear warm-up from 0.
      final_fraction: the last learning rate over the peak, for all schedules but constant.
      steps: in all; None where they follow from the model.
      batch_size: sequences or images a step.
      sequence_length: tokens a sequence; None for images.
      source: where the paper says so, and what is assumed.
      note: what is to be known of these numbers, or nothing.
    """

    name: str
    model: str
    optimizer: str
    learning_rate: float
    weight_decay: float
    hyper: dict[str, Any]
    clip: float
    schedule: str
    warmup: int
    final_fraction: float
    steps: int | None
    batch_size: int
    sequence_length: int | None
    source: str
    note: str = ""

    def __post_init__(self):
        check(
            "finite and >= 0",
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            clip=self.clip,
        )
        check("in [0, 1]", final_fraction=self.final_fraction)

    @classmethod
    def of(cls, name: str, optimizer: str, setting: Setting, recipe: Recipe) -> Self:
        """A setting and one of its recipes, resolved.

        Args:
          name: of the setting.
          optimizer: by its name in :data:`gradpow.presets.OPTIMIZERS`.
          setting: model, batch, length, schedule and clipping.
          recipe: rate, decay, and what else the optimizer has of its own.

        Returns:
          A :class:`gradpow.presets.Preset`.
        """
        return cls(
            name=name,
            model=setting.model,
            optimizer=optimizer,
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            hyper={**OPTIMIZERS[optimizer].hyper, **recipe.hyper},
            clip=setting.clip if recipe.clip is None else recipe.clip,
            schedule=setting.schedule,
            warmup=setting.warmup,
            final_fraction=setting.final_fraction,
            steps=setting.steps,
            batch_size=setting.batch_size,
            sequence_length=setting.sequence_length,
            source=setting.source,
            note=recipe.note,
        )

    def make_schedule(self) -> optax.Schedule:
        """The learning rate by step, of :func:`gradpow.presets.make_schedule`.

        Returns:
          A schedule: a function from the step count to the rate.

        Raises:
          ValueError: if ``steps`` is None, or the schedule refuses a number.
        """
        if self.steps is None:
            raise ValueError(
                f"{self.name} has no steps of its own: pass steps=; the paper has 20 tokens a "
                "parameter: steps = 20 * parameters / (batch_size * sequence_length)"
            )
        return make_schedule(
            self.schedule,
            self.learning_rate,
            steps=self.steps,
            warmup=self.warmup,
            final_fraction=self.final_fraction,
        )

    def make(
        self, mask: Callable[[optax.Params], Any] | Any = decay_mask
    ) -> optax.GradientTransformation:
        """Clipping, then the optimizer with schedule and decay mask.

        Args:
          mask: which parameters decay, as in :func:`optax.adamw`: a tree, or a function to one.

        Returns:
          An :class:`optax.GradientTransformation`.

        Raises:
          ValueError: if ``steps`` is None, or the schedule or optimizer refuses a number.
          TypeError: if the optimizer has no such hyper-parameter.
        """
        return OPTIMIZERS[self.optimizer].make(
            self.make_schedule(),
            weight_decay=self.weight_decay,
            mask=mask,
            clip=self.clip,
            peak=self.learning_rate,
            **self.hyper,
        )

    def __str__(self) -> str:
        batch = f"{self.batch_size:,}"
        shape = _SCHEDULES.get(self.schedule, self.schedule).format(self.final_fraction)
        rows = {
            "model": self.model,
            "numbers": ", ".join(f"{key} {_shown(value)}" for key, value in self.hyper.items()),
            "rate": f"{_shown(self.learning_rate)} at its peak",
            "decay": _shown(self.weight_decay),
            "clip": _shown(self.clip) if self.clip else "no",
            "schedule": f"{self.warmup:,} steps of warm-up, then {shape}",
            "batch": f"{batch} x {self.sequence_length:,}" if self.sequence_length else batch,
            "steps": "20 tokens a parameter: pass steps=" if self.steps is None
            else f"{self.steps:,}",
            "source": self.source,
            "note": self.note,
        }  # fmt: skip
        lines = [f"  {key:<9} {value}" for key, value in rows.items() if value]
        return "\n".join([f"{self.name}, {self.optimizer}", *lines])


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else repr(value)


def get(name: str, optimizer: str = "", **changes: Any) -> Preset:
    """A paper's numbers for an optimizer.

    Where the paper did not try the optimizer, it gets AdamW's rate and decay, and ``note`` says so.
    Muon takes :func:`gradpow.hidden_matrices`; for others pass ``hyper={"hidden": ...}``.

    Args:
      name: of a setting, in :data:`gradpow.presets.SETTINGS`.
      optimizer: by its name in :data:`gradpow.presets.OPTIMIZERS`. There is no default.
      changes: fields of :class:`gradpow.presets.Preset`, as in ``dataclasses.replace``; of
        ``hyper`` only the entries that change.

    Returns:
      A :class:`gradpow.presets.Preset`.

    Raises:
      ValueError: if there is no such setting or optimizer, the paper has nothing to go by for it,
        or a number lies outside its range.
      TypeError: if there is no such field.

    Examples:
      >>> import gradpow
      >>> preset = gradpow.presets.get("llama-0.2b", "adampower", steps=20_000, hyper={"p": 1.1})
      >>> print(preset)
      llama-0.2b, adampower
        model     LLaMA 0.2B on C4
        numbers   p 1.1, b1 0.9, b2 0.95, eps 1e-08
        rate      0.001 at its peak
        decay     0.1
        clip      1
        schedule  1,000 steps of warm-up, then cosine to 0.1 of the peak
        batch     512 x 256
        steps     20,000
        source    GradPower, Tables 3 and 4, Appendix B.1: 20 tokens a parameter (Chinchilla)
      >>> tx, schedule = preset.make(), preset.make_schedule()

    References:
      Each preset's ``source``.
    """
    if name not in SETTINGS:
        meant = f": {name} is an optimizer, which comes second" if name in OPTIMIZERS else ""
        raise ValueError(f"the presets are {', '.join(SETTINGS)}, not {name!r}{meant}")
    if optimizer not in OPTIMIZERS:
        said = f"there is no optimizer {optimizer!r}" if optimizer else "the optimizer is missing"
        raise ValueError(
            f"{said}{nearest(optimizer, OPTIMIZERS)}: "
            f"get({name!r}, 'adamw'), say, or {', '.join(sorted(OPTIMIZERS))}"
        )
    fields = [field.name for field in dataclasses.fields(Preset)]
    if unknown := [key for key in changes if key not in fields]:
        raise TypeError(f"a preset has no {', '.join(unknown)}: it has {', '.join(fields)}")
    setting = SETTINGS[name]
    preset = Preset.of(name, optimizer, setting, setting.recipe_for(optimizer))
    hyper = {**preset.hyper, **changes.pop("hyper", {})}
    return dataclasses.replace(preset, hyper=hyper, **changes)
