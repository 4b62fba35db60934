"""Weights and configurations to and from Hugging Face's LLaMA, Qwen2MoE and GPT-2.

Hugging Face keeps one tensor for each layer and expert, transposes kernels except in GPT-2, where
q, k and v are one tensor, and has no padded tokens. The models here bear its names otherwise.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from .counts import abstract_params
from .errors import UserError
from .gpt2 import Gpt2Shape
from .layers import VOCABULARY_AXIS, pad_vocab
from .llama import LlamaShape
from .qwen2moe import BALANCE, Qwen2MoeShape

Shape = LlamaShape | Qwen2MoeShape | Gpt2Shape
FUSED = ("q_proj", "k_proj", "v_proj")  # in this order, GPT-2's c_attn


def to_huggingface(shape: Shape, params: nnx.State) -> dict[str, np.ndarray]:
    """The tensors of Hugging Face's checkpoint by name, from a model's parameters."""
    tensors = {}
    for path, array in jax.tree.leaves_with_path(jax.device_get(params)):
        name = keystr(path)
        parts, axes = part_names(shape, name)
        for part, x in zip(parts, array.reshape(len(parts), *array.shape[axes:]), strict=True):
            x = turn(shape, part, x)
            tensors[tensor_name(shape, part)] = (
                x[: shape.vocab] if name in VOCABULARY_AXIS else np.ascontiguousarray(x)
            )
    return fuse(tensors) if isinstance(shape, Gpt2Shape) else tensors


def from_huggingface(shape: Shape, tensors: Mapping[str, np.ndarray]) -> nnx.State:
    """The inverse of `to_huggingface`; the rows of padded tokens are 0."""
    expected = jax.eval_shape(lambda params: to_huggingface(shape, params), abstract_params(shape))
    return expected
