"""The table of a split: every parameter stands in it once, under its label."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from optax.contrib import MuonDimensionNumbers

import gradpow

LAYER = {"attn": {"query": {"kernel": jnp.ones((4, 4))}}, "mlp": {"kernel": jnp.ones((4, 6))}}
PARAMS = {
    "embed": {"embedding": jnp.ones((10, 4))},
    "layers": [LAYER, LAYER, LAYER],
    "lm_head": {"kernel": jnp.ones((4, 10))},
}
SHAPES = jax.eval_shape(lambda: PARAMS)


def labelled(text):
    """From label to its lines, without their padding."""
    found, label = {}, ""
    for line in text.splitlines():
        if line.startswith("  "):
            found[label].append(" ".join(line.split()))
        else:
            label, _, _ = line.partition(":")
            found[label] = []
    return found


HIDDEN = {
    "False": ["embed/embedding (10, 4)", "lm_head/kernel (4, 10)"],
    "True": ["layers/*/attn/query/kernel x3 (4, 4)", "layers/*/mlp/kernel x3 (4, 6)"],
}
TREE = {"embed": False, "layers": True, "lm_head": False}


@pytest.mark.parametrize(
    "labels",
    [
        lambda path: path.startswith("layers"),
        lambda params: TREE,
        TREE,
        jax.tree.map(lambda label, part: jax.tree.map(lambda _: label, part), TREE, PARAMS),
    ],
    ids=["path", "params", "prefix", "tree"],
)
def test_labels_may_be_functions_or_trees(labels):
    assert labelled(gradpow.describe_split(PARAMS, labels)) == HIDDEN
    assert labelled(gradpow.describe_split(SHAPES, labels)) == HIDDEN


def test_tensors_and_parameters_are_counted():
    lines = gradpow.describe_split(PARAMS, gradpow.transformer_blocks).splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        "embedding: 1 tensor, 40 parameters",
        "qk: 3 tensors, 48 parameters",
        "ffn: 3 tensors, 72 parameters",
        "rest: 1 tensor, 40 parameters",
    ]


@pytest.mark.parametrize(
    "labels",
    [
        gradpow.hidden_matrices,
        {"embed": None, "layers": MuonDimensionNumbers(0, 1), "lm_head": False},
    ],
    ids=["path and leaf", "prefix"],
)
def test_axes_are_said_in_words_and_what_is_no_matrix_is_the_rest(labels):
    expected = {"rest": HIDDEN["False"], "matrices, in 0, out 1": HIDDEN["True"]}
    assert labelled(gradpow.describe_split(PARAMS, labels)) == expected


def test_several_axes_are_said_together():
    axes = {"w": MuonDimensionNumbers((1, 2), 3), "plain": True}
    text = gradpow.describe_split({"w": jnp.ones((1, 2, 3, 4)), "plain": jnp.ones((2, 2))}, axes)
    assert [*labelled(text)] == ["matrices, in 0, out 1", "matrices, in 1 and 2, out 3"]


@pytest.mark.parametrize(
    ("path", "folded"),
    [
        ("h/11/mlp/kernel", "h/*/mlp/kernel"),
        ("encoderblock_3/MlpBlock_0/Dense_1/kernel", "encoderblock_*/MlpBlock_*/Dense_1/kernel"),
        ("layers_3/mlp/wi_0/kernel", "layers_*/mlp/wi_0/kernel"),
        ("LayerNorm_1/scale", "LayerNorm_1/scale"),
        ("linear1/weight", "linear1/weight"),
    ],
)
def test_numbers_of_layers_are_folded_and_no_others(path, folded):
    assert labelled(gradpow.describe_split({path: jnp.ones(2)}, lambda path: "a")) == {
        "a": [f"{folded} (2,)"]
    }


def test_layers_of_different_shapes_have_a_line_each():
    params = {"layers": [jnp.ones(2), jnp.ones(3), jnp.ones(2)]}
    assert labelled(gradpow.describe_split(params, lambda path: "a")) == {
        "a": ["layers/* x2 (2,)", "layers/* (3,)"]
    }


def test_a_model_of_equinox_is_described_and_its_tree_of_labels_with_it():
    model = eqx.filter(eqx.nn.MLP(2, 3, 4, 1, key=jax.random.key(0)), eqx.is_inexact_array)
    by_path = gradpow.describe_split(model, lambda path: path.endswith("weight"))
    tree = jax.tree.map(lambda x: x.ndim == 2, model)
    assert gradpow.describe_split(model, tree) == by_path
    assert "True: 2 tensors, 20 parameters" in by_path
