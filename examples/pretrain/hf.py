"""Weights and configurations to and from Hugging Face's LLaMA, Qwen2MoE and GPT-2.

Hugging Face keeps a tensor for each layer and each expert and pads no vocabulary; its kernels are
transposed, but not GPT-2's, whose q, k and v are one tensor.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from .counts import abstract_params
from .errors import UserError
from .gpt2 import Gpt2Shape
from .layers import VOCABULARY_AXIS, pad_vocab
from .llama import LlamaShape
from .names import name_of
from .qwen2moe import BALANCE, Qwen2MoeShape

Shape = LlamaShape | Qwen2MoeShape | Gpt2Shape
C_ATTN = ("q_proj", "k_proj", "v_proj")  # GPT-2's fused projection, along its last axis


def to_huggingface(shape: Shape, params: nnx.State) -> dict[str, np.ndarray]:
    """The tensors of a Hugging Face checkpoint by name."""
    tensors: dict[str, dict[int, np.ndarray]] = {}
    for path, array in jax.tree.leaves_with_path(jax.device_get(params)):
        name = name_of(path)
        parts, axes = split(shape, name)
        for part, x in zip(parts, array.reshape(len(parts), *array.shape[axes:]), strict=True):
            x = turn(shape, part, x)
            x = x[: shape.vocab] if name in VOCABULARY_AXIS else x
            key, place = tensor_name(shape, part)
            tensors.setdefault(key, {})[place] = x
    # In C order, since safetensors writes the buffer of a transposed array as it lies.
    return {
        key: np.ascontiguousarray(np.concatenate([x for _, x in sorted(pieces.items())], axis=-1))
        for key, pieces in tensors.items()
    }


def from_huggingface(shape: Shape, tensors: Mapping[str, np.ndarray]) -> nnx.State:
    """The parameters, inverse of `to_huggingface`; those of padded tokens are 0."""
    check_names(shape, tensors)

    def find(name: str, part: str, size: tuple[int, ...]) -> np.ndarray:
        key, place = tensor_name(shape, part)
        x = np.asarray(tensors[key], np.float32)
        if key.split(".")[-2] == "c_attn":
            x = np.array_split(x, 3, axis=-1)[place]  # unequal parts fail below, by name
        if name in VOCABULARY_AXIS:
            padding = pad_vocab(shape.vocab) - shape.vocab
            x = np.pad(x, [(0, padding)] + [(0, 0)] * (x.ndim - 1))
        x = turn(shape, part, x)
        if x.shape != size:
            raise UserError(
                f"{key} has shape {np.shape(tensors[key])}, which is not this model's: --shape "
                "must be that of the checkpoint's config.json"
            )
        return x

    def assemble(path: Any, leaf: Any) -> jax.Array:
        name = name_of(path)
        parts, axes = split(shape, name)
        found = [find(name, part, leaf.shape[axes:]) for part in parts]
        return jnp.asarray(np.stack(found).reshape(leaf.shape))

    return jax.tree.map_with_path(assemble, abstract_params(shape))


def check_names(shape: Shape, tensors: Mapping[str, np.ndarray]) -> None:
    names = [name_of(path) for path, _ in jax.tree.leaves_with_path(abstract_params(shape))]
    wanted = {tensor_name(shape, part)[0] for name in names for part in split(shape, name)[0]}
    known = wanted | {"lm_head.weight"}  # which a tied checkpoint may repeat
    for what, differ in (
        ("lacks", sorted(wanted - set(tensors))),
        ("has more than this model,", sorted(set(tensors) - known)),
    ):
        if differ:
            more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
            raise UserError(f"the checkpoint {what} {', '.join(differ[:3])}{more}")


def split(shape: Shape, name: str) -> tuple[list[str], int]:
    """Names of a parameter's parts, one a layer and expert, and how many first axes these take."""
    names, axes = [name], 0
    if shape.stacked and name.startswith("layers/"):
        names = [name.replace("layers", f"layers/{i}", 1) for i in range(shape.layers)]
        axes += 1
    if isinstance(shape, Qwen2MoeShape) and "/experts/" in name:
        experts = range(shape.experts)
        names = [f"{n.replace('experts', f'experts/{e}')}/kernel" for n in names for e in experts]
        axes += 1
    return names, axes


def turn(shape: Shape, part: str, x: np.ndarray) -> np.ndarray:
    """Between [in, out] and [out, in]."""
    return x.T if part.endswith("/kernel") and not isinstance(shape, Gpt2Shape) else x


def tensor_name(shape: Shape, part: str) -> tuple[str, int]:
    """Hugging Face's name of the tensor that a part is in, and its place there."""
    *module, leaf = part.split("/")
    place = 0
    if isinstance(shape, Gpt2Shape):
        module = ["transformer", *("h" if m == "layers" else m for m in module)]
        if module[-1] in C_ATTN:
            place = C_ATTN.index(module[-1])
            module[-1] = "c_attn"
    elif module != ["lm_head"]:
        module = ["model", *module]
    return ".".join([*module, "bias" if leaf == "bias" else "weight"]), place


def huggingface_config(shape: Shape, sequence_length: int) -> dict[str, Any]:
    """The content of a config.json; the special tokens are left to the tokenizer."""
    common = {
        "vocab_size": shape.vocab,
        "bos_token_id": None,
        "eos_token_id": None,
        "tie_word_embeddings": isinstance(shape, Gpt2Shape),
    }
    if isinstance(shape, Gpt2Shape):
        return common | {
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
            "n_embd": shape.width,
            "n_head": shape.heads,
            "n_layer": shape.layers,
            "n_positions": shape.context,
            "activation_function": "gelu_new",
            "layer_norm_epsilon": 1e-5,
            "embd_pdrop": shape.dropout,
            "resid_pdrop": shape.dropout,
            "attn_pdrop": 0.0,
        }
    common |= {
        "hidden_size": shape.width,
        "intermediate_size": shape.ff,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "max_position_embeddings": sequence_length,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
    }
    if isinstance(shape, LlamaShape):
        return common | {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    return common | {
        "architectures": ["Qwen2MoeForCausalLM"],
        "model_type": "qwen2_moe",
        "num_experts": shape.experts,
        "num_experts_per_tok": shape.active_experts,
        "moe_intermediate_size": shape.ff // 4,
        "shared_expert_intermediate_size": shape.ff,
        "norm_topk_prob": False,
        "router_aux_loss_coef": BALANCE,
        "use_sliding_window": False,
    }
