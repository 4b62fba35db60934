"""The papers' training settings by name: model, data, length, schedule, and a recipe an optimizer.

Where a paper does not print a number, the setting's `source` says what is assumed. A recipe whose
numbers look wrong is kept and marked "as printed".
"""

import dataclasses
from typing import Any

from . import gpt2, llama, qwen2moe
from .counts import count
from .errors import UserError
from .optimizers import OPTIMIZERS

Shape = llama.LlamaShape | qwen2moe.Qwen2MoeShape | gpt2.Gpt2Shape
SHAPES: dict[str, Shape] = {**llama.PRESETS, **qwen2moe.PRESETS, **gpt2.PRESETS}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a paper prints for one optimizer; `hyper` and `clip` only where they differ."""

    learning_rate: float
    weight_decay: float
    hyper: dict[str, float] = dataclasses.field(default_factory=dict)
    clip: float | None = None
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Setting:
    source: str
    sequence_length: int
    batch_size: int
    steps: int | None  # None: 20 tokens a parameter
    warmup: int
    schedule: str
    recipes: dict[str, Recipe]
    clip: float = 1.0
    data: str = "hf:allenai/c4:en"
    tokenizer: str = "t5"
    final_fraction: float = 0.1
    eval_every: int = 1000

    def steps_for(self, shape: Shape) -> int:
        """Counted when asked for: it traces the model."""
        return self.steps or round(
            20 * count(shape).total / (self.batch_size * self.sequence_length)
        )


def _gradpower(rate: float, schedule: str = "cosine", **changes: Any) -> Setting:
    """GradPower, Section 3.1 and Appendix B.1; `rate` from Tables 3 and 4."""
    setting = Setting(
        source="GradPower, Appendix B.1: 20 tokens a parameter (Chinchilla)",
        sequence_length=256,
        batch_size=512,
        steps=None,
        warmup=1000,
        schedule=schedule,
        recipes=dict.fromkeys(("adamw", "adampower", "muon", "muonpower"), Recipe(rate, 0.1)),
    )
    return dataclasses.replace(setting, **changes)


# Each the best of a grid by factors of about 3, moved until the best is within it: 1,000 steps,
# seed 0, validation loss. The decay keeps rate times decay at 3e-4.
NANO_RATES = {
    "adamw": 3e-3, "adam": 3e-3, "sgd": 0.1, "lion": 3e-4, "muon": 1e-2, "adampower": 3e-3,
    "adagradpower": 3e-2, "sgdpower": 1e-2, "muonpower": 1e-2, "gradpower_lion": 3e-4, "s3": 3e-3,
    "stacey": 0.03, "stacey_pp": 0.01, "stacey_2p": 3.0, "lp_descent": 0.1, "ams": 1e-2,
    "grams": 1e-2, "cautious_adam": 1e-2, "cautious_lion": 1e-3, "cautious_muon": 1e-2,
}  # fmt: skip
_COUPLED = {"adam", "sgd"}  # their L2 penalty is no multiple of the rate
NANO = Setting(
    source="small enough for a CPU; rates from a coarse grid on the default text",
    sequence_length=64,
    batch_size=8,
    steps=1000,
    warmup=50,
    schedule="cosine",
    recipes={
        key: Recipe(rate, 0.0 if key in _COUPLED else 3e-4 / rate)
        for key, rate in NANO_RATES.items()
    },
    data="stdlib",
    tokenizer="bytes",
    eval_every=100,
)

_GRAMS = Recipe(6e-3, 0.0)
_LION = Recipe(6e-4, 0.0, {"b1": 0.9, "b2": 0.95})
_S3_RATE, _S3_DECAY = 3e-4, 0.1  # AdamW's; LLaMA's decay, as the paper says
_S3 = Setting(
    source=(
        "S3, Section VI: 5,000 steps of warm-up, cosine to a tenth. AdamW's rate is Table IV's, "
        "and its decay LLaMA's 0.1; Lion's rate is only in a figure: a third of AdamW's is assumed"
    ),
    sequence_length=1024,
    batch_size=512,
    steps=50_000,
    warmup=5000,
    schedule="cosine",
    recipes={
        "adamw": Recipe(_S3_RATE, _S3_DECAY),
        "lion": Recipe(_S3_RATE / 3, 3 * _S3_DECAY, {"b1": 0.95, "b2": 0.98}),
        # Ten times AdamW's rate, with its product of rate and decay, and no clipping.
        "s3": Recipe(10 * _S3_RATE, _S3_DECAY / 10, clip=0.0),
    },
    data="hf:Skylion007/openwebtext",
    tokenizer="gpt2",
)
_OPENWEBTEXT = {
    "sequence_length": 1024, "batch_size": 480, "steps": 50_000,
    "data": "hf:Skylion007/openwebtext", "tokenizer": "gpt2",
}  # fmt: skip

SETTINGS: dict[str, Setting] = {
    "llama-nano": NANO,
    "qwen2moe-nano": NANO,
    "gpt2-nano": NANO,
    "llama-66m": _gradpower(1e-3),
    "llama-0.2b": _gradpower(1e-3),
    "llama-0.25b": _gradpower(8e-4, **_OPENWEBTEXT),
    "llama-0.4b": _gradpower(6e-4),
    "llama-1b": _gradpower(3e-4),
    "llama-2b": _gradpower(2e-4),
    "qwen2moe-0.5b": _gradpower(6e-4, "wsd"),
    "qwen2moe-1b": _gradpower(3e-4, "wsd"),
    "qwen2moe-2b": _gradpower(2e-4, "wsd"),
    "llama-60m": Setting(
        source="AMS/Grams, Table 3; the shape and the T5 tokenizer are assumed",
        sequence_length=256,
        batch_size=2048,
        steps=1000,
        warmup=50,
        schedule="constant",
        recipes={
            "adamw": dataclasses.replace(_GRAMS, hyper={"eps": 1e-6}),
            "grams": _GRAMS,
            "ams": _GRAMS,
            "cautious_adam": _GRAMS,
            "lion": _LION,
            "cautious_lion": _LION,
        },
        eval_every=100,
    ),
    "llama-100m": Setting(
        source=(
            "STACEY, Table 7; the shape, 256 tokens, the T5 tokenizer, a constant rate and the "
            "first 5,000 steps, which its figures show, are assumed"
        ),
        sequence_length=256,
        batch_size=16,
        steps=5000,
        warmup=0,
        schedule="constant",
        clip=0.0,
        recipes={
            "sgd": Recipe(0.01, 5e-4),
            "adam": Recipe(1e-4, 0.01, {"b2": 0.999}),
            "adamw": Recipe(1e-4, 0.05, {"b2": 0.999}),
            "lion": Recipe(
                0.05, 0.01, {"b1": 0.9, "b2": 0.999},
                note="as printed: Lion's rates are usually a third to a tenth of AdamW's",
            ),
            "stacey_2p": Recipe(0.05, 0.01, {"tau": 0.0}, note="as printed: tau 0 ends the mirror"),
            "stacey_pp": Recipe(0.01, 0.01, {"tau": 0.0}, note="as printed: tau 0 ends the mirror"),
            "stacey": Recipe(0.01, 5e-4, {"tau": 0.0}, note="as printed: tau 0 ends the mirror"),
        },
    ),
    "gpt2-345m-as-printed": _S3,
    "gpt2-345m": _S3,
    "gpt2-7b": dataclasses.replace(
        _S3, sequence_length=4096, batch_size=1024, source=_S3.source + "; CommonCrawl there"
    ),
}  # fmt: skip


def get_setting(preset: str) -> Setting:
    if preset not in SETTINGS:
        raise UserError(f"--preset takes {', '.join(SETTINGS)}, not {preset}")
    return SETTINGS[preset]


def get_recipe(preset: str, optimizer: str) -> Recipe:
    """The paper's recipe, or AdamW's rate and decay where the paper did not try the optimizer."""
    if optimizer not in OPTIMIZERS:
        raise UserError(f"--optimizer takes {', '.join(OPTIMIZERS)}, not {optimizer}")
    recipes = get_setting(preset).recipes
    if optimizer in recipes:
        return recipes[optimizer]
    fallback = recipes["adamw"]
    return Recipe(
        fallback.learning_rate,
        fallback.weight_decay,
        note=f"this paper did not try {optimizer}: rate and decay are AdamW's, set your own",
    )
