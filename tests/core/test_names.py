"""Names of parameters: on those of 80 public models, told by their sources, and on some traps.

tests/data/model_parameter_names.csv has a row a name, as the model's own code makes it with small
shapes, with what it is and the reason where that is a choice. Where a name does not say what it
is, the row has what is answered, and what it is in its note.
"""

import csv
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import gradpow
from gradpow.core import attention_role, parameter_kind, parameter_part
from gradpow.presets import decay_mask

TABLE = Path(__file__).parents[1] / "data/model_parameter_names.csv"
with TABLE.open() as file:
    ROWS = list(csv.DictReader(file))


def column(name):
    return {(row["model"], row["path"]): row[name] for row in ROWS}


def answers(function):
    return {(row["model"], row["path"]): function(row) for row in ROWS}


def leaf(row):
    shape = tuple(map(int, filter(None, row["shape"].split("x"))))
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def test_no_name_stands_in_the_table_twice():
    assert len(column("path")) == len(ROWS)


def test_the_blocks_of_public_models_are_known_by_their_names():
    assert answers(lambda row: gradpow.transformer_blocks(row["path"])) == column("label")


def test_the_hidden_matrices_of_public_models_are_known_by_their_names():
    def hidden(row):
        return "yes" if gradpow.hidden_matrices(row["path"], leaf(row)) else "no"

    assert answers(hidden) == column("hidden")


def test_what_decays_in_public_models_is_known_by_its_name():
    assert answers(lambda row: parameter_kind(row["path"])) == column("kind")
    paths = [row["path"] for row in ROWS]
    decays = {row["path"]: row["kind"] != "vector" for row in ROWS}
    assert decay_mask(dict.fromkeys(paths, 1.0)) == decays


@pytest.mark.parametrize(
    ("path", "part"),
    [
        # Joined: the part with the smallest ratio.
        ("blocks/0/attn/in_proj_weight", "vo"),
        ("layers/0/to_qkv/kernel", "vo"),
        ("layers/0/attn/qk_proj/kernel", "qk"),
        # The attention's own name is no part of it.
        ("layers/0/multi_query_attention/output/kernel", "vo"),
        ("attn_q/kernel", "qk"),
        ("multi_head_attention/linear/w", "vo"),
        # Heads lie outside of the layers.
        ("output/weight", "head"),
        ("layers/0/output/dense/kernel", "ffn"),
        ("transformer/output_layer/weight", "head"),
        ("model/out/kernel/value", "head"),
        ("to_logits/kernel", "head"),
        ("output_embedding/weight", "head"),
        ("pre_logits/kernel", "rest"),
        # Tables of tokens, and what else is called after an embedding.
        ("token_embedding", "embedding"),
        ("tok_emb/weight", "embedding"),
        ("t_embedder/mlp/0/weight", "input"),
        ("blocks/0/time_emb_proj/kernel", "rest"),
        ("register_tokens", "rest"),
        # Gates.
        ("layers/0/moe/gate/kernel", "rest"),
        ("layers/0/mlp/gate_proj/kernel", "ffn"),
        # Names of arrays that are not the name's own.
        ("layers/0/attn/value/value", "vo"),
        ("layers/0/attn/key/kernel/value", "qk"),
        ("layers/0/mlp/kernel/array", "ffn"),
        # Adapters, wherever they lie.
        ("layers/0/attn/q_proj/lora_b", "adapter"),
        ("layers/0/conv/kernel", "conv"),
        ("", "rest"),
    ],
)
def test_a_part_is_told_by_the_innermost_name_that_says_something(path, part):
    assert parameter_part(path) == part


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("blocks/0/adaLN_modulation/kernel", "matrix"),
        ("blocks/0/norm/Dense_0/kernel", "matrix"),
        ("layers/0/attn/q_proj/lora_b", "matrix"),
        ("layers/0/attn/rotary_emb/inv_freq", "vector"),
        ("layers/0/mixer/A_log", "vector"),
        ("logit_scale", "vector"),
        ("alnico/kernel", "matrix"),
    ],
)
def test_a_vector_is_told_by_its_last_names(path, kind):
    assert parameter_kind(path) == kind


@pytest.mark.parametrize("shape", [(8, 1), (1, 8), (8,), (2, 8, 8)])
def test_what_is_no_matrix_by_its_shape_is_no_hidden_matrix(shape):
    path = "layers/0/mlp/kernel"
    assert gradpow.hidden_matrices(path, jnp.ones((8, 8)))
    assert not gradpow.hidden_matrices(path, jnp.ones(shape))


MATRIX, STACK = (0, 1), (1, 2)
HEADS, OUT = (0, (1, 2)), ((0, 1), 2)


@pytest.mark.parametrize(
    ("path", "axes", "expected"),
    [
        ("layers/0/mlp/kernel", 2, MATRIX),
        ("layers/attn/o_proj", 2, MATRIX),
        ("layers/mlp/kernel", 3, STACK),
        ("layers_0/mlp/kernel", 3, None),
        ("h/mlp/c_fc/kernel", 3, STACK),
        ("blocks/attn/query/kernel", 3, STACK),  # (layers, model, all heads)
        ("blocks/attn/query/kernel", 4, (1, (2, 3))),
        ("blocks/attn/out/kernel", 4, ((1, 2), 3)),
        ("blocks_1/attn/query/kernel", 3, HEADS),
        ("blocks/1/attn/v_proj/kernel", 3, HEADS),
        ("attn/out_proj/kernel", 3, OUT),
        ("layers/0/attn/c_proj/kernel", 3, None),
        ("layer_0/attn/q_einsum/w", 3, (1, (0, 2))),
        ("layer_0/attn/attn_vec_einsum/w", 3, OUT),
        ("layers/0/attn/qkv/kernel", 4, None),
        ("layers/attn/q_proj/weight", 4, (3, (1, 2))),
        ("layers/attn/o_proj/weight", 4, ((2, 3), 1)),
        ("layers/0/mlp/experts/up_proj", 3, STACK),
        ("layers/mlp/experts/up_proj", 4, (2, 3)),
        ("layers/mlp/experts/3/up_proj", 3, STACK),
        ("layers/mlp/shared_experts/up_proj", 3, STACK),
        ("layers/moe/router/kernel", 3, STACK),
        ("decoder/layers/mlp/wi_0/kernel", 3, None),  # MaxText's, stacked along the second axis
        ("decoder/layers/self_attention/query/kernel", 4, None),
        ("layers/norm/scale", 2, None),
        ("layers/attn/query/bias", 3, None),
        ("layers/embed/embedding", 3, None),
    ],
)
def test_the_axes_of_a_hidden_matrix_are_told_by_its_names(path, axes, expected):
    found = gradpow.hidden_matrices(path, jnp.ones(range(2, axes + 2)))
    assert (None if found is None else tuple(found)) == expected


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("h/0/attn/q_proj/kernel", "query"),
        ("layers/attention/key/kernel", "key"),
        ("attn/wk", "key"),
        ("attn/query/bias", "query"),
        ("attn/c_attn/kernel", None),
        ("attn/kv_proj/kernel", None),
        ("attn/qk_proj/kernel", None),
        ("attn/v_proj/kernel", None),
        ("mlp/up_proj/kernel", None),
        ("attn/q_norm/scale", None),
    ],
)
def test_queries_and_keys_are_known_by_their_names(path, role):
    assert attention_role(path) == role
