"""Checkpoints: which are kept, that damage is seen and named, and that nothing good is lost."""

import gc
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from examples.pretrain.checkpoints import Checkpoints, DamagedCheckpoint, checksums
from examples.pretrain.errors import UserError

# Orbax closes its event loop at the first leaf that fails, while others are still being read.
pytestmark = pytest.mark.filterwarnings(
    "ignore:(?s).*(Event loop is closed|coroutine .*_read_array):"
    "pytest.PytestUnraisableExceptionWarning"
)
LEAVES = {
    f"leaf {i}": np.random.default_rng(i).normal(size=(40, 50)).astype(np.float32) for i in range(4)
}


@pytest.fixture(autouse=True)
def collect():
    """Frees what failed reads left here, rather than in the middle of whatever comes next."""
    yield
    gc.collect()


def state(value=0.0):
    params = {"layers": {"kernel": jnp.full((4, 3), value)}, "scale": jnp.ones(5, jnp.bfloat16)}
    return {"params": params, "opt_state": optax.adam(1e-3).init(params)}


ABSTRACT = jax.eval_shape(state)


@pytest.fixture
def checkpoints(tmp_path):
    opened = Checkpoints(tmp_path / "checkpoints", keep=2)
    yield opened
    opened.close()


def save(checkpoints, losses):
    for step, loss in losses.items():
        checkpoints.save(step, state(float(step)), {"batches": {"next": step}}, loss)
    checkpoints.manager.wait_until_finished()


def test_a_restored_state_has_the_same_bits_types_and_structure(checkpoints):
    saved = state(0.1)
    checkpoints.save(7, saved, {"batches": {"next": 56}}, 1.0)
    checkpoints.manager.wait_until_finished()
    restored, about = checkpoints.read(7, ABSTRACT)
    assert about["batches"] == {"next": 56}
    assert jax.tree.structure(restored) == jax.tree.structure(saved)
    for a, b in zip(jax.tree.leaves(restored), jax.tree.leaves(saved), strict=True):
        assert a.dtype == b.dtype
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_the_newest_and_the_best_are_kept_and_remembered_by_the_next_process(tmp_path):
    first = Checkpoints(tmp_path / "checkpoints", keep=2)
    save(first, {1: 3.0, 2: 1.0, 3: 2.0, 4: None, 5: float("nan"), 6: 2.5})
    assert first.steps() == [2, 5, 6]
    first.close()
    second = Checkpoints(tmp_path / "checkpoints", keep=2)
    save(second, {7: 1.5, 8: 1.1})
    assert second.steps() == [2, 7, 8]
    save(second, {9: 0.9, 10: 3.0, 11: 3.0, 12: 3.0})
    assert second.steps() == [9, 11, 12]
    second.close()


def test_a_state_that_is_donated_right_after_saving_is_saved_as_it_was(checkpoints):
    @jax.jit
    def make():
        return {"x": jnp.zeros((1000, 1000))}

    step = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)
    current = make()
    for number in range(1, 6):
        current = step(current)
        checkpoints.save(number, current, {}, float(number))
        for _ in range(3):
            current = step(current)
    checkpoints.manager.wait_until_finished()
    restored, _ = checkpoints.read(5, jax.eval_shape(make))  # after 4 * 4 + 1 steps
    assert np.all(np.asarray(restored["x"]) == 17)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.uint32, jnp.int8, jnp.bool_])
def test_every_flipped_bit_changes_the_checksum(dtype):
    values = np.asarray(jnp.asarray(np.random.default_rng(0).normal(size=(2, 3)), dtype))
    original = np.asarray(checksums({"x": jnp.asarray(values)})["x"])
    bits = 1 if dtype == jnp.bool_ else 8 * values.dtype.itemsize
    for index in range(values.size):
        for bit in range(bits):
            flipped = values.copy()
            raw = flipped.view(f"u{values.dtype.itemsize}").reshape(-1)
            raw[index] ^= raw.dtype.type(1 << bit)
            found = np.asarray(checksums({"x": jnp.asarray(flipped)})["x"])
            # Either sum alone sees it.
            assert np.all(found != original)


def test_words_that_change_places_change_the_checksum():
    x = jnp.arange(1.0, 65.0).reshape(8, 8)
    original = np.asarray(checksums({"x": x})["x"])
    seen = {int(original[1])}
    for i, j in [(0, 1), (0, 63), (7, 8), (1, 9)]:
        swapped = np.asarray(x).reshape(-1).copy()
        swapped[[i, j]] = swapped[[j, i]]
        seen.add(int(checksums({"x": jnp.asarray(swapped.reshape(8, 8))})["x"][1]))
    assert len(seen) == 5


def flip_bytes(folder: Path):
    """Changes one byte of one file, says which, and undoes it: again and again."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    for file in files:
        original = file.read_bytes()
        for place in {0, len(original) // 3, len(original) // 2, len(original) - 1}:
            damaged = bytearray(original)
            damaged[place] ^= 0x10
            file.write_bytes(bytes(damaged))
            yield file, place
        file.write_bytes(original)


def test_no_flipped_byte_anywhere_in_a_checkpoint_restores_another_state(tmp_path):
    right = {key: jnp.asarray(value) for key, value in LEAVES.items()}
    opened = Checkpoints(tmp_path / "checkpoints", keep=2)
    opened.save(3, right, {"batches": {"next": 3}}, 1.0)
    opened.close()
    reasons = []
    for file, place in flip_bytes(tmp_path / "checkpoints" / "3"):
        reader = None
        try:
            reader = Checkpoints(tmp_path / "checkpoints", keep=2)
            restored, about = reader.read(3, jax.eval_shape(lambda: right))
        except DamagedCheckpoint as error:
            reasons.append(str(error))
        else:
            # A byte that bears nothing, as in a file of times: what came back is right.
            assert about["batches"] == {"next": 3}, (file, place)
            for key, value in restored.items():
                np.testing.assert_array_equal(value, LEAVES[key], err_msg=f"{file} {place}")
        if reader is not None:
            reader.close()
    assert len(reasons) >= 10
    assert all("checkpoint 3" in reason and "\n" not in reason for reason in reasons)
    # Some of them only the checksums saw: Orbax restored other numbers without a word.
    assert any("checksum of leaf" in reason for reason in reasons)


@pytest.mark.parametrize("content", [b"", b"\0" * 20, b"<html>", b"null", b"[]", b'"1.0"', b"\xff"])
def test_a_loss_that_cannot_be_read_names_its_checkpoint(tmp_path, content):
    opened = Checkpoints(tmp_path / "checkpoints")
    save(opened, {3: 1.0})
    opened.close()
    (tmp_path / "checkpoints" / "3" / "metrics" / "metrics").write_bytes(content)
    with pytest.raises(DamagedCheckpoint, match=r"checkpoint 3 in .* is damaged \(its loss"):
        Checkpoints(tmp_path / "checkpoints")


def damage(folder: Path):
    """Changes every file of arrays."""
    for file in folder.joinpath("state").rglob("d/*"):
        file.write_bytes(bytes(byte ^ 1 for byte in file.read_bytes()))


def test_a_damaged_checkpoint_is_named_left_on_disk_and_the_newest_good_one_offered(tmp_path):
    opened = Checkpoints(tmp_path / "checkpoints", keep=4)
    save(opened, {1: 3.0, 2: 2.0, 3: 1.0, 4: 0.5})
    for step in (3, 4):
        damage(tmp_path / "checkpoints" / str(step))
    with pytest.raises(UserError) as refusal:
        opened.restore(ABSTRACT)
    message = str(refusal.value)
    assert "checkpoint 4" in message and "--resume-from 2" in message and "\n" not in message
    assert opened.steps() == [1, 2, 3, 4]
    found, restored, _ = opened.restore(ABSTRACT, 2)
    assert found == 2 and np.all(np.asarray(restored["params"]["layers"]["kernel"]) == 2.0)
    opened.close()


def test_newer_checkpoints_are_set_aside_and_not_deleted(checkpoints, tmp_path):
    save(checkpoints, {1: 1.0, 2: 2.0, 3: 3.0})
    assert [Path(p).name for p in checkpoints.set_aside_after(2)] == ["checkpoint-3-set-aside"]
    save(checkpoints, {3: 3.0})  # the number is free again
    assert [Path(p).name for p in checkpoints.set_aside_after(2)] == ["checkpoint-3-set-aside-2"]
    assert checkpoints.steps() == [1, 2]
    shutil.move(tmp_path / "checkpoint-3-set-aside", tmp_path / "checkpoints" / "3")
    checkpoints.manager.reload()
    restored, _ = checkpoints.read(3, ABSTRACT)
    assert np.all(np.asarray(restored["params"]["layers"]["kernel"]) == 3.0)


@pytest.mark.parametrize(
    "other, clue",
    [
        ({**state(), "params": {"layers": {"kernel": jnp.ones((4, 4))}}}, "params.layers.kernel"),
        ({**state(), "extra": jnp.ones(2)}, "extra is missing there"),
        ({"params": state()["params"]}, "missing here"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused_in_one_line(checkpoints, other, clue):
    save(checkpoints, {5: 1.0})
    with pytest.raises(UserError) as refusal:
        checkpoints.read(5, jax.eval_shape(lambda: other))
    message = str(refusal.value)
    assert "another model" in message and clue in message and "\n" not in message


def test_a_checkpoint_that_is_not_there_is_refused_with_those_that_are(checkpoints):
    with pytest.raises(UserError, match="no checkpoint"):
        checkpoints.restore(ABSTRACT)
    save(checkpoints, {5: 1.0})
    with pytest.raises(UserError, match="no checkpoint 4: those there are 5"):
        checkpoints.restore(ABSTRACT, 4)
