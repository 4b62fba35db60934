"""What an image run is told: the papers' settings by name, and the command line over them."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import tyro
from flax import nnx

from ..pretrain import counts
from ..pretrain.config import RunConfig
from ..pretrain.data import Data
from ..pretrain.errors import UserError
from ..pretrain.optimizers import OF_MATRICES, require_known
from ..pretrain.presets import NANO, Recipe
from ..pretrain.step import Losses
from . import losses
from .data import Images, check_fits, load, make
from .presets import SETTINGS, SHAPES, Shape


@dataclasses.dataclass(frozen=True, kw_only=True)
class VisionConfig(RunConfig):
    """Train an image model. The defaults are those of --preset and --optimizer."""

    module = "examples.vision"
    unit = "images"
    first_preset = "resnet18-digits"

    shape: tyro.conf.AvoidSubcommands[Shape]
    """The model's shape."""
    data: str
    """digits, cifar10, cifar100, or hf:NAME of a dataset with images and labels."""
    augment: bool = False
    """Crop at random out of four pixels more on each side, and mirror every other image."""

    @classmethod
    def defaults(cls, preset: str, optimizer: str) -> "VisionConfig":
        if preset not in SHAPES:
            raise UserError(f"--preset takes {', '.join(SHAPES)}, not {preset}")
        require_known("--optimizer", optimizer)
        if optimizer in OF_MATRICES:
            raise UserError(
                f"--optimizer {optimizer} is for language models: it finds their matrices by name"
            )
        setting = SETTINGS[preset]
        rate = NANO.recipe_for(optimizer).learning_rate
        recipe = setting.recipes.get(optimizer, Recipe(rate, 0.0))
        more = {"steps": setting.steps, "augment": setting.augment}
        return cls.of(preset, optimizer, SHAPES[preset], setting, recipe, **more)

    @property
    def about(self) -> list[str]:
        lines = [f"setting: {SETTINGS[self.preset].source}"]
        if self.optimizer not in SETTINGS[self.preset].recipes:
            lines.append(f"note: this setting has no rate for {self.optimizer}: set your own")
        return lines

    @property
    def units_per_step(self) -> int:
        return self.batch_size

    @functools.cached_property
    def flops_per_unit(self) -> float:
        """Three times the forward pass's, as XLA counts it before it optimises."""
        graphdef, params = nnx.split(nnx.eval_shape(lambda: counts.build(self.shape)), nnx.Param)
        one = jax.tree.map(lambda x: x[:1], self.example_batch())
        forward = jax.jit(lambda params: losses.losses(graphdef, params, one, None)[0])
        return 3 * float((forward.lower(params).cost_analysis() or {}).get("flops", 0.0))

    @property
    def random(self) -> bool:
        return self.shape.random

    def losses(self, graphdef: nnx.GraphDef) -> Losses:
        return functools.partial(losses.losses, graphdef)

    def measure(self, graphdef: nnx.GraphDef) -> Callable[[Any, Any], dict[str, jax.Array]]:
        return functools.partial(losses.measure, graphdef)

    def example_batch(self) -> Images:
        shape = self.shape
        pixels = (self.batch_size, shape.size, shape.size, shape.channels)
        return {
            "image": np.zeros(pixels, np.float32),
            "label": np.zeros(self.batch_size, np.int32),
        }

    def load(self, say: Callable[[str], None]) -> Data:
        say("reading the images")
        splits = load(self.data)
        check_fits(splits, self.shape)
        return make(splits, self.augment)
