"""The papers' runs on images, as data."""

import dataclasses
import math

from ._recipe import Recipe, Setting

_B2 = {"b2": 0.999}
_NESTEROV = {"nesterov": 1.0}
_CIFAR_EPOCH = math.ceil(50_000 / 128)
_IMAGENET = 1_281_167  # training images
STACEY_CIFAR = Setting(
    model="ResNet-18 on CIFAR",
    source=(
        "STACEY, Table 5: 200 epochs; the schedule, cosine to 0, and no clipping are assumed, and "
        "eps is Table 6's"
    ),
    batch_size=128,
    sequence_length=None,
    steps=200 * _CIFAR_EPOCH,
    final_fraction=0.0,
    clip=0.0,
    recipes={
        "sgd": Recipe(0.02, 2e-4, _NESTEROV),
        "adam": Recipe(1e-3, 5e-4, _B2),
        "adamw": Recipe(1e-2, 5e-4, _B2),
        "lion": Recipe(1e-3, 0.01, {"b1": 0.9, "b2": 0.99}),
        "stacey_2p": Recipe(0.02, 0.4, {"mirror_p": 3.5}),
        "stacey_pp": Recipe(0.1, 0.01, {"p": 2.0, "mirror_p": 2.0, "alpha": 0.1}),
        "stacey": Recipe(0.1, 0.01, {"p": 2.0, "alpha": 0.1}),
    },
)
STACEY_IMAGENET = Setting(
    model="ResNet-50 on ImageNet",
    source=(
        "STACEY, Table 6 and Section 5.2: 90 epochs, momentum kept in bfloat16; that the cosine "
        "ends at 0, no clipping and SGD's momentum of 0.9 are assumed"
    ),
    batch_size=256,
    sequence_length=None,
    steps=90 * math.ceil(_IMAGENET / 256),
    warmup=10_000,
    final_fraction=0.0,
    clip=0.0,
    recipes={
        "sgd": Recipe(0.01, 5e-4, _NESTEROV),
        "stacey_2p": Recipe(0.01, 5e-4, {"mirror_p": 2.2}),
        "stacey_pp": Recipe(0.01, 5e-4, {"alpha": 0.1}),
        "stacey": Recipe(0.01, 5e-4),
    },
)
GRADPOWER_CIFAR = dataclasses.replace(
    STACEY_CIFAR,
    model="ResNet-34 on CIFAR-10",
    source=(
        "GradPower, Section 3.5 and Appendix B.3: Adam and cosine; b2, the decay and 200 epochs "
        "are STACEY's for ResNet-18"
    ),
    recipes={
        "adamw": Recipe(2.5e-4, 5e-4, _B2),
        "adampower": Recipe(2.5e-4, 5e-4, {"p": 0.8, **_B2}),  # the best at 128
    },
)
S3_RECIPES = {
    "adamw": Recipe(3e-3, 0.1, _B2),
    "lion": Recipe(1e-3, 0.3, {"b1": 0.9, "b2": 0.99}),
    "s3": Recipe(6e-3, 0.05),
}


def s3_imagenet(model: str, batch_size: int, recipes: dict[str, Recipe], assumed: str) -> Setting:
    epoch = math.ceil(_IMAGENET / batch_size)
    return Setting(
        model=f"{model} on ImageNet",
        source=f"S3, appendix F: 30 epochs of warm-up, cosine to 0; {assumed}",
        batch_size=batch_size,
        sequence_length=None,
        steps=150 * epoch,
        warmup=30 * epoch,
        final_fraction=0.0,
        clip=0.0,
        recipes=recipes,
    )


WRN = Setting(
    model="WideResNet-50-2 on CIFAR-10",
    source="AMS/Grams, Table 4: 10 epochs; that the rate ends at 0 is assumed",
    batch_size=128,
    sequence_length=None,
    steps=10 * _CIFAR_EPOCH,
    warmup=100,
    schedule="linear",
    final_fraction=0.0,
    recipes={
        **dict.fromkeys(
            ("adamw", "ams", "grams", "cautious_adam"),
            Recipe(2e-3, 0.0, {"b2": 0.999, "eps": 1e-6}),
        ),
        **dict.fromkeys(("lion", "cautious_lion"), Recipe(2e-4, 0.0, {"b1": 0.9, "b2": 0.99})),
    },
)
