"""Files that are made once and read later: written whole or not at all, and damage is seen."""

import math
import os
import stat

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from examples.pretrain import cache, files
from examples.pretrain.errors import UserError

CONTENT = {"losses": [0.1, math.inf, 3], "about": {"b": 1, "a": "é"}, "nothing": None}
HTML = b"<!DOCTYPE html><html><body>404</body></html>"


def damaged(content: bytes):
    """What disks, full ones and proxies leave of a file."""
    yield from (b"", b"\0" * len(content), content[: len(content) // 2], content[:-1], HTML)
    for place in range(0, len(content), 1 + len(content) // 40):
        flipped = bytearray(content)
        flipped[place] ^= 0x04
        yield bytes(flipped)


def test_a_file_takes_its_place_whole_with_the_umasks_mode_and_a_failure_leaves_the_old(tmp_path):
    path, before = tmp_path / "file.txt", os.umask(0o027)
    try:
        with files.writing(path) as temporary:
            temporary.write_text("old")
            temporary.chmod(0o600)
            assert not path.exists()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with pytest.raises(ZeroDivisionError), files.writing(path) as temporary:
        temporary.write_text("half")
        1 / 0  # noqa: B018
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_json_comes_back_and_no_damage_passes_for_it(tmp_path, capsys):
    path = tmp_path / "content.json"
    files.write_checked_json(path, CONTENT)
    assert files.read_json(path) == CONTENT
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        try:
            # Only a blank between two values, or the checksum's own name, is damaged.
            assert CONTENT.items() <= files.read_json(path).items()
        except files.Damaged as refusal:
            assert str(path) in str(refusal) and "\n" not in str(refusal)
            assert files.read_kept(path, dict) is None
            assert capsys.readouterr().err == f"{path} is damaged: it is made anew\n"
    path.write_text('{"by": "hand"}')
    assert files.read_json(path) == {"by": "hand"}
    assert files.read_kept(tmp_path / "none.json", dict) is None and not capsys.readouterr().err


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_an_array_comes_back_and_no_damage_passes_for_it(tmp_path, capsys, dtype):
    path, array = tmp_path / "array.npy", np.arange(200).astype(dtype)
    assert files.read_array(path) is None and not capsys.readouterr().err
    files.write_array(path, array)
    found = files.read_array(path)
    assert isinstance(found, np.memmap) and found.dtype == dtype
    np.testing.assert_array_equal(found, array)
    for content in [*damaged(path.read_bytes()), b"\0\0\0\0"]:
        path.write_bytes(content)
        assert files.read_array(path) is None
        assert capsys.readouterr().err == f"{path} is damaged: it is made anew\n"
    files.write_array(path, array)
    np.testing.assert_array_equal(files.read_array(path), array)


def test_a_lock_is_held_once_and_free_afterwards(tmp_path):
    for _ in range(2):
        with (
            files.locked(tmp_path / "lock"),
            pytest.raises(BlockingIOError),
            files.locked(tmp_path / "lock"),
        ):
            pass
    files.make_folder(tmp_path / "a" / "b")
    with pytest.raises(UserError, match=r"cannot write to .*lock"):
        files.make_folder(tmp_path / "lock")


def test_the_cache_is_where_it_is_given_else_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder(None) == tmp_path / "gradpow"
    assert cache.folder(tmp_path / "mine") == tmp_path / "mine"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder(None) == tmp_path / ".cache" / "gradpow"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # a user whom the system does not know
    with pytest.raises(UserError, match="no home folder to keep a cache in: give --cache"):
        cache.folder(None)
    assert cache.folder(tmp_path) == tmp_path


def test_a_damaged_program_is_compiled_anew_and_a_good_one_is_kept(tmp_path):
    def compiled(factor):
        compilation_cache.reset_cache()
        jax.clear_caches()
        cache.keep_compiled(tmp_path)
        assert jax.jit(lambda x: factor * x)(jnp.ones(3))[0] == factor
        cache.note_compiled()
        return {path: path.read_bytes() for path in (tmp_path / "compiled").glob("*-cache")}

    first = compiled(2.0)
    times = {path: path.stat().st_mtime_ns for path in first}
    assert first and compiled(2.0) == first
    assert {path: path.stat().st_mtime_ns for path in first} == times
    for path, content in first.items():
        path.write_bytes(content[:-8] + bytes(8))
    again = compiled(2.0)
    assert again.keys() == first.keys()
    assert all(content[-8:] != bytes(8) for content in again.values())
    for path in first:  # as a killed process leaves it
        path.with_name(f"{path.name}.sha256").unlink()
        path.write_bytes(b"half")
    assert b"half" not in compiled(2.0).values()
