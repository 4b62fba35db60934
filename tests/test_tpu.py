"""What the optimizers cost on a TPU, read off programs compiled ahead of time; no TPU is needed.

The step update + apply_updates is compiled for four v5e chips with params and states donated, and
the scheduled HLO is counted: its loops over whole leaves (fusions) and the bytes of their operands
and results. ``cost_analysis()['bytes accessed']`` would count a whole operand for every slice that
is prefetched.
"""

import importlib.util
import math
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
import pytest
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import gradpow

# One leaf under FSDP, the other under tensor parallelism; of different shapes, because XLA may
# merge the loops over equal ones.
LEAVES = {
    "fsdp": ((1024, 4096), PartitionSpec("chips", None)),
    "tensor": ((512, 2048), PartitionSpec(None, "chips")),
}
LOCAL_SIZE = sum(math.prod(shape) for shape, _ in LEAVES.values()) // 4
COLLECTIVE = r" (all-reduce|all-gather|all-to-all|reduce-scatter|collective-\w+)(-start)?\("
# Moves between HBM and on-chip memory (which has the layout S(1)), and ways to write a value.
MOVES = {"copy-start", "copy-done", "slice-start", "slice-done", "custom-call", "bitcast"}
NAMES = {"parameter", "get-tuple-element", "tuple"}


class Program(NamedTuple):
    passes: int  # loops over whole leaves
    bytes_per_parameter: float  # read and written by all loops
    others: set[str]  # opcodes that make whole leaves, but are neither loops, moves nor names
    copies: list[str]  # copy-start instructions
    collectives: list[str]
    temp_bytes: int
    donated_bytes: int


@pytest.fixture(scope="module")
def mesh():
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("libtpu, the TPU compiler, is not installed: pip install 'gradpow[pods]'")
    with pytest.MonkeyPatch.context() as env:
        # libtpu otherwise asks the cloud's metadata server which machine this is, and refuses to
        # load in two processes at once, as parallel test runs do.
        env.setenv("TPU_SKIP_MDS_QUERY", "1")
        env.setenv("TPU_ACCELERATOR_TYPE", "v5litepod-4")
        env.setenv("TPU_WORKER_HOSTNAMES", "localhost")
        env.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
        topology = topologies.get_topology_desc(platform="tpu", topology_name="v5e:2x2")
        yield Mesh(topology.devices, ("chips",))


def compiled(tx, mesh):
    def put(like, spec):
        sharding = NamedSharding(mesh, spec if like.ndim else PartitionSpec())
        return jax.ShapeDtypeStruct(like.shape, like.dtype, sharding=sharding)

    params = {
        name: put(jax.ShapeDtypeStruct(shape, jnp.float32), spec)
        for name, (shape, spec) in LEAVES.items()
    }
    specs = {shape: spec for shape, spec in LEAVES.values()}
    state = jax.tree.map(lambda x: put(x, specs.get(x.shape)), jax.eval_shape(tx.init, params))

    def step(params, grads, state):
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return jax.jit(step, donate_argnums=(0, 2)).lower(params, params, state).compile()


def size_in_bytes(types):
    widths = {"f32": 4, "bf16": 2, "s32": 4, "u32": 4, "pred": 1}
    return sum(
        widths[dtype] * math.prod(int(n) for n in shape.split(",") if n)
        for dtype, shape in re.findall(r"(\w+)\[([\d,]*)\]", types)
    )


def measure(tx, mesh):
    executable = compiled(tx, mesh)
    entry = executable.as_text().split("\nENTRY ")[1]
    instruction = re.compile(r"^  (?:ROOT )?%(\S+) = (.*?) ([a-z][\w-]*)\((.*)", re.MULTILINE)
    found = instruction.findall(entry)
    types = {name: result for name, result, _, _ in found}
    loops, others, copies = [], set(), []
    for _, result, opcode, rest in found:
        if opcode == "fusion":
            operands = re.findall(r"%([\w.-]+)", rest.split("), kind=")[0])
            moved = size_in_bytes(result) + sum(size_in_bytes(types[name]) for name in operands)
            loops.append(moved)
        elif size_in_bytes(result) > LOCAL_SIZE / 100 and opcode not in MOVES | NAMES:
            others.add(opcode)
        copies += [result] if opcode == "copy-start" else []
    memory = executable.memory_analysis()
    return Program(
        passes=sum(moved > LOCAL_SIZE / 100 for moved in loops),
        bytes_per_parameter=sum(loops) / LOCAL_SIZE,
        others=others,
        copies=copies,
        collectives=[line for line in entry.splitlines() if re.search(COLLECTIVE, line)],
        temp_bytes=memory.temp_size_in_bytes,
        donated_bytes=memory.alias_size_in_bytes,
    )


# Bytes a parameter: params and states read and written, gradients read; two states each.
ONE_PASS = {
    "adampower": (gradpow.adampower(1e-3), 28),
    "s3": (gradpow.s3(1e-3, p=3), 28),
    "s3_p1": (gradpow.s3(1e-3, p=1), 28),
    "stacey": (gradpow.stacey(1e-2), 28),
    "grams": (gradpow.grams(1e-3, weight_decay=0.1), 28),
    "adampower_low_precision": (gradpow.low_precision_state(gradpow.adampower(1e-3)), 20),
}


@pytest.mark.parametrize("name", ONE_PASS)
def test_a_step_is_one_pass_over_each_leaf_without_temporaries_or_collectives(name, mesh):
    tx, bytes_per_parameter = ONE_PASS[name]
    program = measure(tx, mesh)
    assert program.passes == len(LEAVES)
    # Scalars, and the row numbers of the stochastic rounding, are the thousandth.
    assert program.bytes_per_parameter == pytest.approx(bytes_per_parameter, rel=1e-3)
    assert program.others == set()
    assert all(copy.count("S(1)") == 1 for copy in program.copies if size_in_bytes(copy) > 64)
    assert program.collectives == []
    assert program.temp_bytes < LOCAL_SIZE / 100
    # All but the gradients' 4 bytes are updated in place: half of the rest.
    assert program.donated_bytes == pytest.approx(
        (bytes_per_parameter - 4) / 2 * LOCAL_SIZE, rel=1e-3
    )


# What a reduction over a tensor, or over all, costs: a second pass and scalars to add up.
TWO_PASSES = {
    # The second pass reads params, gradients and both states again and writes params alone.
    "cautious_adam": (gradpow.cautious_adam(1e-3), 40, len(LEAVES)),
    "lp_descent_scaled": (gradpow.lp_descent(1e-3, 3.0, scaled=True), 16, 1),
}


@pytest.mark.parametrize("name", TWO_PASSES)
def test_a_reduction_costs_a_second_pass_and_one_all_reduce_of_scalars(name, mesh):
    tx, bytes_per_parameter, scalars = TWO_PASSES[name]
    program = measure(tx, mesh)
    assert program.passes == 2 * len(LEAVES)
    assert program.bytes_per_parameter == pytest.approx(bytes_per_parameter, rel=1e-3)
    assert program.others == set()
    (all_reduce,) = program.collectives
    result = re.split(r" all-reduce(?:-start)?\(", all_reduce)[0]
    assert size_in_bytes(result) <= 4 * scalars
    assert program.temp_bytes < LOCAL_SIZE
