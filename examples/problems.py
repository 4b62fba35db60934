"""The problems on which optimizers are compared: small language models on text."""

import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from .pretrain import counts
from .pretrain.data import load
from .pretrain.presets import NANO, SHAPES, get_setting
from .pretrain.step import cross_entropy
from .sweep import Problem

CACHE = Path.home() / ".cache" / "gradpow"


def language(
    preset: str = "llama-nano",
    data: str = "stdlib",
    batch_size: int = NANO.batch_size,
    validation_sequences: int = 64,
) -> Problem:
    """A nano preset of `examples.pretrain`: the same weights, batches and losses as its runs."""
    shape = SHAPES[preset]
    length = get_setting(preset).sequence_length
    loaded = load(
        data,
        tokenizer="bytes",
        vocab=shape.vocab,
        sequence_length=length,
        validation_sequences=validation_sequences,
        cache=CACHE / "tokens",
    )
    graphdef, _ = nnx.split(nnx.eval_shape(lambda: counts.build(shape)), nnx.Param)
    losses = functools.partial(cross_entropy, graphdef)

    @functools.cache
    def batches(seed: int, steps: int) -> np.ndarray:
        iterator = loaded.batches(batch_size, seed=seed)
        found = np.stack([next(iterator) for _ in range(steps)])
        iterator.close()
        return found

    def init(key: jax.Array) -> Any:
        return nnx.split(shape.model(shape, rngs=nnx.Rngs(key)), nnx.Param)[1]

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
