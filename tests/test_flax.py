"""Pipelines people have: NNX, Linen, Haiku's dictionaries, Equinox, with a gradpow optimizer in."""

import functools
import math

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

import gradpow
from gradpow import metrics
from gradpow.transforms import nesterov_pmoment, p_norm_scale
from tests.contract.cases import CASES, METHODS, each
from tests.contract.trees import assert_close, quick_jit

as_pure = getattr(nnx, "as_pure", None) or nnx.pure  # as Flax before 0.12.7 calls it

X = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
SOME = ["s3", "ams"]  # one that works by coordinates, and one that reduces tensors
STEPS = 3
# Sums may be made in another order in another program, which Muon's matrix products amplify.
tolerance = {"muonpower": 1e-4}.get


class Model(nnx.Module):
    """Parameters of two kinds, all with gradients, and a variable of a third."""

    def __init__(self, rngs):
        self.first = nnx.Linear(3, 4, rngs=rngs)
        self.factor = nnx.Variable(jnp.full(4, 0.5))
        normal = nnx.initializers.normal()
        base = nnx.Linear(4, 2, rngs=rngs)
        self.second = nnx.LoRA(4, 2, 2, base_module=base, b_initializer=normal, rngs=rngs)

    def __call__(self, x):
        return self.second(jnp.tanh(self.first(x)) * self.factor)


def loss_of(model):
    return jnp.mean((model(X) - 1.0) ** 2)


def pure(tree, *kinds):
    return as_pure(nnx.state(tree, *kinds))


def assert_same_bits(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def train_nnx(tx, wrt=nnx.Param, graph_of=Model, **extra_args):
    """Model and optimizer after some steps, which run as a scan over their merged state."""
    model = graph_of(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, tx, wrt=wrt)
    graph, start = nnx.split((model, optimizer))

    def step(state, _):
        model, optimizer = nnx.merge(graph, state)
        loss, grads = nnx.value_and_grad(loss_of, argnums=nnx.DiffState(0, wrt))(model)
        optimizer.update(model, grads, value=loss, **extra_args)
        return nnx.state((model, optimizer)), loss

    state, _ = quick_jit(lambda state: jax.lax.scan(step, state, length=STEPS))(start)
    nnx.update((model, optimizer), state)
    return model, optimizer


def by_hand(tx, loss, params):
    """Parameters and optimizer's state after as many steps of optax's own loop."""

    def step(carry, _):
        params, state = carry
        updates, state = tx.update(jax.grad(loss)(params), state, params)
        return (optax.apply_updates(params, updates), state), None

    def run(params):
        return jax.lax.scan(step, (params, tx.init(params)), length=STEPS)[0]

    return quick_jit(run)(params)


def nnx_by_hand(tx, wrt=nnx.Param):
    graph, params, rest = nnx.split(Model(nnx.Rngs(0)), wrt, ...)
    rest = as_pure(rest)
    return by_hand(tx, lambda p: loss_of(nnx.merge(graph, p, rest)), as_pure(params))


@each([*SOME, "muonpower"], METHODS)
def test_nnx_takes_the_steps_of_optax_by_hand_whatever_grad_comes_from_outside(name):
    tx = CASES[name].make()
    outer = jax.tree.map(jnp.ones_like, pure(Model(nnx.Rngs(0)), nnx.Param))
    model, optimizer = train_nnx(tx, grad=outer)
    actual = pure(model, nnx.Param), as_pure(optimizer.opt_state)
    assert_close(actual, nnx_by_hand(tx), tolerance(name, 1e-6))
    assert optimizer.step[...] == STEPS


def test_model_and_optimizer_equals_optimizer():
    tx, model = gradpow.s3(1e-2), Model(nnx.Rngs(0))
    both = nnx.ModelAndOptimizer(Model(nnx.Rngs(0)), tx)
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    for _ in range(2):
        grads = nnx.grad(loss_of)(model)
        optimizer.update(model, grads)
        both.update(grads)
    assert_same_bits(pure(both.model), pure(model))
    assert_same_bits(pure(both.opt_state), pure(optimizer.opt_state))


class Adapter(nnx.Param):
    """A type of variable as users define it."""


class Adapted(Model):
    def __init__(self, rngs):
        super().__init__(rngs)
        self.first.bias = Adapter(self.first.bias[...])


KINDS = {
    "all parameters": (Model, nnx.Param),
    "LoRA's": (Model, nnx.LoRAParam),
    "a type of one's own": (Adapted, Adapter),
    "by path": (Model, nnx.All(nnx.Param, nnx.PathContains("first"))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_wrt_leaves_other_variables_as_they_are_and_keeps_no_state_for_them(kind):
    graph_of, wrt = KINDS[kind]
    before = graph_of(nnx.Rngs(0))
    model, optimizer = train_nnx(gradpow.s3(1e-2, weight_decay=0.1), wrt, graph_of)
    others = nnx.Not(wrt)
    assert_same_bits(pure(model, others), pure(before, others))
    assert jax.tree.leaves(pure(model, others))
    trained = jax.tree.leaves(pure(model, wrt))
    assert not any(map(np.array_equal, trained, jax.tree.leaves(pure(before, wrt))))
    kept = [leaf.shape for leaf in jax.tree.leaves(optimizer.opt_state)]
    assert kept == 2 * [leaf.shape for leaf in trained]


@pytest.mark.parametrize("name", [*SOME, "muonpower"])
def test_lora_alone_is_trained_as_if_the_base_were_a_constant(name):
    tx = CASES[name].make()
    model, _ = train_nnx(tx, nnx.LoRAParam)
    expected, _ = nnx_by_hand(tx, nnx.LoRAParam)
    assert_close(pure(model, nnx.LoRAParam), expected, tolerance(name, 1e-6))


def test_gradients_of_fewer_variables_than_the_optimizer_has_name_the_first_that_lacks_one():
    model = Model(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, gradpow.s3(1e-2), wrt=nnx.Param)
    grads = nnx.grad(loss_of, argnums=nnx.DiffState(0, nnx.LoRAParam))(model)
    with pytest.raises(ValueError, match=r"differ at \['first'\]\['bias'\]: \(4,\) and nothing"):
        optimizer.update(model, grads)


@pytest.mark.parametrize("chain", [optax.chain, gradpow.chain])
def test_the_value_reaches_a_link_that_lowers_the_rate(chain):
    plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=1)
    model = Model(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, chain(gradpow.s3(1e-2), plateau), wrt=nnx.Param)
    for value in (1.0, 0.5, 0.5):
        optimizer.update(model, nnx.grad(loss_of)(model), value=value)
    assert optax.tree.get(optimizer.opt_state, "scale") == 0.5


def test_a_grad_from_outside_feeds_links_that_stand_in_no_gradpow_chain():
    links = nesterov_pmoment(0.9), p_norm_scale(0.9, 3.0), optax.scale(-1e-2)
    results = []
    for tx, passed in ((optax.chain(*links), True), (gradpow.chain(*links), False)):
        model = Model(nnx.Rngs(0))
        optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
        grads = nnx.grad(loss_of)(model)
        optimizer.update(model, grads, **({"grad": grads} if passed else {}))
        results.append(pure(model))
    assert_same_bits(*results)


def test_measurements_are_read_from_an_nnx_optimizer_that_gets_extra_arguments():
    watched = {"rate": metrics.effective_rate, "spikes": metrics.spike_detector()}
    tx = metrics.monitored(gradpow.sgdpower(0.1, p=1.0, momentum=0.0), watched)
    outer = jax.tree.map(jnp.ones_like, pure(Model(nnx.Rngs(0)), nnx.Param))
    _, optimizer = train_nnx(tx, grad=outer)
    measured = as_pure(optimizer.opt_state.measurements)
    assert measured["rate"] == pytest.approx(0.1)
    assert not measured["spikes"]["spike"]
    assert float(optax.tree.get(optimizer.opt_state, "rate")) == measured["rate"]


SHARDED = {"kernel": P("data", "model"), "bias": P("model")}


class Sharded(nnx.Module):
    def __init__(self, rngs):
        kernel = nnx.with_partitioning(nnx.initializers.lecun_normal(), SHARDED["kernel"])
        bias = nnx.with_partitioning(nnx.initializers.normal(), SHARDED["bias"])
        self.linear = nnx.Linear(8, 16, kernel_init=kernel, bias_init=bias, rngs=rngs)

    def __call__(self, x):
        return self.linear(x)


def made_and_stepped(wrapped):
    """The optimizer's state as made, and parameters and state after two steps."""

    def create():
        model = Sharded(nnx.Rngs(0))
        return model, nnx.Optimizer(model, CASES["ams"].make(), wrt=nnx.Param)

    graph, state = nnx.split(wrapped(create)())

    @quick_jit
    def step(state):
        model, optimizer = nnx.merge(graph, state)
        grads = nnx.grad(lambda model: jnp.mean((model(jnp.ones((4, 8))) - 1.0) ** 2))(model)
        optimizer.update(model, grads)
        return nnx.state((model, optimizer))

    _, made = nnx.merge(graph, state)
    model, optimizer = nnx.merge(graph, step(step(state)))
    return pure(made.opt_state), (pure(model), pure(optimizer.opt_state))


def mesh_of(shape, axes):
    axis_types = 2 * (getattr(AxisType, axes),)
    devices = jax.devices()[: math.prod(shape)]
    return jax.make_mesh(shape, ("data", "model"), axis_types=axis_types, devices=devices)


@functools.cache
def on_one_device():
    with jax.set_mesh(mesh_of((1, 1), "Auto")):
        return jax.device_get(made_and_stepped(lambda f: f)[1])


@pytest.mark.parametrize("wrapped", [lambda f: f, nnx.jit], ids=["eager", "jitted"])
@pytest.mark.parametrize("axes", ["Auto", "Explicit"])
def test_an_annotated_model_has_states_in_its_layout_and_takes_the_step_of_one_device(
    axes, wrapped
):
    with jax.set_mesh(mesh_of((2, 4), axes)):
        made, stepped = made_and_stepped(wrapped)
    leaves = [leaf for leaf in jax.tree.leaves((made, stepped)) if leaf.ndim]
    assert len(leaves) > 8
    for leaf in leaves:
        assert leaf.sharding.spec == SHARDED["kernel" if leaf.ndim == 2 else "bias"]
    assert_close(stepped, on_one_device(), 1e-6)


@pytest.mark.parametrize("boxed", [False, True], ids=["plain", "boxed"])
@pytest.mark.parametrize("name", SOME)
def test_a_train_state_takes_the_steps_of_optax_by_hand_and_keeps_boxes(name, boxed):
    tx, init = CASES[name].make(), nn.initializers.lecun_normal()
    layer = nn.Dense(4, kernel_init=nn.with_partitioning(init, ("in", "out")) if boxed else init)
    params = layer.init(jax.random.key(0), X)["params"]

    def loss(params):
        return jnp.mean((layer.apply({"params": params}, X) - 1.0) ** 2)

    def step(state, _):
        return state.apply_gradients(grads=jax.grad(loss)(state.params)), None

    state = TrainState.create(apply_fn=layer.apply, params=params, tx=tx)
    state, _ = quick_jit(lambda state: jax.lax.scan(step, state, length=STEPS))(state)
    expected = by_hand(tx, loss, nn.meta.unbox(params))
    assert_close(nn.meta.unbox((state.params, state.opt_state)), expected, 1e-6)
    specs = jax.tree.leaves(nn.get_partition_spec((state.params, state.opt_state)))
    assert (P("in", "out") in specs) == boxed
    assert specs.count(P("in", "out")) == boxed * sum(
        leaf.ndim == 2 for leaf in jax.tree.leaves(state)
    )


def two_layers(first, second):
    """A loss on dictionaries of two layers with these names, and their parameters."""
    (module, w, b), (other, other_w, other_b) = first, second
    draw = functools.partial(np.random.default_rng(1).standard_normal, dtype=np.float32)
    params = {
        module: {w: jnp.asarray(draw((3, 4))), b: jnp.asarray(draw(4))},
        other: {other_w: jnp.asarray(draw((4, 2))), other_b: jnp.asarray(draw(2))},
    }

    def loss(params):
        hidden = jnp.tanh(X @ params[module][w] + params[module][b])
        return jnp.mean((hidden @ params[other][other_w] + params[other][other_b] - 1.0) ** 2)

    return loss, params


HAIKU = ("mlp/~/linear_0", "w", "b"), ("mlp/~/linear_1", "w", "b")
FLAX = ("Dense_0", "kernel", "bias"), ("Dense_1", "kernel", "bias")


@pytest.mark.parametrize("name", [*SOME, "muonpower"])
def test_haiku_s_dictionaries_take_the_steps_of_flax_s(name):
    tx = CASES[name].make()
    trained, _ = by_hand(tx, *two_layers(*HAIKU))
    expected, _ = by_hand(tx, *two_layers(*FLAX))
    for (module, w, b), (flax_module, kernel, bias) in zip(HAIKU, FLAX, strict=True):
        assert_close(trained[module][w], expected[flax_module][kernel], tolerance(name, 1e-6))
        assert_close(trained[module][b], expected[flax_module][bias], tolerance(name, 1e-6))


def labels(params):
    """Trains the second layer."""
    return {module: "train" if "1" in module else "freeze" for module in params}


@each([*SOME, "muonpower"], METHODS)
def test_a_frozen_layer_keeps_its_bits_and_has_no_state_and_the_other_trains_as_alone(name):
    loss, params = two_layers(*HAIKU)
    first, second = params
    tx = CASES[name].make()
    partial = optax.partition({"train": tx, "freeze": optax.set_to_zero()}, labels)
    trained, state = by_hand(partial, loss, params)
    assert_same_bits(trained[first], params[first])
    expected, alone_state = by_hand(
        tx, lambda part: loss({first: params[first], **part}), {second: params[second]}
    )
    assert_close(trained[second], expected[second], tolerance(name, 1e-6))
    assert_close(jax.tree.leaves(state), jax.tree.leaves(alone_state), tolerance(name, 1e-6))


def test_a_freeze_after_the_optimizer_keeps_the_bits_too():
    loss, params = two_layers(*HAIKU)
    frozen = {module: label == "freeze" for module, label in labels(params).items()}
    tx = optax.chain(gradpow.s3(1e-2, weight_decay=0.1), optax.transforms.freeze(frozen))
    trained, _ = by_hand(tx, loss, params)
    first, second = params
    assert_same_bits(trained[first], params[first])
    assert not np.array_equal(trained[second]["w"], params[second]["w"])


def equinox_loss(mlp):
    return jnp.mean((jax.vmap(mlp)(X) - 1.0) ** 2)


@each([*SOME, "muonpower"], METHODS)
def test_equinox_takes_the_steps_of_optax_by_hand(name):
    tx = CASES[name].make()
    mlp = eqx.nn.MLP(3, 2, 4, depth=1, key=jax.random.key(0))
    arrays, static = eqx.partition(mlp, eqx.is_inexact_array)

    def step(carry, _):
        arrays, state = carry
        mlp = eqx.combine(arrays, static)
        _, grads = eqx.filter_value_and_grad(equinox_loss)(mlp)
        updates, state = tx.update(grads, state, eqx.filter(mlp, eqx.is_inexact_array))
        mlp = eqx.apply_updates(mlp, updates)
        return (eqx.filter(mlp, eqx.is_inexact_array), state), None

    @quick_jit
    def run(arrays):
        return jax.lax.scan(step, (arrays, tx.init(arrays)), length=STEPS)[0][0]

    trained = run(arrays)
    names = {"layers": [{"weight": y.weight, "bias": y.bias} for y in arrays.layers]}

    def loss(params):
        first, second = params["layers"]
        hidden = jax.nn.relu(X @ first["weight"].T + first["bias"])
        return jnp.mean((hidden @ second["weight"].T + second["bias"] - 1.0) ** 2)

    expected, _ = by_hand(tx, loss, names)
    for layer, wanted in zip(trained.layers, expected["layers"], strict=True):
        assert_close({key: getattr(layer, key) for key in wanted}, wanted, tolerance(name, 1e-5))


def test_an_equinox_model_filtered_otherwise_than_its_gradients_is_refused_by_name():
    class Counted(eqx.Module):
        weight: jax.Array
        count: jax.Array

    model = Counted(jnp.ones(3), jnp.array(0))
    grads = eqx.filter_grad(lambda model: jnp.sum(model.weight**2))(model)
    tx = gradpow.s3(1e-2)
    state = tx.init(eqx.filter(model, eqx.is_inexact_array))
    with pytest.raises(ValueError, match=r"int32 at count.*eqx\.is_inexact_array"):
        tx.update(grads, state, eqx.filter(model, eqx.is_array))
