"""Steps compiled for TPU slices without a TPU: what they take, what fits, what devices send."""

import dataclasses
import importlib.util
import re

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import SingleDeviceSharding
from rich.console import Console

from examples.pretrain import plan
from examples.pretrain.collectives import collectives, trip_count
from examples.pretrain.config import Config
from examples.pretrain.counts import count
from examples.pretrain.errors import UserError
from examples.pretrain.hlo import Instruction
from examples.pretrain.sharding import MeshShape

needs_libtpu = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None,
    reason="libtpu, the TPU compiler, is not installed: pip install -e '.[pods]'",
)


@pytest.fixture(scope="module", autouse=True)
def compiled_in_haste():
    """Not here, where what the TPU's compiler does is the matter."""


def config(preset="llama-nano", optimizer="adamw", **changes):
    changes = {"dtype": "bfloat16", "batch_size": 16} | changes
    return dataclasses.replace(Config.defaults(preset, optimizer), **changes)


@pytest.mark.hunt
@needs_libtpu
def test_the_nano_models_full_step_compiles_for_sixteen_chips():
    made = config("llama-nano", "s3")
    program = plan.compile_for("v5e:4x4", made)
    assert program.fits and (program.devices, program.devices_per_chip) == (16, 1)
    # Two states a parameter; what is small is repeated on every device.
    assert program.opt_state == pytest.approx(2 * program.params, rel=1e-2)
    size = 4 * count(made.shape).total
    assert size / 16 < program.params < size / 16 + 4 * 1000
    kinds = {c.kind for c in program.collectives}
    assert "all-gather" in kinds and kinds & {"all-reduce", "reduce-scatter", "collective-permute"}


@pytest.mark.hunt
@needs_libtpu
def test_devices_send_each_layers_weights_and_the_gradients_once_around():
    """Against what FSDP has to send: weights in bfloat16 twice, gradients in float32 once."""
    made = config("llama-66m", batch_size=32, sequence_length=128)
    program = plan.compile_for("v5e:2x2", made)
    matrices = count(made.shape).total - count(made.shape).lookup
    gathered = sum(c.sent for c in program.collectives if c.dtype == "bf16")
    reduced = sum(c.sent for c in program.collectives if c.dtype == "f32")
    share = 3 / 4
    # The compiler keeps some weights from the forward pass, and its rings turn once more.
    assert 0.8 < gathered / (2 * 2 * matrices * share) < 1.4
    assert 0.9 < reduced / (4 * matrices * share) < 1.5


@needs_libtpu
@pytest.mark.parametrize(
    "preset",
    [
        "llama-nano",
        pytest.param("gpt2-nano", marks=pytest.mark.hunt),
        pytest.param("qwen2moe-nano", marks=pytest.mark.hunt),
    ],
)
def test_gradients_are_reduced_in_float32_where_the_model_computes_in_bfloat16(preset):
    made = config(preset)
    if preset == "qwen2moe-nano":  # without a capacity its experts' outputs would be added up too
        made = dataclasses.replace(made, shape=dataclasses.replace(made.shape, capacity_factor=2))
    program = plan.compile_for("v5e:2x2", made)
    reduced = [c for c in program.collectives if c.kind in ("all-reduce", "reduce-scatter")]
    assert sum(c.size for c in reduced) > 4 * count(made.shape).total / 2
    # Two gates of 64 weights are gathered by adding up zeros, in bfloat16.
    assert {c.dtype for c in reduced if c.size > 256} == {"f32"}
    exchanged = sum(c.kind == "all-to-all" for c in program.collectives)
    # Of features, once each way; of experts' places, twice each way in each layer.
    assert exchanged >= (10 if preset == "qwen2moe-nano" else 2)


@pytest.mark.hunt
@needs_libtpu
def test_what_does_not_fit_is_a_result_and_the_search_finds_what_does():
    made = config("llama-0.4b", batch_size=512, sequence_length=2048)
    program = plan.compile_for("v5e:2x2", made)
    assert not program.fits and program.temporaries > plan.MEMORY["v5e"] / 2
    assert "does not fit in the 16.9 GB" in plan.describe("v5e", program, None)


def compiled_if(limit):
    """A compiler to which a chip holds so many sequences."""
    asked = []

    def compiled(topology, config):
        chips = len(plan.devices_of(topology))
        asked.append((topology, config.batch_size))
        fits = config.batch_size / chips <= limit
        return plan.Program(chips, 1, 0, 0, 0, fits, [], 0.0)

    return compiled, asked


@needs_libtpu
@pytest.mark.parametrize("limit", [0, 1, 5, 77])
def test_the_largest_batch_is_found_to_a_twentieth(limit):
    compiled, asked = compiled_if(limit)
    found = plan.largest_batch("v5e:2x2", config(), compiled)
    assert 4 * limit * 20 / 21 - 4 <= found <= 4 * limit
    assert found == 4 * limit or limit > 20
    assert len(asked) == len(set(asked))


@needs_libtpu
def test_the_smallest_slice_is_the_first_that_shares_out_the_batch_and_fits():
    compiled, asked = compiled_if(limit=4)
    made = config(batch_size=48)
    assert plan.smallest_slice("v5e", made, compiled) == "v5e:4x4"
    assert [topology for topology, _ in asked] == ["v5e:1x1", "v5e:2x2", "v5e:2x4", "v5e:4x4"]
    assert plan.smallest_slice("v5p", config(batch_size=6000), compiled) is None
    # What is kept between steps alone is too much for a chip.
    big = config("llama-2b", batch_size=16)
    asked.clear()
    plan.smallest_slice("v5e", big, compiled)
    assert asked[0] == ("v5e:2x2", 16)


@pytest.mark.hunt
@needs_libtpu
def test_the_memory_of_a_chip_is_what_the_compiler_says():
    for generation, shapes in plan.SLICES.items():
        device = plan.devices_of(f"{generation}:{shapes[0]}")[0]
        huge = jax.ShapeDtypeStruct((2**38,), jnp.float32, sharding=SingleDeviceSharding(device))
        with pytest.raises(jax.errors.JaxRuntimeError) as error:
            jax.jit(lambda x: x + 1).lower(huge).compile()
        said = re.search(r"available HBM \(([\d.]+)G\)", str(error.value))
        assert said, str(error.value)
        # The compilers of 2026 differ by a hundredth.
        assert plan.MEMORY[generation] / plan.GIB == pytest.approx(float(said[1]), abs=0.011)


@pytest.mark.hunt
@needs_libtpu
def test_the_command_prints_the_plan(capsys):
    plan.main(["--topology", "v5e:2x2", "--optimizer=grams", "--batch-size", "8"])
    shown = " ".join(capsys.readouterr().out.split())
    for words in (
        "llama-nano, grams, bfloat16, 8 sequences of 64 tokens a step, on v5e:2x2",
        "mesh: data 1 x fsdp 4 x tensor 1",
        "activations, growing with the batch",
        "fits in the 16.9 GB of a device",
        "all-gather, bf16",
        "compiled in",
    ):
        assert words in shown, words


@needs_libtpu
def test_the_command_refuses_what_it_does_not_know(capsys):
    for arguments, clue in {
        ("--topology", "h100:8"): "--topology takes v5e, v5p, v6e and a shape, not h100:8",
        ("--topology", "v5e:3x7"): "--topology v5e:3x7",
        ("--topologie", "v5e:2x2"): "--topologie",
        ("--batch-size", "7"): "--batch-size 7 must be a multiple of 16",
    }.items():
        with pytest.raises(SystemExit) as end:
            plan.main(list(arguments))
        message = capsys.readouterr().err
        assert end.value.code == 2 and message.count("\n") == 1 and clue in message


@pytest.mark.hunt
@needs_libtpu
def test_the_table_has_a_row_a_case(tmp_path):
    options = plan.Plan("v5e:2x2", presets=("llama-nano",), optimizers=("adamw", "stacey"))
    to = tmp_path / "table.md"
    plan.table(options, config(), to, Console(quiet=True))
    rows = to.read_text().splitlines()
    assert len(rows) == 4 and all(row.count("|") == rows[0].count("|") for row in rows)
    assert rows[2].startswith("| `llama-nano` | adamw |") and "| yes |" in rows[3]


LOOP = """HloModule m
%body (p: (s32[], f32[8,16])) -> (s32[], f32[8,16]) {
  %p = (s32[], f32[8,16]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %two = s32[] constant(2)
  %next = s32[] add(%i, %two)
  %x = f32[8,16]{1,0} get-tuple-element(%p), index=1
  %y = f32[8,16]{1,0} all-reduce(%x), channel_id=1, replica_groups=[2,4]<=[8], to_apply=%sum
  %h1 = bf16[4]{0} all-gather(%a), channel_id=4, replica_groups=mesh['x'=2,'y'=4] {'x','y'}, CHAIN
  ROOT %t = (s32[], f32[8,16]{1,0}) tuple(%next, %y)
}
%condition (q: (s32[], f32[8,16])) -> pred[] {
  %q = (s32[], f32[8,16]{1,0}) parameter(0)
  %n = s32[] constant(7)
  %j = s32[] get-tuple-element(%q), index=0
  ROOT %c = pred[] compare(%j, %n), direction=LT
}
%all-reduce-scatter.1 (r: f32[4]) -> f32[2] {
  %r = f32[4]{0} parameter(0)
  %z = f32[4]{0} all-reduce(%r), channel_id=1, replica_groups={{0,1}}, to_apply=%sum
  ROOT %v = f32[2]{0} dynamic-slice(%z), dynamic_slice_sizes={2}
}
ENTRY %main (a: (s32[], f32[8,16])) -> (s32[], f32[8,16]) {
  %a = (s32[], f32[8,16]{1,0}) parameter(0)
  %s = (bf16[4,16]{1,0}, bf16[4,16]{1,0}, u32[], u32[]) collective-permute-start(%a), channel_id=2
  %g = bf16[4]{0} reduce-scatter(%a), channel_id=3, replica_groups={{0,1,2},{3,4,5}}, dimensions={0}
  %h = bf16[4]{0} all-gather(%a), channel_id=4, replica_groups=mesh['x'=2,'y'=4] {'x','y'}, CHAIN
  %h2 = bf16[4]{0} all-gather(%a), channel_id=4, replica_groups=mesh['x'=2,'y'=4] {'x','y'}, CHAIN
  %k = f32[] all-reduce(%a), channel_id=5, replica_groups={{0,1}}, to_apply=%sum
  %m = (f32[4], f32[], f32[8]) all-reduce-start(%a), channel_id=6, replica_groups={{0,1}}
  %o = ((f32[4], f32[2]), (f32[8], f32[4])) all-gather-start(%a), replica_groups={{0,1}}
  %f = f32[2] fusion(%a), kind=kCustom, calls=%all-reduce-scatter.1
  ROOT %w = (s32[], f32[8,16]{1,0}) while(%a), condition=%condition, body=%body
}
"""


def test_the_reader_of_programs_knows_loops_groups_pieces_and_combined_operations():
    found = collectives(LOOP.replace("CHAIN", 'frontend_attributes={chain_id="2"}'))
    assert {(c.kind, c.dtype, c.size, c.group, c.times) for c in found} == {
        ("all-reduce", "f32", 512, 4, 4),  # turns 0, 2, 4, 6
        ("collective-permute", "bf16", 128, 2, 1),
        ("reduce-scatter", "bf16", 24, 3, 1),
        ("all-gather", "bf16", 8, 8, 1),  # once, though in three pieces, one of them in the loop
        ("all-reduce", "f32", 16 + 4 + 32, 2, 1),
        ("all-gather", "f32", 32 + 16, 2, 1),
        ("reduce-scatter", "f32", 16, 2, 1),
    }
    assert sum(c.sent for c in found) == (
        2 * 3 / 4 * 512 * 4 + 128 + 2 / 3 * 24 + 7 / 8 * 8 + 52 + 48 / 2 + 16 / 2
    )


def test_a_loop_that_cannot_be_counted_is_an_error_not_a_guess():
    loop = Instruction("w", "s32[]", "while", "%a), condition=%c, body=%b")
    computations = {"c": [], "b": []}
    with pytest.raises(ValueError, match="cannot tell how often w turns"):
        trip_count(loop, computations)


def test_without_libtpu_the_command_says_what_to_install(monkeypatch):
    def absent(*_, **__):
        raise RuntimeError("no TPU library")

    monkeypatch.setattr(plan.absent.topologies, "get_topology_desc", absent)
    with pytest.raises(UserError, match=r"no TPU library; it needs pip install -e '.\[pods\]'"):
        plan.devices_of("v5e:2x2")


def test_a_mesh_that_does_not_divide_the_slice_gets_one_line():
    if importlib.util.find_spec("libtpu"):
        with pytest.raises(UserError, match="does not divide the 16 devices"):
            plan.compile_for("v5e:4x4", config(mesh=MeshShape(1, 3, 1)))
