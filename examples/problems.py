"""The problems on which optimizers are compared: small models of text and of images."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import nnx

from .pretrain import counts
from .pretrain.data import load
from .pretrain.presets import NANO, SHAPES, get_setting
from .pretrain.step import cross_entropy
from .sweep import Problem
from .vision import data as vision_data
from .vision import losses as vision_losses
from .vision.presets import SHAPES as VISION_SHAPES


@functools.cache
def language(
    preset: str = "llama-nano",
    data: str = "stdlib",
    batch_size: int = NANO.batch_size,
    text_field: str = "text",
) -> Problem:
    """A nano preset of `examples.pretrain`: the same weights, batches and losses as its runs."""
    shape = SHAPES[preset]
    length = get_setting(preset).sequence_length
    loaded = load(
        data,
        tokenizer="bytes",
        vocab=shape.vocab,
        sequence_length=length,
        validation_sequences=64,  # as many as a run's --eval-sequences
        text_field=text_field,
    )
    graphdef, init = _model(shape)
    losses = functools.partial(cross_entropy, graphdef)

    @functools.cache
    def batches(seed: int, steps: int) -> np.ndarray:
        iterator = loaded.batches(batch_size, seed=seed)
        found = np.stack([next(iterator) for _ in range(steps)])
        iterator.close()
        return found

    return Problem(
        about={
            "model": preset,
            "parameters": counts.count(shape).total,
            "data": loaded.hash[:12],
            "batch": f"{batch_size} x {length} tokens",
        },
        init=init,
        losses=losses,
        measure=lambda params, batch: {"loss": losses(params, batch, None)[0]},
        validation=loaded.validation,
        batches=batches,
    )


@functools.cache
def images(preset: str, batch_size: int = 32) -> Problem:
    """A preset of `examples.vision` on the digits; measured on the 720 that are not trained on."""
    shape = VISION_SHAPES[preset]
    splits = vision_data.digits()
    graphdef, init = _model(shape)

    @functools.cache
    def batches(seed: int, steps: int) -> vision_data.Images:
        count = len(splits.train["label"])
        generator = np.random.default_rng(seed)
        epochs = -(-steps * batch_size // count)
        order = np.concatenate([generator.permutation(count) for _ in range(epochs)])
        rows = order[: steps * batch_size].reshape(steps, batch_size)
        return vision_data.take(splits.train, rows)

    return Problem(
        about={
            "model": preset,
            "parameters": counts.count(shape).total,
            "data": splits.hash[:12],
            "batch": f"{batch_size} images",
        },
        init=init,
        losses=functools.partial(vision_losses.losses, graphdef),
        measure=functools.partial(vision_losses.measure, graphdef),
        validation=splits.test,
        batches=batches,
        random=shape.random,
    )


def _model(shape: Any) -> tuple[nnx.GraphDef, Callable[[jax.Array], Any]]:
    graphdef, _ = nnx.split(nnx.eval_shape(lambda: counts.build(shape)), nnx.Param)
    return graphdef, lambda key: nnx.split(counts.build(shape, seed=key), nnx.Param)[1]
