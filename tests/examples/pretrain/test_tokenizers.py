"""Text to tokens and back, and the tokens that are kept: damage and spelled ends change nothing."""

import hashlib
import json

import numpy as np
import pytest
import tokenizers

from examples.pretrain import hub
from examples.pretrain.errors import UserError
from examples.pretrain.tokenizers import Bytes, load_tokenizer
from tests.examples.pretrain.test_data import documents, load, take


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(documents(40)))
    return path


@pytest.mark.parametrize("tokenizer, vocab", [("bytes", 256), ("bpe", 300)])
def test_a_tokenizer_gives_every_text_back_and_comes_back_from_its_file(tmp_path, tokenizer, vocab):
    first = load_tokenizer(tokenizer, vocab, lambda: documents(50))
    first.save(tmp_path / "tokenizer.json")
    again = load_tokenizer(str(tmp_path / "tokenizer.json"), vocab, lambda: ())
    for text in ("", "the loss", "\t漢字 é\n\n  x🙂", documents(60)[-1]):
        (tokens,) = first.encode([text])
        assert tokens.size == 0 or tokens.max() < vocab
        assert first.decode(tokens.tolist()) == text
        np.testing.assert_array_equal(next(iter(again.encode([text]))), tokens)
    assert (again.size, again.end) == (first.size, first.end) and first.size <= vocab


def test_a_tokenizer_file_neither_cuts_nor_pads_and_its_size_is_its_largest_id(tmp_path):
    path = tmp_path / "tokenizer.json"
    load_tokenizer("bpe", 300, lambda: documents(50)).save(path)
    stored = tokenizers.Tokenizer.from_file(str(path))
    stored.enable_truncation(4)
    stored.enable_padding()
    content = json.loads(stored.to_str())
    last = max(content["model"]["vocab"], key=content["model"]["vocab"].get)
    content["model"]["vocab"][last] = 399
    path.write_text(json.dumps(content))
    found = load_tokenizer(str(path), 400, lambda: ())
    assert found.size == 400
    assert [found.decode(tokens) for tokens in found.encode(["a", "a long text"])] == [
        "a", "a long text",
    ]  # fmt: skip


def test_bytes_pass_over_tokens_that_only_the_model_has():
    assert Bytes().decode([65, 300, 66]) == "AB"


def test_a_cache_that_cannot_be_written_gets_one_line(text):
    with pytest.raises(UserError, match=r"cannot write to .*text.txt.*; give --cache"):
        load(text, tokenizer="bpe", vocab=400, cache=text / "cache")


def test_subwords_shorten_the_text_and_their_tokens_are_cached(text, tmp_path):
    options = {"tokenizer": "bpe", "vocab": 400, "cache": tmp_path / "cache"}
    first = load(text, **options)
    (file,) = (tmp_path / "cache").iterdir()
    written = file.stat().st_mtime_ns
    again = load(text, **options)
    assert file.stat().st_mtime_ns == written and len(list((tmp_path / "cache").iterdir())) == 1
    np.testing.assert_array_equal(
        take(first.batches(2, seed=0), 3), take(again.batches(2, seed=0), 3)
    )
    bytes_, subwords = (int(d.summary.split(" training tokens")[0].split()[-1].replace(",", ""))
                        for d in (load(text), first))  # fmt: skip
    assert subwords < bytes_ / 2


DAMAGE = {
    "emptied": lambda content: b"",
    "cut": lambda content: content[:-9],
    "zeroed": lambda content: content[:90] + bytes(len(content) - 90),
    "another token": lambda content: content[:-20] + b"\1" + content[-19:],
    "a proxy's": lambda content: b"<html>",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_tokens_are_made_anew(text, tmp_path, capsys, damage):
    options = {"tokenizer": "bpe", "vocab": 400, "cache": tmp_path / "cache"}
    first = load(text, **options)
    (file,) = (tmp_path / "cache").iterdir()
    good = file.read_bytes()
    assert file.stat().st_mode & 0o777 == text.stat().st_mode & 0o777  # others may read it, too
    file.unlink()  # the first still reads the old one
    file.write_bytes(damage(good))
    again = load(text, **options)
    assert capsys.readouterr().err == f"{file} is damaged: it is made anew\n"
    assert file.read_bytes() == good
    np.testing.assert_array_equal(
        take(first.batches(2, seed=0), 3), take(again.batches(2, seed=0), 3)
    )


def test_a_text_that_spells_an_end_holds_no_end(tmp_path, capsys):
    path = tmp_path / "text.txt"
    path.write_text("one <|endoftext|> two \0 three\n" * 200)
    for tokenizer, vocab in (("bytes", 256), ("bpe", 400)):
        made = load_tokenizer(tokenizer, vocab, lambda: [path.read_text()])
        (tokens,) = made.encode([path.read_text()])
        assert made.end not in tokens and made.decode(tokens.tolist()) == path.read_text()
    assert not capsys.readouterr().err


def test_a_tokenizer_that_takes_its_end_from_text_is_told_of_once(tmp_path, capsys):
    pieces = [("</s>", 0.0), ("<unk>", 0.0), *((piece, -3.0) for piece in "abc ▁")]
    unigram = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=1))
    unigram.add_special_tokens(["</s>"])
    path = tmp_path / "tokenizer.json"
    unigram.save(str(path))
    text = tmp_path / "text.txt"
    text.write_text("abc </s> cba" * 300)
    load(text, tokenizer=str(path), vocab=10)
    said = capsys.readouterr().err
    assert "the text spells the token that ends a document, 28" in said and said.count("\n") == 1


def test_a_damaged_file_of_the_hubs_cache_is_not_taken(tmp_path, monkeypatch):
    content = b'{"tokenizer": "bytes"}'
    blobs = {
        hashlib.sha1(b"blob 22\0" + content).hexdigest(): content,
        hashlib.sha256(content).hexdigest(): content,
    }
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in blobs:
        (tmp_path / name).write_bytes(content)
        link = tmp_path / f"tokenizer.json of {name}"
        link.symlink_to(name)
        monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, to=link: str(to))
        assert hub.download("some/model", "tokenizer.json") == link
        (tmp_path / name).write_bytes(content.replace(b"y", b"i"))
        with pytest.raises(UserError, match=r"is damaged in .* and HF_HUB_OFFLINE is set: give"):
            hub.download("some/model", "tokenizer.json")
