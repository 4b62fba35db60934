"""Learning rates by block, on the parameter trees that Flax makes."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest
from flax import nnx

import gradpow
from gradpow.core import Scalar
from tests.contract.case import Case
from tests.contract.exact import assert_same_steps, updates_of
from tests.contract.trees import gradients


def of_one_ratio(ratio: Scalar) -> optax.GradientTransformation:
    return gradpow.blockwise_learning_rate({"all": ratio}, lambda path: "all")


CASE = Case(of_one_ratio, {"ratio": 0.5})
RATIOS = {"embedding": 10.0, "qk": 8.0, "ffn": 6.0, "vo": 4.0, "rest": 1.0}


class Block(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.LayerNorm(4, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 4, decode=False, rngs=rngs)
        self.mlp = nnx.List([nnx.Linear(4, 6, rngs=rngs), nnx.Linear(6, 4, rngs=rngs)])
        self.gate = nnx.Linear(4, 4, rngs=rngs)


class Model(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(5, 4, rngs=rngs)
        self.blocks = nnx.List([Block(rngs)])
        self.lm_head = nnx.Linear(4, 5, rngs=rngs)


# By the names of the leaves in either library; NNX adds `value` to each.
NNX_LABELS = {
    "embed/embedding": "embedding",
    "blocks/0/norm/scale": "rest",
    "blocks/0/norm/bias": "rest",
    "blocks/0/attention/query/kernel": "qk",
    "blocks/0/attention/query/bias": "qk",
    "blocks/0/attention/key/kernel": "qk",
    "blocks/0/attention/key/bias": "qk",
    "blocks/0/attention/value/kernel": "vo",
    "blocks/0/attention/value/bias": "vo",
    "blocks/0/attention/out/kernel": "vo",
    "blocks/0/attention/out/bias": "vo",
    "blocks/0/mlp/0/kernel": "ffn",
    "blocks/0/mlp/0/bias": "ffn",
    "blocks/0/mlp/1/kernel": "ffn",
    "blocks/0/mlp/1/bias": "ffn",
    "blocks/0/gate/kernel": "rest",
    "blocks/0/gate/bias": "rest",
    "lm_head/kernel": "rest",
    "lm_head/bias": "rest",
}
LINEN_LABELS = {
    "params/wte/embedding": "embedding",
    "params/LayerNorm_0/scale": "rest",
    "params/LayerNorm_0/bias": "rest",
    **{
        f"params/MultiHeadDotProductAttention_0/{part}/{leaf}": label
        for part, label in (("query", "qk"), ("key", "qk"), ("value", "vo"), ("out", "vo"))
        for leaf in ("kernel", "bias")
    },
    "params/mlp_in/kernel": "ffn",
    "params/mlp_in/bias": "ffn",
    "params/mlp_out/kernel": "ffn",
    "params/mlp_out/bias": "ffn",
    "params/lm_head/kernel": "rest",
    "params/lm_head/bias": "rest",
}


class LinenModel(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        x = nn.Embed(5, 4, name="wte")(tokens)
        x = x + nn.MultiHeadDotProductAttention(2)(nn.LayerNorm()(x))
        x = x + nn.Dense(4, name="mlp_out")(nn.relu(nn.Dense(6, name="mlp_in")(x)))
        return nn.Dense(5, name="lm_head")(x)


TOKENS = jnp.arange(3)[None]


def ones(tree):
    return jax.tree.map(lambda x: jnp.ones(x.shape), tree)


@pytest.fixture(scope="module")
def nnx_params():
    return ones(nnx.state(nnx.eval_shape(lambda: Model(nnx.Rngs(0))), nnx.Param))


@pytest.fixture(scope="module")
def linen_params():
    return ones(jax.eval_shape(LinenModel().init, jax.random.key(0), TOKENS))


def paths(tree):
    """From path to leaf, without the `value` that NNX adds."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    names = (jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves)
    return dict(zip((n.removesuffix("/value") for n in names), jax.tree.leaves(tree), strict=True))


def ratios_on(tree, tx):
    scaled, _ = tx.update(tree, tx.init(tree))
    assert jax.tree.structure(scaled) == jax.tree.structure(tree)
    leaves = paths(scaled)
    assert all(jnp.all(x == x.ravel()[0]) for x in leaves.values())
    return {path: float(x.ravel()[0]) for path, x in leaves.items()}


def test_the_default_knows_the_blocks_of_an_nnx_model(nnx_params):
    expected = {path: RATIOS[label] for path, label in NNX_LABELS.items()}
    assert ratios_on(nnx_params, gradpow.blockwise_learning_rate()) == expected


def test_the_default_knows_the_blocks_of_a_linen_model(linen_params):
    expected = {path: RATIOS[label] for path, label in LINEN_LABELS.items()}
    assert ratios_on(linen_params, gradpow.blockwise_learning_rate()) == expected


def test_the_ratios_may_be_a_mapping_of_ones_own_labels(linen_params):
    tx = gradpow.blockwise_learning_rate(
        {"biases": 0.5, "weights": 2.0},
        lambda path: "biases" if path.endswith("bias") else "weights",
    )
    expected = {path: 0.5 if path.endswith("bias") else 2.0 for path in LINEN_LABELS}
    assert ratios_on(linen_params, tx) == expected


def test_the_ratios_may_be_a_function_of_the_path(nnx_params):
    tx = gradpow.blockwise_learning_rate(lambda path: len(path.split("/")))
    expected = {path: len(path.split("/")) + 1 for path in NNX_LABELS}  # NNX's `value`
    assert ratios_on(nnx_params, tx) == expected


def test_the_labels_may_be_a_tree_or_a_prefix_of_one(linen_params):
    parts = linen_params["params"]
    blocks = dict.fromkeys(parts, "rest") | {"wte": "embedding"}
    full = jax.tree.map(lambda label, part: jax.tree.map(lambda _: label, part), blocks, parts)
    expected = {path: 10.0 if "wte" in path else 1.0 for path in LINEN_LABELS}
    for labels in (blocks, full):
        tx = gradpow.blockwise_learning_rate(labels={"params": labels})
        assert ratios_on(linen_params, tx) == expected


@pytest.mark.parametrize("path", ["mlp", "embedding"])
def test_the_rates_of_an_optimizer_and_of_its_decay_are_multiplied(path):
    params = {path: jnp.array([1.0, -2.0])}
    grads = gradients(params, steps=5)
    tx = optax.chain(gradpow.adampower(1e-3), gradpow.blockwise_learning_rate())
    own_rate = 1e-3 * RATIOS[gradpow.transformer_blocks(path)]
    expected = updates_of(gradpow.adampower(own_rate), params, grads)
    assert_same_steps(updates_of(tx, params, grads), expected, 1e-6)


@pytest.mark.parametrize(
    "tx",
    [
        optax.chain(gradpow.adampower(3e-3), gradpow.blockwise_learning_rate()),
        gradpow.muonpower(3e-2),
    ],
    ids=["blockwise_learning_rate", "muonpower"],
)
def test_an_nnx_optimizer_trains_with_it(tx):
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(
        nnx.Embed(5, 4, rngs=rngs), nnx.Linear(4, 6, rngs=rngs), nnx.Linear(6, 5, rngs=rngs)
    )
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)

    def loss(model):
        logits = model(TOKENS)
        return optax.softmax_cross_entropy_with_integer_labels(logits, TOKENS).mean()

    @nnx.jit
    def step(model, optimizer):
        value, grads = nnx.value_and_grad(loss)(model)
        optimizer.update(model, grads)
        return value

    losses = [step(model, optimizer) for _ in range(50)]
    assert losses[-1] < 0.5 * losses[0]


def test_a_label_without_a_ratio_is_named():
    tx = gradpow.blockwise_learning_rate({"a": 1.0}, lambda path: "b")
    with pytest.raises(ValueError, match="no ratio for the label 'b'"):
        tx.update({"x": jnp.ones(1)}, tx.init({"x": jnp.ones(1)}))


def test_labels_beside_a_function_of_the_path_are_refused():
    with pytest.raises(TypeError, match="labels go with a mapping"):
        gradpow.blockwise_learning_rate(lambda path: 1.0, labels=lambda path: "a")


@pytest.mark.parametrize("ratio", [-1.0, float("nan"), float("inf")])
def test_a_ratio_that_is_no_rate_is_refused(ratio):
    with pytest.raises(ValueError, match=r"ratios\['a'\] must be finite and >= 0"):
        gradpow.blockwise_learning_rate({"a": ratio}, lambda path: "a")


def test_bad_ratios_are_refused_by_label():
    for ratio in (-1.0, float("nan"), float("inf"), "1", None, jnp.ones(2)):
        with pytest.raises((ValueError, TypeError), match=r"ratios\['rest'\] must be"):
            gradpow.blockwise_learning_rate({"rest": ratio})
