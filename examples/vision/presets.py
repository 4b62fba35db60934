"""The image models by name, and the papers' settings for them.

What a paper does not print, `source` says. Of the digits' rates AdamW's was chosen, for
`resnet10-digits` by factors of about 3 (`examples/claims/results`); the others are guesses.
"""

import dataclasses

from ..pretrain.presets import Recipe
from . import resnet, vae, vit

Shape = resnet.ResNetShape | vit.VitShape | vae.VaeShape
SHAPES: dict[str, Shape] = {**resnet.PRESETS, **vit.PRESETS, **vae.PRESETS}


@dataclasses.dataclass(frozen=True)
class Setting:
    source: str
    recipes: dict[str, Recipe]
    steps: int
    batch_size: int
    data: str
    schedule: str = "cosine"
    warmup: int = 0
    final_fraction: float = 0.0
    clip: float = 0.0
    eval_every: int = 1000
    augment: bool = True


_DIGITS = Setting(
    source="small enough for a CPU",
    recipes={
        "adamw": Recipe(1e-2, 0.03),
        "adampower": Recipe(1e-2, 0.03),
        "s3": Recipe(1e-2, 0.03),
        "stacey": Recipe(0.1, 3e-3),
        "grams": Recipe(1e-2, 0.03),
    },
    steps=200,
    batch_size=32,
    data="digits",
    warmup=10,
    final_fraction=0.1,
    clip=1.0,
    eval_every=50,
    augment=False,
)
_EPOCH = -(-50_000 // 128)  # steps of CIFAR's training images
_STACEY = Setting(
    source="STACEY, Table 5, ResNet-18: 200 epochs; the schedule, cosine, is assumed",
    recipes={
        "sgd": Recipe(0.02, 2e-4),
        "adam": Recipe(1e-3, 5e-4, {"b2": 0.999}),
        "adamw": Recipe(1e-2, 5e-4, {"b2": 0.999}),
        "lion": Recipe(1e-3, 0.01, {"b1": 0.9, "b2": 0.99}),
        "stacey_2p": Recipe(0.02, 0.4, {"mirror_p": 3.5}),
        "stacey_pp": Recipe(0.1, 0.01, {"p": 2.0, "mirror_p": 2.0, "alpha": 0.1}),
        "stacey": Recipe(0.1, 0.01, {"p": 2.0, "alpha": 0.1}),
    },
    steps=200 * _EPOCH,
    batch_size=128,
    data="cifar10",
)
_ADAM_999 = {"b2": 0.999}
_GRAMS = Setting(
    source="AMS/Grams, Table 4, WideResNet-50-2: 10 epochs; crops and mirroring are assumed",
    recipes={
        "adamw": Recipe(2e-3, 0.0, {"b2": 0.999, "eps": 1e-6}),
        **dict.fromkeys(("ams", "grams", "cautious_adam"), Recipe(2e-3, 0.0, _ADAM_999)),
        **dict.fromkeys(("lion", "cautious_lion"), Recipe(2e-4, 0.0, {"b1": 0.9, "b2": 0.99})),
    },
    steps=10 * _EPOCH,
    batch_size=128,
    data="cifar10",
    schedule="linear",
    warmup=100,
    clip=1.0,
)
_IMAGENET_EPOCH = 313  # steps of 4,096
_S3 = Setting(
    source=(
        "S3, appendix and Table III, ViT-B/16: 150 epochs of ImageNet, 30 of them warm-up; decays "
        "are assumed, and there is none of its augmentation but crops and mirroring. --data takes "
        "a copy with images of 224 x 224, hf:/folder, which has to fit in memory"
    ),
    recipes={
        "adamw": Recipe(3e-3, 0.1, _ADAM_999),
        "lion": Recipe(1e-3, 0.3, {"b1": 0.9, "b2": 0.99}),
        "s3": Recipe(6e-3, 0.05),
    },
    steps=150 * _IMAGENET_EPOCH,
    batch_size=4096,
    data="hf:ILSVRC/imagenet-1k",
    warmup=30 * _IMAGENET_EPOCH,
)
_GRADPOWER = dataclasses.replace(
    _STACEY,
    source=(
        "GradPower, Section 3.5, ResNet-34: Adam and cosine; rate, batch of 128 and 200 epochs are "
        "STACEY's for ResNet-18"
    ),
    recipes={
        "adamw": Recipe(1e-2, 5e-4, _ADAM_999),
        "adampower": Recipe(1e-2, 5e-4, {"p": 0.8, **_ADAM_999}),  # the best at 128
    },
)
SETTINGS: dict[str, Setting] = {
    **dict.fromkeys((name for name in SHAPES if name.endswith("-digits")), _DIGITS),
    "resnet18": _STACEY,
    "resnet34": _GRADPOWER,
    "wrn50-2": _GRAMS,
    "vit-b16": _S3,
    "vae": dataclasses.replace(
        _GRAMS, source="AMS/Grams, Section 6.1: 10 epochs on CIFAR-10; model and rate are assumed",
        augment=False,
    ),
}  # fmt: skip
