"""The optimizers by name: that each trains, what decays, what Muon takes, and layers in a stack."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from examples.pretrain import counts
from examples.pretrain.errors import UserError
from examples.pretrain.gpt2 import Gpt2Shape
from examples.pretrain.llama import LlamaShape
from examples.pretrain.names import name_of
from examples.pretrain.optimizers import (
    OPTIMIZERS,
    hidden_matrices,
    make_optimizer,
    make_schedule,
)
from examples.pretrain.presets import NANO_RATES, get_recipe
from examples.pretrain.qwen2moe import Qwen2MoeShape
from examples.pretrain.step import cross_entropy
from gradpow.core import parameter_kind
from tests.contract.trees import quick_jit
from tests.examples.names import one_of_a_kind

LLAMA = LlamaShape(vocab=32, width=16, ff=32, heads=2, layers=2)
SHAPES = {
    "llama": LLAMA,
    "llama, stacked": LlamaShape(vocab=32, width=16, ff=32, heads=2, layers=8),
    "qwen2moe": Qwen2MoeShape(vocab=32, width=16, ff=32, heads=2, layers=2, experts=4),
    "qwen2moe, stacked": Qwen2MoeShape(vocab=32, width=16, ff=32, heads=2, layers=8, experts=4),
    "gpt2": Gpt2Shape(vocab=32, width=16, heads=2, layers=2, context=16),
    "gpt2, stacked": Gpt2Shape(vocab=32, width=16, heads=2, layers=8, context=16),
}


def make(optimizer, rate, stacked=False, weight_decay=0.01, clip=1.0):
    return make_optimizer(
        optimizer,
        optax.constant_schedule(rate),
        weight_decay=weight_decay,
        # With the paper's lambda of -1, AMS is Grams, which normalises nothing.
        hyper=OPTIMIZERS[optimizer].hyper | ({"negative_scale": 0.0} if optimizer == "ams" else {}),
        clip=clip,
        stacked=stacked,
    )


def leaves_by_name(shape):
    return {
        name_of(path): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(counts.abstract_params(shape))
    }


def test_a_method_without_a_rate_of_its_own_gets_adamws_for_the_nano_presets():
    assert NANO_RATES.keys() <= OPTIMIZERS.keys() and "tiger" not in NANO_RATES
    assert get_recipe("llama-nano", "tiger").learning_rate == NANO_RATES["adamw"]


@functools.cache
def batch():
    """Parameters of one layer, and the program of all optimizers: the loss and its gradient."""
    graphdef, params = nnx.split(counts.build(dataclasses.replace(LLAMA, layers=1)))
    tokens = jnp.asarray(np.random.default_rng(0).integers(32, size=(4, 9)), jnp.int32)
    mean = jax.value_and_grad(lambda params: cross_entropy(graphdef, params, tokens)[0].mean())
    return params, jax.jit(mean)


def step_of(tx):
    @quick_jit
    def step(grads, state, params):
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return step


@one_of_a_kind()
def test_every_optimizer_learns_a_batch_at_its_nano_rate(optimizer):
    params, loss_and_gradient = batch()
    tx = make(optimizer, get_recipe("llama-nano", optimizer).learning_rate)
    step, state, history = step_of(tx), tx.init(params), []
    for _ in range(30):
        loss, grads = loss_and_gradient(params)
        params, state = step(grads, state, params)
        history.append(float(loss))
    least = 0.1 if optimizer in NANO_RATES else 0.01  # AdamW's rate may be a low one
    assert history[-1] < history[0] - least


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_norms_and_biases_alone_do_not_decay(shape):
    kept = {path for path in leaves_by_name(shape) if parameter_kind(path) == "vector"}
    ends = {path.rsplit("/", 1)[-1] for path in kept}
    assert ends <= {"scale", "bias"}
    scales_and_biases = {p for p in leaves_by_name(shape) if p.endswith(("/scale", "/bias"))}
    assert kept == scales_and_biases


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_muon_takes_every_matrix_within_the_layers_but_the_shared_experts_gate(shape):
    leaves = leaves_by_name(shape)
    taken = {path for path, leaf in leaves.items() if hidden_matrices(path, leaf)}
    # That gate has one output: as a matrix it is a vector.
    ends = ("_proj/kernel", "_proj", "c_fc/kernel", "mlp/gate/kernel")
    assert taken == {p for p in leaves if p.startswith("layers/") and p.endswith(ends)}
    for path in taken:
        numbers = hidden_matrices(path, leaves[path])
        axes = leaves[path].ndim
        assert (numbers.reduction_axis, numbers.output_axis) == (axes - 2, axes - 1)
        assert axes == 2 + shape.stacked + ("/experts/" in path)


def test_weight_decay_of_cautious_muon_is_not_masked_by_its_caution():
    params = {"layers": {"up_proj": jnp.ones((4, 4))}}
    still = jax.tree.map(jnp.zeros_like, params)
    tx = make("cautious_muon", 0.1, weight_decay=0.5)
    updates, _ = tx.update(still, tx.init(params), params)
    # Without a gradient nothing but decay moves: by rate times decay.
    np.testing.assert_allclose(updates["layers"]["up_proj"], -0.05, rtol=1e-6)


@pytest.mark.parametrize(
    "kind, expected",
    {
        "cosine": [0.0, 0.5, 1.0, 0.1 + 0.9 * (1 + np.cos(np.pi * 38 / 98)) / 2, 0.1],
        "linear": [0.0, 0.5, 1.0, 1 - 0.9 * 38 / 98, 0.1],
        "constant": [0.0, 0.5, 1.0, 1.0, 1.0],
        "wsd": [0.0, 0.5, 1.0, 1.0, 0.1],
    }.items(),
)
def test_schedules_warm_up_and_end_where_they_say(kind, expected):
    schedule = make_schedule(kind, 2.0, steps=100, warmup=2, final_fraction=0.1)
    found = [float(schedule(step)) for step in (0, 1, 2, 40, 100)]
    np.testing.assert_allclose(found, 2 * np.asarray(expected), rtol=1e-6)


def test_bad_settings_are_refused_in_one_line():
    with pytest.raises(UserError, match="--warmup must be at least 0 and below --steps 10, not 10"):
        make_schedule("cosine", 1.0, steps=10, warmup=10, final_fraction=0.1)
    with pytest.raises(UserError, match="lower --warmup"):
        make_schedule("wsd", 1.0, steps=10, warmup=9, final_fraction=0.1)
    with pytest.raises(UserError, match=r"--optimizer s3: .*\bp\b"):
        make_optimizer(
            "s3",
            optax.constant_schedule(1.0),
            weight_decay=0.0,
            hyper={"b": 0.9, "p": -1.0},
            clip=0.0,
            stacked=False,
        )


def test_annealed_hyper_parameters_fall_as_the_rate_does():
    """STACEY's tau at half of the rate, and the plain optimizer at its top."""
    params = {"w": jnp.array([1.0, -2.0])}
    hyper = OPTIMIZERS["stacey"].hyper | {"tau": 0.5, "alpha": 0.5}
    schedule = optax.piecewise_constant_schedule(0.2, {1: 0.5})

    def updates(anneal, tau, schedule):
        tx = make_optimizer(
            "stacey", schedule, weight_decay=0.0, hyper=hyper | {"tau": tau}, clip=0.0,
            stacked=False, anneal=anneal, peak=0.2,
        )  # fmt: skip
        state, taken = tx.init(params), []
        for _ in range(2):
            step, state = tx.update(params, state, params)
            taken.append(step["w"])
        return taken

    falling = updates(("tau",), 0.5, schedule)
    np.testing.assert_allclose(falling[0], updates((), 0.5, schedule)[0], rtol=1e-6)
    np.testing.assert_allclose(falling[1], updates((), 0.25, schedule)[1], rtol=1e-6)
    assert not np.allclose(falling[1], updates((), 0.5, schedule)[1], rtol=1e-3)
    with pytest.raises(UserError, match=r"--anneal: stacey has no taw, only .*tau"):
        updates(("taw",), 0.5, schedule)
