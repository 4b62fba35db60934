"""Matrices spread over devices: every mesh does what one device does."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from optax.contrib import MuonDimensionNumbers

import gradpow
from examples.pretrain.collectives import collectives
from gradpow.core import last_two_axes, ownership
from gradpow.transforms import in_basis, kronecker_basis, kronecker_precondition, moment_scale
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, in_both_types
from tests.contract.sharded import AXIS_TYPES
from tests.contract.trees import assert_close, normal, quick_jit

STEPS, A, B, C = 5, 3.4445, -4.7750, 2.0315


def orthogonal(x):
    """Newton and Schulz's iteration on a matrix; of 0 it is 0."""
    x /= jnp.maximum(jnp.max(jnp.abs(x)), jnp.finfo(x.dtype).tiny)
    x /= jnp.sqrt(jnp.maximum(jnp.sum(x * x), 1))
    for _ in range(STEPS):
        gram = x @ x.T
        x = A * x + (B * gram + C * gram @ gram) @ x
    return x


NEWTON_SCHULZ = optax.stateless(lambda u, _: orthogonal(u))
CASE = Case(gradpow.spread, other={"inner": NEWTON_SCHULZ, "wire": None}, sharded=2e-6)


def loop(theta0, gradients):
    """Each matrix of a tensor by itself, all axes before the last two counting matrices."""
    steps = []
    for g in gradients:
        stack = np.atleast_2d(g).reshape(-1, *np.atleast_2d(g).shape[-2:])
        result = []
        for x in stack:
            if np.any(x):
                x = x / np.linalg.norm(x)
                for _ in range(STEPS):
                    gram = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
                    inner = B * gram + C * gram @ gram
                    x = A * x + (inner @ x if x.shape[0] <= x.shape[1] else x @ inner)
            result.append(x)
        steps.append(np.reshape(result, g.shape))
    return np.array(steps)


@in_both_types
def test_it_transforms_each_matrix_by_itself(dtype):
    # A gradient of magnitudes 1e-12 to 1e3 in one matrix: small coordinates come of large products.
    assert_steps_of_loop(lambda: CASE.make(), loop, dtype, float32=3e-5)


# A transformer's matrices; what does not divide; no matrix; nothing at all.
SHAPES = {
    "q": (3, 16, 16),
    "o": (3, 16, 16),
    "up": (3, 16, 32),
    "down": (3, 32, 16),
    "experts": (2, 8, 16, 32),
    "heads": (16, 4, 8),
    "whole": (5, 7),
    "list": (32, 16),
    "vector": (16,),
    "empty": (0, 8),
}
SPECS = {
    "q": P(None, "fsdp", "tensor"),
    "o": P(None, "tensor", "fsdp"),
    "up": P(None, "fsdp", "tensor"),
    "down": P(None, "tensor", "fsdp"),
    "experts": P(None, "fsdp", None, "tensor"),
    "heads": P("fsdp", "tensor"),
    "whole": P(),
    "list": P(("tensor", "fsdp"), None),
    "vector": P("fsdp"),
    "empty": P(None, "fsdp"),
}
MESHES = {"fsdp": (1, 8, 1), "fsdp x tensor": (1, 2, 4), "all": (2, 2, 2), "data": (8, 1, 1)}


def axes(path, leaf):
    if path == "vector":
        return None
    return MuonDimensionNumbers(0, (1, 2)) if path == "heads" else last_two_axes(path, leaf)


def make_mesh(name, kind="auto"):
    return jax.make_mesh(
        MESHES[name], ("data", "fsdp", "tensor"), axis_types=3 * (AXIS_TYPES[kind],)
    )


def placed(tree, mesh):
    def put(name, x):
        return jax.device_put(x, NamedSharding(mesh, SPECS[name]))

    return {name: put(name, x) for name, x in tree.items()}


def specs_on(mesh):
    return {name: NamedSharding(mesh, spec) for name, spec in SPECS.items()}


def gram_sums():
    """Keeps a sum of Gram matrices of each side and a count, and goes by the matrix's number."""

    def init(x: Any) -> Any:
        m, n = x.shape
        zero = jnp.zeros([], jnp.int32)
        return {"left": jnp.zeros((m, m)), "right": jnp.zeros((n, n)), "count": zero}

    def update(u, state, params=None, *, matrix_index, grad):
        left, right = state["left"] + grad @ grad.T, state["right"] + grad.T @ grad
        new = {"left": left, "right": right, "count": state["count"] + 1}
        refreshed = (state["count"] - matrix_index) % 3 == 0
        y = jax.lax.cond(refreshed, lambda: left @ u, lambda: u @ right)
        return y / (1 + jnp.linalg.norm(y)), new

    return optax.GradientTransformationExtraArgs(init, update)


@functools.cache
def one_device(stateful):
    return run(gradpow.spread(gram_sums() if stateful else NEWTON_SCHULZ, matrices=axes), None)


def run(tx: Any, mesh: Any, steps: int = 2, state: Any = None, first: int = 1) -> Any:
    """Updates of some steps and the last state, jitted."""
    step = quick_jit(tx.update)
    updates = []
    for seed in range(first, first + steps):
        grads = normal(SHAPES, seed)
        grads = grads if mesh is None else placed(grads, mesh)
        state = tx.init(grads) if state is None else state
        update, state = step(grads, state)
        updates.append(update)
    return updates, state


def across(*cases):
    """The first two of the cases in each run, the others in a hunt."""
    hunted = [pytest.param(*case, marks=pytest.mark.hunt) for case in cases[2:]]
    return pytest.mark.parametrize(("name", "kind", "stateful"), [*cases[:2], *hunted])


@across(
    ("fsdp x tensor", "explicit", False),
    ("all", "auto", True),
    ("all", "explicit", True),
    ("fsdp", "auto", False),
    ("fsdp", "auto", True),
    ("fsdp x tensor", "auto", False),
    ("fsdp x tensor", "auto", True),
    ("all", "auto", False),
    ("data", "auto", True),
    ("data", "explicit", False),
)
def test_any_mesh_does_what_one_device_does(name, kind, stateful):
    mesh = make_mesh(name, kind)
    tx = gradpow.spread(gram_sums() if stateful else NEWTON_SCHULZ, wire=None, matrices=axes)
    with jax.set_mesh(mesh):
        updates, state = run(tx, mesh)
    expected, kept = one_device(stateful)
    # Without a state several matrices are one product, summed in another order, and a small
    # singular value is raised by up to 3.4^5: one coordinate of 8,192 differs by 2.3e-6.
    assert_close(updates, expected, 2e-6 if stateful else 5e-6)
    for leaf, x in updates[-1].items():
        wanted = NamedSharding(mesh, SPECS[leaf])
        # The layout of nothing is the compiler's choice.
        assert x.sharding.is_equivalent_to(wanted, x.ndim) or not x.size, leaf
    for x in jax.tree.leaves(state):  # no device has another's matrices
        assert x.addressable_shards[0].data.size * 8 == x.size
    assert_close(quick_jit(gradpow.respread)(jax.device_get(state), kept), kept, 2e-6)


def test_a_run_goes_on_on_another_mesh_without_stored_padding():
    def made(mesh):
        shardings = None if mesh is None else specs_on(mesh)
        return gradpow.spread(gram_sums(), shardings, wire=None, matrices=axes)

    params, (first, second) = normal(SHAPES, 0), (make_mesh("fsdp x tensor"), make_mesh("all"))
    expected, _ = run(made(None), None, steps=4)
    _, state = run(made(first), first)
    stored = quick_jit(lambda state: gradpow.respread(state, made(None).init(params)))(state)
    matrices = {"16x16": 6, "16x32": 3 + 3 + 16 + 1 + 1, "5x7": 1}
    assert {name: x.size for name, x in stored.index.items()} == matrices
    taken_up = quick_jit(lambda state: gradpow.respread(state, made(second).init(params)))(stored)
    updates, _ = run(made(second), second, state=taken_up, first=3)
    assert_close(updates, expected[2:], 2e-6)
    with pytest.raises(ValueError, match=r"8 slots for matrices of 5x7 .* gradpow\.respread"):
        made(None).update(params, state)


KEEPING = {
    "shampoo": kronecker_precondition(optax.ema(0.9, debias=False), eps=1e-3, every=3),
    "soap": in_basis(
        moment_scale(optax.ema(0.9), eps=1e-8), kronecker_basis(3, 0.9), optax.ema(0.9)
    ),
}
KERNELS = {"q": (3, 16, 16), "o": (3, 16, 16), "up": (3, 16, 32), "down": (3, 32, 16)}
keeping = pytest.mark.parametrize("name", ["shampoo", pytest.param("soap", marks=pytest.mark.hunt)])


def steps_of(tx: Any, shapes: Any, mesh: Any = None, steps: int = 5, dtype: Any = "float32") -> Any:
    grads = [normal(shapes, seed, dtype) for seed in range(steps)]
    grads = grads if mesh is None else [placed(g, mesh) for g in grads]
    state, step, updates = tx.init(grads[0]), quick_jit(tx.update), []
    for g in grads:
        update, state = step(g, state)
        updates.append(update)
    return jax.device_get(updates), state


@keeping
def test_without_staggering_links_that_keep_factors_do_what_they_do_alone(name):
    squares = {k: KERNELS[k] for k in "qo"}  # of others the smaller factor's null space is open
    with jax.enable_x64(True):
        apart, _ = steps_of(gradpow.spread(KEEPING[name], stagger=False), squares, dtype="float64")
        together, _ = steps_of(gradpow.chain(KEEPING[name]), squares, dtype="float64")
    assert_close(apart, together, 1e-9)


@keeping
def test_staggered_refreshes_are_the_same_on_any_mesh(name):
    expected, _ = steps_of(gradpow.spread(KEEPING[name]), KERNELS)
    mesh = make_mesh("fsdp x tensor")
    tx = gradpow.spread(KEEPING[name], specs_on(mesh), wire=None)
    updates, state = steps_of(tx, KERNELS, mesh)
    assert_close(updates, expected, 2e-6)
    for x in jax.tree.leaves(state):
        assert x.addressable_shards[0].data.size * 8 == x.size
    at_once, _ = steps_of(gradpow.spread(KEEPING[name], stagger=False), KERNELS)
    differ = np.array([[np.any(a["q"][i] != b["q"][i]) for i in range(3)]
                       for a, b in zip(at_once, expected, strict=True)])  # fmt: skip
    # After the three of "o", so that their numbers are 3, 4, 5, and every third step is theirs.
    assert not differ[:, 0].any() and not differ[0].any() and differ[:, 1:].any(0).all()


def test_matrices_move_by_all_to_all_alone_and_are_gathered_over_replicas_only():
    def exchanged(name):
        mesh = make_mesh(name)
        tx = gradpow.spread(NEWTON_SCHULZ, specs_on(mesh), wire=None, matrices=axes)
        grads = placed(normal(SHAPES, 1), mesh)
        program = quick_jit(tx.update).lower(grads, tx.init(grads)).compile()
        return {c.kind for c in collectives(str(program.as_text()))}

    assert exchanged("fsdp x tensor") == {"all-to-all", "all-gather"}  # that of "whole"
    assert exchanged("data") == {"all-gather"}


def test_a_narrow_wire_rounds_by_less_than_a_hundredth():
    mesh = make_mesh("fsdp x tensor")
    tx = gradpow.spread(NEWTON_SCHULZ, specs_on(mesh), matrices=axes)
    (update,), _ = run(tx, mesh, steps=1)
    exact = one_device(False)[0][0]
    names = [name for name in SHAPES if name not in ("vector", "empty")]
    errors = np.concatenate([np.ravel(update[name] - exact[name]) for name in names])
    values = np.concatenate([np.ravel(exact[name]) for name in names])
    # Square ones of 16 rows may be nearly singular; of 64 and more rows each is below.
    assert 1e-4 < np.std(errors) / np.std(values) < 0.01


def test_the_work_is_shared_out_evenly():
    sizes = {"data": 4, "fsdp": 4}
    kernels = [jax.ShapeDtypeStruct((8, 32, 32), jnp.float32)] * 4
    spec = ((), ("fsdp",), ())

    def slots(**changes):
        numbers = [last_two_axes("", x) for x in kernels]
        own = ownership(kernels, numbers, [spec] * 4, sizes, **changes)
        return own.groups["32x32"].owned

    assert slots() == 2 and slots(over=()) == 8  # of 32 matrices on 16 devices, or on 4


def test_layouts_are_looked_up_by_path_and_missing_ones_named():
    mesh = make_mesh("fsdp")
    grads = {"q": jnp.ones((3, 16, 16))}
    for shardings in (specs_on(mesh), lambda path, leaf: specs_on(mesh)[path], SPECS):
        with jax.set_mesh(mesh):
            tx = gradpow.spread(gram_sums(), shardings)
            state = jax.eval_shape(tx.init, grads)
        assert state.index["16x16"].shape == (8,)
    with pytest.raises(ValueError, match="shardings have none for 'q', only for 'other'"):
        gradpow.spread(gram_sums(), {"other": P()}).init(grads)
    with pytest.raises(ValueError, match=r"no mesh is in use: enter jax\.set_mesh"):
        gradpow.spread(gram_sums(), SPECS).init(grads)


def test_an_eager_init_reads_the_layout_and_remembers_it():
    mesh, tx = make_mesh("fsdp"), gradpow.spread(gram_sums(), matrices=axes)
    grads = placed(normal(SHAPES, 1), mesh)
    state: Any = tx.init(grads)
    assert state.index["5x7"].shape == (8,)
    update, _ = quick_jit(tx.update)(grads, state)
    assert update["q"].sharding.is_equivalent_to(grads["q"].sharding, 3)
    state = tx.init(normal(SHAPES, 1))  # until another
    assert state.index["5x7"].shape == (1,)


def test_within_a_shard_map_each_device_does_its_own():
    mesh = make_mesh("fsdp")
    x = normal({"x": (8, 4, 4)}, 1)["x"]
    tx = gradpow.spread(NEWTON_SCHULZ)

    def mapped(x):
        return tx.update(x, tx.init(x))[0]

    y = jax.shard_map(mapped, mesh=mesh, in_specs=P("fsdp"), out_specs=P("fsdp"))(x)
    assert_close(y, mapped(x), 2e-6)


@pytest.mark.parametrize("name", ["muon", "polargrad", "soap", "shampoo", "muonpower"])
def test_methods_are_spread_by_what_they_take_for_hidden(name):
    """All links that multiply matrices, and nothing else, are."""
    mesh, shapes = make_mesh("fsdp x tensor"), {"q": (16, 32), "up": (32, 16)}
    sharded = {k: NamedSharding(mesh, P("fsdp", "tensor")) for k in shapes}
    params = normal(shapes, 0)

    def programs(hidden):
        tx = gradpow.get(name, 1e-2, hidden=hidden)
        grads = {k: jax.ShapeDtypeStruct(x.shape, x.dtype) for k, x in params.items()}
        state = jax.eval_shape(tx.init, grads)
        return str(jax.make_jaxpr(tx.update)(grads, state, grads))

    assert programs(gradpow.spread_matrices(lambda path, x: True, sharded)).count("shard_map") == 1
    assert "shard_map" not in programs(lambda path, x: True)


def test_owned_arrays_say_where_they_lie():
    mesh = make_mesh("fsdp x tensor")
    tx = optax.chain(optax.trace(0.9), gradpow.spread(gram_sums(), specs_on(mesh), matrices=axes))
    params = placed(normal(SHAPES, 0), mesh)
    state = tx.init(params)
    found = gradpow.owned_shardings(jax.eval_shape(tx.init, params), mesh)
    assert jax.tree.leaves(found[0]) == []
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(state[1]), strict=True)
    assert all(x.sharding.is_equivalent_to(sharding, x.ndim) for sharding, x in pairs)
