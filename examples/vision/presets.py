"""The image models by name."""

from . import resnet, vae, vit

Shape = resnet.ResNetShape | vit.VitShape | vae.VaeShape
SHAPES: dict[str, Shape] = {**resnet.PRESETS, **vit.PRESETS, **vae.PRESETS}
