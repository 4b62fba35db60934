"""The commands that measure speed and memory: what they compute, not how long it takes."""

import importlib.util
import json

import jax
import numpy as np
import optax
import pytest

import gradpow
from benchmarks import cpu, drift, growth, memory, page, pods, program, steady, trees
from benchmarks.methods import (
    ELEMENTWISE,
    METHODS,
    OPTAX,
    REDUCING,
    VARIANTS,
    in_pipeline,
    step_of,
)
from examples.pretrain import absent

# Arrays of the parameter's shape that each method keeps: as the catalog says, but for momentum,
# which it has here and not by default, and for what is not in the catalog.
KEPT_BYTES = {entry.name: entry.bytes for entry in gradpow.atlas()}
STATES = {
    called: round(KEPT_BYTES[name] / 4)
    for name in KEPT_BYTES
    for called in VARIANTS.get(name, {name: {}})
} | {
    "sgdpower": 1, "gradpower(lion)": 1, "optax.adamw": 2, "optax.lion": 1,
    "optax.sgd": 1, "optax.contrib.muon": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_the_state_takes_four_bytes_an_array_and_two_in_low_precision(name):
    make, states = METHODS[name], STATES[name]
    # Muon keeps scalars beside its matrices.
    assert memory.state_bytes(make, "float32 params") == pytest.approx(4 * states, abs=1e-4)
    assert memory.state_bytes(make, "low_precision_state") == pytest.approx(2 * states, abs=1e-4)
    in_bfloat16 = memory.state_bytes(make, "bfloat16 params")
    assert in_bfloat16 == pytest.approx((2 if name.startswith("optax") else 4) * states, abs=1e-4)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in REDUCING])
def test_a_pipeline_decays_matrices_alone(name):
    params = {"matrix": np.ones((2, 2), np.float32), "vector": np.ones(2, np.float32)}
    tx = in_pipeline(METHODS[name])
    state, grads = tx.init(params), optax.tree.zeros_like(params)
    for _ in range(3):  # the first rate is 0
        updates, state = tx.update(grads, state, params)
    assert np.all(updates["matrix"] < 0)
    np.testing.assert_array_equal(updates["vector"], 0)


def test_trees_are_of_the_size_that_was_asked_for():
    for make in (trees.one_leaf, trees.transformer):
        size = sum(leaf.size for leaf in make(25_000_000).values())
        assert size == pytest.approx(25e6, rel=0.12)
    leaves = trees.many_leaves(1_000_000, 1000)
    assert len(leaves) == 1000
    assert sum(leaf.size for leaf in leaves.values()) == pytest.approx(1e6, rel=0.1)


# XLA on CPU stores what has several uses and is costly, or is read after it is overwritten, as in
# optax's Lion; an array more makes a step twice as long.
@pytest.mark.parametrize("name", sorted(ELEMENTWISE.keys() - {"gradpower(lion)"}))
def test_a_step_on_a_cpu_stores_no_array_on_the_way(name):
    params = {"leaf": jax.ShapeDtypeStruct((2**16,), np.float32)}
    tx = METHODS[name](1e-3)
    state = jax.eval_shape(tx.init, params)
    step = jax.jit(step_of(tx), donate_argnums=(0, 2)).lower(params, params, state).compile()
    assert step.memory_analysis().temp_size_in_bytes < 2**12


PROGRAM = """
%fused (p.0: f32[8,128], p.1: f32[8,128]) -> f32[8,128] {
  %p.0 = f32[8,128]{1,0} parameter(0)
  %p.1 = f32[8,128]{1,0} parameter(1)
  %exp = f32[8,128]{1,0} exponential(%p.0)
  ROOT %mul = f32[8,128]{1,0} multiply(%exp, %p.1)
}

ENTRY %main (a: f32[8,128], b: f32[8,128]) -> f32[8,128] {
  %a = f32[8,128]{1,0} parameter(0)
  %b = f32[8,128]{1,0} parameter(1)
  %start = (f32[8,128]{1,0:S(1)}, f32[8,128]{1,0}, u32[]{:S(2)}) copy-start(%a)
  %done = f32[8,128]{1,0:S(1)} copy-done(%start)
  %all-reduce = s32[] all-reduce(%count), replica_groups={{0,1}}, to_apply=%add
  ROOT %loop = f32[8,128]{1,0} fusion(%done, %b), kind=kLoop, calls=%fused
}
"""


def test_a_program_is_charged_for_main_memory_once():
    found = program.cost(PROGRAM, least=1024)
    kilobytes4 = 4 * 8 * 128
    # a is fetched by the copy, b by the loop.
    assert (found.read, found.written) == (2 * kilobytes4, kilobytes4)
    assert found.passes == 1
    assert (found.collectives, found.exchanged) == (1, 4)
    assert (found.transcendentals, found.operations) == (1024, 2048)


def test_the_speed_command_writes_a_row_a_method(tmp_path, capsys):
    cpu.main(
        ["--sizes", "4096", "--trees", "one-leaf", "transformer", "--methods", "grams", "optax.a",
         "--seconds", "0", "--out", str(tmp_path)]
    )  # fmt: skip
    rows = json.loads((tmp_path / "cpu.json").read_text())["rows"]
    ours = [row for row in rows if row["work_ns"]]  # the rest is PyTorch's, where it is installed
    assert {(row["tree"], row["method"]) for row in ours} == {
        (tree, name) for tree in ("one-leaf", "transformer") for name in ("grams", "optax.adamw")
    }
    assert all(row["ratio"] > 0 for row in rows)
    assert (tmp_path / "cpu.png").exists()
    assert "times optax.adamw" in capsys.readouterr().out


def test_what_was_timed_is_not_timed_again_unless_asked(tmp_path, monkeypatch, capsys):
    common = ["--methods", "grams", "--out", str(tmp_path), "--seconds", "0"]
    commands = (cpu, ["--sizes", "4096"]), (growth, ["--leaves", "3"])
    for command, options in commands:
        command.main(common + options)
    first = capsys.readouterr().out
    monkeypatch.setattr(cpu, "take_turns", None)
    monkeypatch.setattr(growth, "take_turns", None)
    for command, options in commands:
        command.main(common + options)
    tables = [[line for line in out.split("\n") if line.startswith("|")]
              for out in (first, capsys.readouterr().out)]  # fmt: skip
    assert tables[0] == tables[1] and len(tables[0]) > 5
    for command, options in commands:
        with pytest.raises(TypeError, match="not callable"):
            command.main([*common, *options, "--overwrite"])


def test_the_growth_command_writes_a_row_a_method_and_number(tmp_path):
    growth.main(
        ["--leaves", "2", "5", "--methods", "s3, p=3", "--seconds", "0", "--out", str(tmp_path)]
    )
    rows = json.loads((tmp_path / "growth.json").read_text())["rows"]
    assert [(row["leaves"], row["method"]) for row in rows] == [(2, "s3, p=3"), (5, "s3, p=3")]
    assert (tmp_path / "growth.png").exists()


@pytest.mark.parametrize("command", [drift, steady])
def test_long_runs_are_written_and_not_run_again(command, tmp_path, monkeypatch, capsys):
    arguments = ["--smoke", "--methods", "grams", "--out", str(tmp_path)]
    command.main(arguments)
    name = command.__name__.split(".")[-1]
    rows = json.loads((tmp_path / f"{name}.json").read_text())["rows"]
    assert {row["method"] for row in rows} == {"grams"}
    first = capsys.readouterr().out.splitlines()
    monkeypatch.setattr(command, "measure", None)
    command.main(arguments)
    tables = [[line for line in out if line.startswith("|")]
              for out in (first, capsys.readouterr().out.splitlines())]  # fmt: skip
    assert tables[0] == tables[1] and len(tables[0]) == 2 + len(rows)
    with pytest.raises(TypeError, match="not callable"):
        command.main([*arguments, "--overwrite"])


def test_windows_end_at_round_steps_and_at_the_last():
    assert drift.windows(60) == (1, 10, 20, 50, 60)
    assert drift.windows(100) == (1, 10, 20, 50, 100)


def test_the_wrapped_link_of_stacey_is_of_the_same_optimizer():
    params, grads = trees.one_leaf(16)["leaf"], trees.one_leaf(16)["leaf"] ** 2
    expected = METHODS[drift.STACEY](drift.STACEY_RATE, mask=False)
    actual = drift.optimizer(drift.STACEY, "float32")
    (a, _), (b, _) = (tx.update(grads, tx.init(params), params) for tx in (actual, expected))
    np.testing.assert_array_equal(a, b)


@pytest.mark.hunt
def test_programs_that_are_there_are_not_compiled_again(tmp_path, monkeypatch, capsys):
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("libtpu, the TPU compiler, is not installed: pip install 'gradpow[pods]'")
    arguments = ["--targets", "v5e:4x4", "--methods", "lp_descent", "--out", str(tmp_path)]
    pods.main(arguments)
    first = capsys.readouterr().out
    monkeypatch.setattr(pods, "measure", None)
    pods.main(arguments)
    assert first.split("**", 1)[1] == capsys.readouterr().out.split("**", 1)[1]


def test_a_target_that_cannot_be_had_is_left_out_with_a_line(tmp_path, monkeypatch, capsys):
    def absent_plugin(*_, **__):
        raise NotImplementedError("no such plugin")

    monkeypatch.setattr(absent.topologies, "get_topology_desc", absent_plugin)
    with pytest.raises(SystemExit):
        pods.main(["--targets", "h100", "--out", str(tmp_path)])
    said = capsys.readouterr()
    assert "left out: h100: no such plugin; it needs pip install -e '.[h100]'" in said.out
    assert "nothing could be compiled" in said.err


@pytest.mark.parametrize("command", [cpu, pods, growth, drift, steady])
def test_an_unknown_method_gets_one_line(command, tmp_path, capsys):
    with pytest.raises(SystemExit):
        command.main(["--methods", "sophia", "--out", str(tmp_path)])
    assert "not sophia" in capsys.readouterr().err


def test_a_step_of_the_benchmark_is_the_optimizers():
    params, grads = trees.one_leaf(16), trees.one_leaf(16)
    step = cpu.Step(METHODS["optax.sgd"](1e-3), params, grads)
    step()
    expected = params["leaf"] - 1e-3 * grads["leaf"]
    np.testing.assert_allclose(step.params["leaf"], expected * (1 - 1e-4), rtol=1e-5)
    assert jax.tree.structure(step.params) == jax.tree.structure(params)


@pytest.mark.parametrize("path", page.PAGES, ids=lambda path: path.name)
def test_the_pages_tables_are_those_of_the_results(path):
    text = path.read_text()
    assert page.filled(text) == text


def test_each_table_stands_on_a_page():
    text = "".join(path.read_text() for path in page.PAGES)
    assert all(text.count(f"<!-- {name} -->") == 1 for name in page.BLOCKS)


KEPT = [row for row in page.rows("pods") if row.method in ELEMENTWISE]
COMPILED = {row.method for row in page.rows("pods")}


def test_every_target_was_compiled_for():
    """For every method that the library had when it was measured."""
    assert METHODS.keys() >= COMPILED > OPTAX.keys()
    names, forms = COMPILED & ELEMENTWISE.keys(), (*trees.TREES, pods.PIPELINE)
    expected = {(t, form, name) for t in pods.TARGETS for form in forms for name in names}
    assert {(row.target, row.tree, row.method) for row in KEPT} == expected


@pytest.mark.parametrize("target", pods.TARGETS)
def test_every_kept_program_of_an_elementwise_optimizer_is_at_the_ideal(target):
    for row in (row for row in KEPT if row.target == target):
        assert row.step.traffic <= 1.01 and row.step.temporaries <= 0.01, row
        assert row.step.cost.collectives == 0, row
        # Fewer where the compiler merges loops over small leaves; on v4 more for Lion on powered
        # gradients, through arrays that stay on the chip.
        on_chip = (target, row.method) == ("v4:2x2x1", "gradpower(lion)")
        assert row.step.passes <= (1.5 if on_chip else 1), row


DRIFT = {(row.method, row.state): row for row in page.rows("drift")}


def test_no_kept_run_has_a_number_that_is_not_finite():
    assert set(DRIFT) == {(name, state) for name in drift.MAKES for state in drift.STATES}
    assert all(row.steps[-1] == 1_000_000 and row.not_finite == 0 for row in DRIFT.values())


@pytest.mark.parametrize("name", drift.MAKES)
def test_kept_differences_from_float64_do_not_grow(name):
    for state in ("float32", drift.STOCHASTIC):
        row = DRIFT[name, state]
        early = row.steps.index(200_000)
        assert row.update[-1] < 1.5 * row.update[early]
        assert row.params[-1] < 1.5 * row.params[early]
        assert row.loss[-1] == pytest.approx(1, abs=1e-3)
        assert row.size[-1] == pytest.approx(1, abs=1e-3)


def test_rounding_to_the_nearest_loses_the_slow_average():
    size = DRIFT[drift.SLOW, drift.NEAREST].size
    assert size[-1] < 0.5 and size[-1] < size[-2] < size[-3]
    others = [row for row in DRIFT.values() if row.method != drift.SLOW]
    assert all(row.size[-1] == pytest.approx(1, abs=2e-3) for row in others)


@pytest.mark.parametrize("row", page.rows("steady"), ids=lambda row: row.method)
def test_kept_long_runs_compiled_once_and_kept_nothing(row):
    assert (row.early.step, row.late.step) == (1000, 10_000)
    assert row.early.compilations == row.late.compilations == 1
    assert (row.early.arrays, row.early.bytes) == (row.late.arrays, row.late.bytes)
    assert row.late.resident - row.early.resident < 1e6
