"""What the papers print of their training runs, as data.

Where a paper does not print a number, the setting's `source` says what is assumed. A recipe whose
numbers look wrong is kept and marked "as printed".
"""

import dataclasses
import math
from typing import Any

from ._recipe import Recipe, Setting
from ._vision import GRADPOWER_CIFAR, S3_RECIPES, STACEY_CIFAR, STACEY_IMAGENET, WRN, s3_imagenet


def _gradpower(model: str, rate: float, **changes: Any) -> Setting:
    """GradPower, Section 3.1 and Appendix B.1; `rate` from Tables 3 and 4."""
    setting = Setting(
        model=model,
        source="GradPower, Tables 3 and 4, Appendix B.1: 20 tokens a parameter (Chinchilla)",
        batch_size=512,
        sequence_length=256,
        steps=None,
        warmup=1000,
        recipes=dict.fromkeys(("adamw", "adampower", "muon", "muonpower"), Recipe(rate, 0.1)),
    )
    return dataclasses.replace(setting, **changes)


_MOE = {
    "schedule": "wsd",
    "source": (
        "GradPower, Table 4, Appendix B.1: 20 tokens a parameter (Chinchilla); Muon, which it "
        "tried on LLaMA alone, has Adam's rate there"
    ),
}

_GRAMS_RATE = Recipe(6e-3, 0.0)
_GRAMS_LION = Recipe(6e-4, 0.0, {"b1": 0.9, "b2": 0.95})
_FINE_TUNING_ROWS = 100_000  # of MetaMathQA


def _fine_tuning(model: str, source: str, batch_size: int) -> Setting:
    """AMS/Grams, Tables 5 and 6; AdamW has the eps of the others, and they its b2."""
    steps = math.ceil(_FINE_TUNING_ROWS / batch_size)
    names = ("adamw", "ams", "grams", "cautious_adam")
    return Setting(
        model=f"{model} on 100,000 rows of MetaMathQA",
        source=f"{source}: one epoch, 3% of it warm-up; that the cosine ends at 0 is assumed",
        batch_size=batch_size,
        sequence_length=512,
        steps=steps,
        warmup=math.ceil(0.03 * steps),
        final_fraction=0.0,
        recipes=dict.fromkeys(names, Recipe(1e-4, 0.0, {"b2": 0.999, "eps": 1e-6})),
    )


_TAU = "as printed: tau 0 ends the mirror"
_STACEY_LLAMA = Setting(
    model="LLaMA 100M on C4",
    source=(
        "STACEY, Table 7; 256 tokens, a constant rate, no clipping, SGD's momentum and the first "
        "5,000 steps, which its figures show, are assumed"
    ),
    batch_size=16,
    sequence_length=256,
    steps=5000,
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
        "stacey_2p": Recipe(0.05, 0.01, {"tau": 0.0}, note=_TAU),
        "stacey_pp": Recipe(0.01, 0.01, {"tau": 0.0}, note=_TAU),
        "stacey": Recipe(0.01, 5e-4, {"tau": 0.0}, note=_TAU),
    },
)  # fmt: skip

_S3_SOURCE = (
    "S3, Section VI and Table II: 5,000 steps of warm-up, cosine to a tenth; AdamW's decay is "
    "LLaMA's, 0.1, and the others keep its rate times decay"
)
_S3 = Setting(
    model="GPT-2 345M on OpenWebText",
    source=_S3_SOURCE,
    batch_size=512,
    sequence_length=1024,
    steps=50_000,
    warmup=5000,
    recipes={
        "adamw": Recipe(3e-4, 0.1),
        "lion": Recipe(6e-5, 0.5),
        # Ten times AdamW's rate, with its product of rate and decay, and no clipping.
        "s3": Recipe(3e-3, 0.01, clip=0.0),
    },
)

SETTINGS: dict[str, Setting] = {
    "llama-66m": _gradpower("LLaMA 66M on C4", 1e-3),
    "llama-0.2b": _gradpower("LLaMA 0.2B on C4", 1e-3),
    "llama-0.25b": _gradpower(
        "LLaMA 0.25B on OpenWebText",
        8e-4,
        source="GradPower, Table 3, Appendix B.1: 50,000 or 100,000 steps",
        batch_size=480,
        sequence_length=1024,
        steps=50_000,
    ),
    "llama-0.4b": _gradpower("LLaMA 0.4B on C4", 6e-4),
    "llama-1b": _gradpower("LLaMA 1B on C4", 3e-4),
    "llama-2b": _gradpower("LLaMA 2B on C4", 2e-4),
    "qwen2moe-0.5b": _gradpower("Qwen2MoE 0.5B on C4", 6e-4, **_MOE),
    "qwen2moe-1b": _gradpower("Qwen2MoE 1B on C4", 3e-4, **_MOE),
    "qwen2moe-2b": _gradpower("Qwen2MoE 2B on C4", 2e-4, **_MOE),
    "llama-60m": Setting(
        model="LLaMA 60M on C4",
        source="AMS/Grams, Table 3",
        batch_size=2048,
        sequence_length=256,
        steps=1000,
        warmup=50,
        schedule="constant",
        recipes={
            "adamw": dataclasses.replace(_GRAMS_RATE, hyper={"eps": 1e-6}),
            **dict.fromkeys(("grams", "ams", "cautious_adam"), _GRAMS_RATE),
            **dict.fromkeys(("lion", "cautious_lion"), _GRAMS_LION),
        },
    ),
    "llama3.2-1b-finetune": _fine_tuning(
        "LLaMA 3.2 1B, fine-tuned", "AMS/Grams, Table 5 and Section 6.3", 64
    ),
    "llama3.2-3b-sorsa": _fine_tuning(
        "LLaMA 3.2 3B, SORSA of rank 128", "AMS/Grams, Table 6 and Section 6.3", 128
    ),
    "llama-100m": _STACEY_LLAMA,
    "gpt2-345m": _S3,
    "gpt2-7b": dataclasses.replace(
        _S3,
        model="GPT-2 7B on CommonCrawl",
        source=f"{_S3_SOURCE}; rates were searched for, and Lion tried, at 345M alone",
        sequence_length=4096,
        batch_size=1024,
    ),
    "resnet18": STACEY_CIFAR,
    "resnet34": GRADPOWER_CIFAR,
    "resnet50-s3": s3_imagenet(
        "ResNet-50",
        1024,
        # SGD's decay is the default of the reference code that the paper uses.
        {"sgd": Recipe(0.3, 1e-4), **S3_RECIPES},
        "150 epochs, which it says of ViT-B/16, and decays are assumed",
    ),
    "resnet50-stacey": STACEY_IMAGENET,
    "wrn50-2": WRN,
    "vit-b16": s3_imagenet(
        "ViT-B/16", 4096, S3_RECIPES, "150 epochs (Section VI-E); decays are assumed"
    ),
    "vae": dataclasses.replace(
        WRN,
        model="a variational autoencoder on CIFAR-10",
        source=(
            "AMS/Grams, Section 6.1: 10 epochs, Grams' best of a grid, which the others get too; "
            "all else is assumed to be as in Table 4"
        ),
        recipes=dict.fromkeys(
            ("adamw", "ams", "grams", "cautious_adam"),
            Recipe(3e-3, 0.0, {"b2": 0.99, "eps": 1e-6}),
        ),
    ),
}
