"""Parameters and operations of a model, from its shape alone; nothing is allocated."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from .layers import VOCABULARY_AXIS, pad_vocab
from .names import name_of


class Counts(NamedTuple):
    """Parameters, with the vocabulary unpadded, as papers count them."""

    total: int
    active: int  # that one token goes through: of the experts, the active ones
    lookup: int  # in tables that multiply nothing: untied input embeddings and learned positions


def build(shape: Any, *, seed: int | jax.Array = 0, dtype: Any = jnp.float32) -> Any:
    """The model of a shape, from a seed or a key; runs under `jax.jit` and `nnx.eval_shape`."""
    return shape.model(shape, rngs=nnx.Rngs(seed), dtype=dtype)


def abstract_params(shape: Any) -> nnx.State:
    return nnx.split(nnx.eval_shape(lambda: build(shape)), nnx.Param)[1]


@functools.cache
def count(shape: Any) -> Counts:
    total = active = lookup = 0
    for path, leaf in jax.tree.leaves_with_path(abstract_params(shape)):
        name = name_of(path)
        size = leaf.size
        if name in VOCABULARY_AXIS:
            size = size // pad_vocab(shape.vocab) * shape.vocab
        total += size
        active += size * shape.active_experts // shape.experts if "/experts/" in name else size
        lookup += size if name in ("embed_tokens/embedding", "wpe/embedding") else 0
    return Counts(total, active, lookup)


def flops_per_token(shape: Any, sequence_length: int) -> float:
    """Floating-point operations of a training step for each token (PaLM, Appendix B).

    Each active parameter that multiplies takes 2 forward and 4 backward. Attention's two products
    take 12 * layers * width * length there; a causal mask needs half, which is counted here.
    What `remat` and spare places of experts add is not counted.
    """
    counts = count(shape)
    attention = 6 * shape.layers * shape.width * sequence_length
    return 6 * (counts.active - counts.lookup) + attention
