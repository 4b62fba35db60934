"""The image models by name, and the settings of `gradpow.presets` for them, with their data.

Of the digits' rates AdamW's was chosen, for `resnet10-digits` by factors of about 3
(`examples/claims/results`); the others are guesses.
"""

import dataclasses
from typing import Any

from gradpow import presets
from gradpow.presets import Recipe

from . import resnet, vae, vit

Shape = resnet.ResNetShape | vit.VitShape | vae.VaeShape
SHAPES: dict[str, Shape] = {**resnet.PRESETS, **vit.PRESETS, **vae.PRESETS}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting(presets.Setting):
    steps: int
    data: str = "cifar10"
    eval_every: int = 1000
    augment: bool = True


def _paper(name: str, assumed: str = "", **ours: Any) -> Setting:
    """A setting of the library, and what is ours: data, augmentation."""
    setting = Setting(**vars(presets.SETTINGS[name]), **ours)
    return dataclasses.replace(setting, source=setting.source + assumed)


_DIGITS = Setting(
    model="a model for CPUs",
    sequence_length=None,
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
SETTINGS: dict[str, Setting] = {
    **dict.fromkeys((name for name in SHAPES if name.endswith("-digits")), _DIGITS),
    "resnet18": _paper("resnet18"),
    "resnet34": _paper("resnet34"),
    "wrn50-2": _paper("wrn50-2", "; crops and mirroring are, too"),
    "vit-b16": _paper(
        "vit-b16",
        ", and there is none of its augmentation but crops and mirroring. --data takes a copy with "
        "images of 224 x 224, hf:/folder, which has to fit in memory",
        data="hf:ILSVRC/imagenet-1k",
    ),
    "vae": _paper("vae", "; the model is ours", augment=False),
}
