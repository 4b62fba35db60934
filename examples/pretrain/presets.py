"""The papers' settings of `gradpow.presets` with models and data, and settings for a CPU."""

import dataclasses
from typing import Any

from gradpow import presets
from gradpow.presets import Recipe

from . import gpt2, llama, qwen2moe
from .counts import count
from .errors import UserError
from .optimizers import require_known

Shape = llama.LlamaShape | qwen2moe.Qwen2MoeShape | gpt2.Gpt2Shape
SHAPES: dict[str, Shape] = {**llama.PRESETS, **qwen2moe.PRESETS, **gpt2.PRESETS}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting(presets.Setting):
    sequence_length: int
    data: str = "hf:allenai/c4:en"
    tokenizer: str = "t5"
    eval_every: int = 1000

    def steps_for(self, shape: Shape) -> int:
        """Counted when asked for: it traces the model."""
        return self.steps or round(
            20 * count(shape).total / (self.batch_size * self.sequence_length)
        )


def _paper(name: str, assumed: str = "", **ours: Any) -> Setting:
    """A setting of the library, and what is ours: data, tokenizer, validations."""
    setting = Setting(**vars(presets.SETTINGS[name]), **ours)
    return dataclasses.replace(setting, source=setting.source + assumed)


# Each the best of a grid by factors of about 3, moved until the best is within it: 1,000 steps,
# seed 0, validation loss. The decay keeps rate times decay at 3e-4. All others get AdamW's.
NANO_RATES = {
    "adamw": 3e-3, "adam": 3e-3, "sgd": 0.1, "lion": 3e-4, "muon": 1e-2, "adampower": 3e-3,
    "adagradpower": 3e-2, "sgdpower": 1e-2, "muonpower": 1e-2, "gradpower_lion": 3e-4, "s3": 3e-3,
    "stacey": 0.03, "stacey_pp": 0.01, "stacey_2p": 3.0, "lp_descent": 0.1, "ams": 1e-2,
    "grams": 1e-2, "cautious_adam": 1e-2, "cautious_lion": 1e-3, "cautious_muon": 1e-2,
}  # fmt: skip
_COUPLED = {"adam", "sgd"}  # their L2 penalty is no multiple of the rate
# Whose rates are of another size: their steps have the parameters' units, or thousandths of them.
_OTHER_UNITS = {"adadelta": 1.0, "lars": 10.0}
_TAU = "a constant tau turns runs of 2,000 steps and more back: give them --anneal tau"
NANO = Setting(
    model="a model for CPUs",
    source="small enough for a CPU; rates from a coarse grid on the default text",
    sequence_length=64,
    batch_size=8,
    steps=1000,
    warmup=50,
    schedule="cosine",
    recipes={
        **{
            key: Recipe(
                rate,
                # As it reads: 0.1, not 0.09999999999999999.
                0.0 if key in _COUPLED else float(f"{3e-4 / rate:g}"),
                note=_TAU if key.startswith("stacey") else "",
            )
            for key, rate in NANO_RATES.items()
        },
        **{
            key: Recipe(rate, 0.0, note="a rate of the right size, not tuned here")
            for key, rate in _OTHER_UNITS.items()
        },
    },
    data="stdlib",
    tokenizer="bytes",
    eval_every=100,
)

_OPENWEBTEXT = {"data": "hf:Skylion007/openwebtext", "tokenizer": "gpt2"}
_GPT2 = _paper("gpt2-345m", **_OPENWEBTEXT)
SETTINGS: dict[str, Setting] = {
    "llama-nano": NANO,
    "qwen2moe-nano": NANO,
    "gpt2-nano": NANO,
    "llama-66m": _paper("llama-66m"),
    "llama-0.2b": _paper("llama-0.2b"),
    "llama-0.25b": _paper("llama-0.25b", **_OPENWEBTEXT),
    "llama-0.4b": _paper("llama-0.4b"),
    "llama-1b": _paper("llama-1b"),
    "llama-2b": _paper("llama-2b"),
    "qwen2moe-0.5b": _paper("qwen2moe-0.5b"),
    "qwen2moe-1b": _paper("qwen2moe-1b"),
    "qwen2moe-2b": _paper("qwen2moe-2b"),
    "llama-60m": _paper(
        "llama-60m", "; the shape and the T5 tokenizer are assumed", eval_every=100
    ),
    "llama-100m": _paper("llama-100m", ", as are the shape and the T5 tokenizer"),
    "gpt2-345m-as-printed": _GPT2,
    "gpt2-345m": _GPT2,
    "gpt2-7b": _paper("gpt2-7b", "; CommonCrawl there", **_OPENWEBTEXT),
}


def get_setting(preset: str) -> Setting:
    if preset not in SETTINGS:
        raise UserError(f"--preset takes {', '.join(SETTINGS)}, not {preset}")
    return SETTINGS[preset]


def get_recipe(preset: str, optimizer: str) -> Recipe:
    """The paper's recipe, or AdamW's rate and decay where the paper did not try the optimizer."""
    require_known("--optimizer", optimizer)
    return get_setting(preset).recipe_for(optimizer)
