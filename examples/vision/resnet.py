"""ResNets (He et al., 2016) and Wide ResNets (Zagoruyko & Komodakis, 2016).

With GroupNorm (Wu & He, 2018) where the papers have BatchNorm, and as many parameters: the loss of
an image then depends on no other image, so that batches can be cut and batch sizes compared.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ..pretrain.errors import UserError
from ..pretrain.layers import check_sizes
from .shapes import ImageShape


@dataclasses.dataclass(frozen=True)
class ResNetShape(ImageShape):
    """The shape of a ResNet."""

    width: int
    """Features of the first of the four stages; each next one has twice as many."""
    depths: tuple[int, int, int, int]
    """Blocks of each stage."""
    bottleneck: bool = False
    """Blocks of three convolutions, as from 50 layers on, not of two."""
    widen: int = 1
    """Times the features inside of a bottleneck."""
    small_images: bool = True
    """Begin with one 3 x 3 convolution; else with 7 x 7 by steps of 2, and pooling."""

    @property
    def model(self) -> "type[ResNet]":
        return ResNet


class Conv(nnx.Module):
    """A convolution without bias, [image, y, x, feature], zeros around the image."""

    def __init__(self, inputs: int, outputs: int, side: int, stride: int = 1, *, rngs: nnx.Rngs):
        initial = nnx.initializers.he_normal(dtype=jnp.float32)  # He et al., 2015
        self.kernel = nnx.Param(initial(rngs.params(), (side, side, inputs, outputs)))
        self.stride = stride

    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.kernel[...].astype(x.dtype)
        # XLA's convolution on CPUs takes 20 times as long as this product when it is in a loop.
        return jax.lax.platform_dependent(x, kernel, cpu=self._product, default=self._convolve)

    def _convolve(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        pad = (kernel.shape[0] // 2, kernel.shape[0] // 2)
        numbers = ("NHWC", "HWIO", "NHWC")
        strides = (self.stride, self.stride)
        return jax.lax.conv_general_dilated(
            x, kernel, strides, [pad, pad], dimension_numbers=numbers
        )

    def _product(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        """Of what each place sees, side by side, with the kernel as a matrix."""
        side, stride = kernel.shape[0], self.stride
        rows, columns = (-(-size // stride) for size in x.shape[1:3])
        pad = (side // 2,) * 2
        x = jnp.pad(x, ((0, 0), pad, pad, (0, 0)))
        seen = [
            x[
                :,
                i : i + (rows - 1) * stride + 1 : stride,
                j : j + (columns - 1) * stride + 1 : stride,
            ]
            for i in range(side)
            for j in range(side)
        ]
        return jnp.concatenate(seen, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def group_norm(features: int, rngs: nnx.Rngs) -> nnx.GroupNorm:
    """Of 32 groups as in the paper, or of 4 features each where these are too few."""
    return nnx.GroupNorm(features, num_groups=min(32, max(1, features // 4)), rngs=rngs)


class Block(nnx.Module):
    def __init__(self, inputs: int, width: int, stride: int, shape: ResNetShape, rngs: nnx.Rngs):
        inner, outputs = width, width
        if shape.bottleneck:
            inner, outputs = shape.widen * width, 4 * width
            sides = ((inputs, inner, 1, 1), (inner, inner, 3, stride), (inner, outputs, 1, 1))
        else:
            sides = ((inputs, inner, 3, stride), (inner, outputs, 3, 1))
        self.convs = nnx.List([Conv(*side, rngs=rngs) for side in sides])
        self.norms = nnx.List([group_norm(side[1], rngs) for side in sides])
        same = inputs == outputs and stride == 1
        shortcut = (
            () if same else (Conv(inputs, outputs, 1, stride, rngs=rngs), group_norm(outputs, rngs))
        )
        self.shortcut = nnx.List(shortcut)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = x
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            y = norm(conv(nnx.relu(y) if index else y))
        for part in self.shortcut:
            x = part(x)
        return nnx.relu(x + y)


class ResNet(nnx.Module):
    """From images [image, y, x, colour] to float32 logits [image, class]."""

    def __init__(self, shape: ResNetShape, *, rngs: nnx.Rngs, dtype: Any = jnp.float32):
        check_sizes(shape)
        if min(shape.depths) < 1:
            raise UserError("--shape.depths must all be at least 1")
        self.shape, self.dtype = shape, dtype
        side, stride = (3, 1) if shape.small_images else (7, 2)
        self.stem = Conv(shape.channels, shape.width, side, stride, rngs=rngs)
        self.stem_norm = group_norm(shape.width, rngs)
        blocks, features = [], shape.width
        for stage, depth in enumerate(shape.depths):
            width = shape.width * 2**stage
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(Block(features, width, stride, shape, rngs))
                features = width * (4 if shape.bottleneck else 1)
        self.blocks = nnx.List(blocks)
        self.head = nnx.Linear(features, shape.classes, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        x = nnx.relu(self.stem_norm(self.stem(images.astype(self.dtype))))
        if not self.shape.small_images:
            padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))  # no less than 0, as x after relu
            x = nnx.max_pool(padded, (3, 3), strides=(2, 2))
        for block in self.blocks:
            x = block(x)
        return self.head(x.astype(jnp.float32).mean(axis=(1, 2)))


_10, _18, _34 = (1, 1, 1, 1), (2, 2, 2, 2), (3, 4, 6, 3)
# The digits' nets are narrow, for a CPU; CIFAR's have the papers' width and the usual first layer
# for small images; wrn50-2 is Grams' (Section 6.2), with ImageNet's first layer.
PRESETS: dict[str, ResNetShape] = {
    "resnet10-digits": ResNetShape(8, 1, 10, width=8, depths=_10),
    "resnet18-digits": ResNetShape(8, 1, 10, width=8, depths=_18),
    "resnet34-digits": ResNetShape(8, 1, 10, width=8, depths=_34),
    "resnet18": ResNetShape(32, 3, 10, width=64, depths=_18),
    "resnet34": ResNetShape(32, 3, 10, width=64, depths=_34),
    "wrn50-2": ResNetShape(
        32, 3, 10, width=64, depths=_34, bottleneck=True, widen=2, small_images=False
    ),
}
