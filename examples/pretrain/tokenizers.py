"""From text to tokens: bytes, T5's and GPT-2's vocabularies, or byte-pair encoding of one's own."""

import functools
import itertools
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from . import hub
from .errors import UserError, one_line
from .files import write_json, write_whole

# Repository, end-of-document token; tokenizer.json of each is in the tokenizers library's format.
FROM_HUB = {"t5": ("google-t5/t5-base", "</s>"), "gpt2": ("openai-community/gpt2", "<|endoftext|>")}
ENDS = ("</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "[SEP]")
TRAIN_ON = 20_000_000  # characters; more hardly change a vocabulary


class Bytes:
    """UTF-8's bytes are the tokens, and 0 ends a document.

    A text's own zeros are two bytes, C0 80, which UTF-8 has nowhere else.
    """

    name, size, end = "bytes", 256, 0
    zero = b"\xc0\x80"

    def encode(self, texts: Iterable[str]) -> Iterable[np.ndarray]:
        for text in texts:
            yield np.frombuffer(text.encode().replace(b"\0", self.zero), np.uint8)

    def decode(self, tokens: Iterable[int]) -> str:
        # A model may have more tokens than there are bytes.
        content = bytes(token for token in tokens if token < self.size)
        return content.replace(self.zero, b"\0").decode(errors="replace")

    def save(self, path: Path) -> None:
        write_json(path, {"tokenizer": "bytes"})


class Subwords:
    """A tokenizer of the tokenizers library."""

    def __init__(self, name: str, tokenizer: Any, end: str | None = None):
        self.name, self.tokenizer = name, tokenizer
        # Some files ask for both, which would lose text or add to it.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True  # as text: only this program ends a document
        self.size = 1 + max(tokenizer.get_vocab().values())  # ids may leave gaps
        ends = (tokenizer.token_to_id(token) for token in ((end,) if end else ENDS))
        self.warned = False  # of text that has an end in it all the same
        self.end: int | None = next((token for token in ends if token is not None), None)

    def encode(self, texts: Iterable[str]) -> Iterable[np.ndarray]:
        texts = iter(texts)
        while batch := list(itertools.islice(texts, 256)):  # the library's threads share a batch
            try:
                encodings = self.tokenizer.encode_batch_fast(batch, add_special_tokens=False)
            except Exception as error:  # the library raises Exception itself
                raise UserError(
                    f"--tokenizer {self.name} has no tokens for this text: {one_line(error)}"
                ) from None
            for encoding in encodings:
                yield np.asarray(encoding.ids, np.int32)

    @functools.cached_property
    def unknown(self) -> int | None:
        """The token that stands for what is not in the vocabulary."""
        model = json.loads(self.tokenizer.to_str())["model"]
        by_name = model.get("unk_token")
        return self.tokenizer.token_to_id(by_name) if by_name else model.get("unk_id")

    def decode(self, tokens: Iterable[int]) -> str:
        return self.tokenizer.decode(list(tokens), skip_special_tokens=False)

    def save(self, path: Path) -> None:
        write_whole(path, self.tokenizer.to_str(pretty=True))


Tokenizer = Bytes | Subwords


def load_tokenizer(name: str, vocab: int, texts: Callable[[], Iterable[str]]) -> Tokenizer:
    """By name, or from the path of a file that `save` or the tokenizers library wrote.

    "bpe" is trained on `texts` to `vocab` tokens. A tokenizer with more tokens than the model's
    `vocab` is refused.
    """
    if name == "bytes":
        tokenizer = Bytes()
    elif name == "bpe":
        tokenizer = _train(vocab, texts())
    elif name in FROM_HUB:
        repository, end = FROM_HUB[name]
        tokenizer = _read(name, hub.download(repository, "tokenizer.json"), end)
    elif Path(name).is_file():
        tokenizer = _read(name, Path(name))
    else:
        known = ", ".join(("bytes", *FROM_HUB, "bpe"))
        raise UserError(f"--tokenizer takes {known} or the path of a tokenizer.json, not {name}")
    if tokenizer.size > vocab:
        raise UserError(
            f"tokenizer {name} has {tokenizer.size:,} tokens and the model {vocab:,}: give "
            f"--shape.vocab {tokenizer.size} or another --tokenizer"
        )
    return tokenizer


def _read(name: str, path: Path, end: str | None = None) -> Tokenizer:
    import tokenizers

    try:
        if json.loads(path.read_text("utf-8")) == {"tokenizer": "bytes"}:
            return Bytes()
        return Subwords(name, tokenizers.Tokenizer.from_file(str(path)), end)
    except Exception as error:  # the library raises Exception itself
        raise UserError(f"{path} is not a tokenizer.json: {one_line(error)}") from None


def _train(vocab: int, texts: Iterable[str]) -> Tokenizer:
    """Byte-level pairs, as GPT-2's: every text has tokens."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers

    if vocab < 257:
        raise UserError(f"--tokenizer bpe needs --shape.vocab of at least 257, not {vocab}")
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_first(texts, TRAIN_ON), trainer)
    return Subwords("bpe", tokenizer)


def _first(texts: Iterable[str], characters: int) -> Iterable[str]:
    for text in texts:
        if characters <= 0:
            return
        yield text[:characters]
        characters -= len(text)
