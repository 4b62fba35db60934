"""Batches of tokens through grain, whose position is saved with each checkpoint.

A corpus on this machine becomes one array of tokens, and its position one number: the index of the
next sequence, whatever the number of processes.
"""

import dataclasses
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import grain
import numpy as np

from . import hosts, hub
from .corpus import Corpus, load_corpus
from .errors import UserError
from .files import read_array, write_array
from .tokenizers import Bytes, Subwords, Tokenizer, load_tokenizer

ALIASES = {"c4": "hf:allenai/c4:en", "openwebtext": "hf:Skylion007/openwebtext"}
SEEN = 10_000_000  # tokens, among which unknown ones are counted


@dataclasses.dataclass(frozen=True)
class Data:
    """What `load` found."""

    tokenizer: Tokenizer | None  # of text
    validation: Any  # a batch; of text int32 [sequences, length + 1]
    hash: str  # of the text; of a stream, of its name and its validation text
    summary: str
    elastic: bool  # the position is one index, which any number of processes can go on from
    iterate: Callable[..., Any]

    def batches(
        self, batch_size: int, *, seed: int, shard_index: int = 0, shard_count: int = 1
    ) -> grain.DatasetIterator:
        """Endless int32 [batch_size / shard_count, length + 1], with get_state and set_state.

        The last token of a sequence is the first of the text's next one, so that each token is a
        target once an epoch. Every epoch has an order of its own, which follows from `seed`; a
        stream has its own order.
        """
        if batch_size % shard_count:
            raise UserError(f"--batch-size {batch_size} must be a multiple of {shard_count}")
        return self.iterate(batch_size, seed, shard_index, shard_count)

    def position(self, batches: grain.DatasetIterator, shard_index: int) -> dict[str, Any]:
        """Where all processes are in the data, for a checkpoint."""
        state = batches.get_state()
        if self.elastic:
            return state
        return {str(index): state for index, state in hosts.gather([shard_index, state])}

    def go_on(
        self,
        batches: grain.DatasetIterator,
        position: dict[str, Any],
        shard_index: int,
        shard_count: int,
    ) -> None:
        """Puts `batches` where a checkpoint was."""
        if not self.elastic and len(position) != shard_count:
            raise UserError(
                "a streamed dataset resumes exactly only with its data shared out as before, over "
                f"{len(position)} processes, not {shard_count}: start so many, or train on files"
            )
        batches.set_state(position if self.elastic else position[str(shard_index)])


def load(
    spec: str,
    *,
    tokenizer: str,
    vocab: int,
    sequence_length: int,
    validation_sequences: int,
    text_field: str = "text",
    cache: Path | None = None,
    progress: Callable[[str], None] | None = None,
    too_short: str = "give more --data",
) -> Data:
    """Reads and tokenises a corpus, or opens a stream; see `Config.data` for what `spec` may be.

    `too_short` is what to do about a text without a whole sequence.
    """
    say = progress or (lambda _: None)
    spec = ALIASES.get(spec, spec)
    if spec.startswith("hf:") and not Path(spec.removeprefix("hf:")).is_dir():
        name, _, config = spec.removeprefix("hf:").partition(":")
        train, validation = hub.open_stream(name, config or None)
        loaded = load_tokenizer(
            tokenizer, vocab, lambda: (hub.text_of(record, text_field, name) for record in train)
        )
        return from_stream(
            name, train, validation, loaded, sequence_length, validation_sequences, text_field
        )
    say("reading the text")
    corpus = load_corpus(spec, text_field)
    say("loading the tokenizer")
    loaded = load_tokenizer(tokenizer, vocab, lambda: corpus.train)
    say("tokenising")
    return from_corpus(corpus, loaded, sequence_length, validation_sequences, cache, too_short)


def from_corpus(
    corpus: Corpus,
    tokenizer: Tokenizer,
    length: int,
    validation_sequences: int,
    cache: Path | None,
    too_short: str,
) -> Data:
    train = _cached(corpus.train, tokenizer, corpus.hash + " train", cache)
    windows = Windows(train, length)
    validation = Windows(_tokens(corpus.validation, tokenizer), length)
    for part, found in (("training", windows), ("validation", validation)):
        if len(found) == 0:
            raise UserError(
                f"the {part} text has {len(found.tokens):,} tokens, less than a sequence of "
                f"{length} and one more: {too_short}"
            )
    count = min(validation_sequences, len(validation))
    # Spread over the whole validation text, for the sake of many documents.
    chosen = [validation[i * len(validation) // count] for i in range(count)]

    def iterate(batch_size, seed, shard_index, shard_count):
        # Its seeds have 32 bits.
        examples = grain.MapDataset.source(windows).shuffle(seed % 2**32).repeat()
        return elastic(examples, batch_size, shard_index, shard_count)

    summary = (
        f"data: {corpus.about}; {len(train):,} training tokens ({tokenizer.name}"
        f"{_unknown(train, tokenizer)}), "
        f"{count} validation sequences, hash {corpus.hash[:12]}"
    )
    return Data(tokenizer, np.stack(chosen), corpus.hash, summary, True, iterate)


def _unknown(tokens: np.ndarray, tokenizer: Tokenizer) -> str:
    """Which share of the text is not in the vocabulary, if it is one to speak of."""
    if isinstance(tokenizer, Bytes) or tokenizer.unknown is None:
        return ""
    share = np.mean(tokens[:SEEN] == tokenizer.unknown)
    return f"; {share:.0%} of them not in its vocabulary" if share > 0.01 else ""


def elastic(
    examples: grain.MapDataset, batch_size: int, shard_index: int, shard_count: int
) -> grain.DatasetIterator:
    """A share of each batch of examples, whose position is one index for all shares."""
    return iter(
        grain.experimental.ElasticIterator(
            examples,
            batch_size,
            grain.sharding.ShardOptions(shard_index, shard_count),
            # Slices of an array need no more; more threads fight over the interpreter.
            read_options=grain.ReadOptions(num_threads=1, prefetch_buffer_size=64),
        )
    )


def from_stream(
    name: str,
    train: Any,
    validation: Any,
    tokenizer: Tokenizer,
    length: int,
    validation_sequences: int,
    text_field: str,
) -> Data:
    """Without a split for validation, the first documents are set aside for it."""
    from datasets.distributed import split_dataset_by_node

    tokens, documents = [], 0
    needed = validation_sequences * length + 1
    for record in train if validation is None else validation:
        if sum(map(len, tokens)) >= needed:
            break
        tokens.append(_tokens([hub.text_of(record, text_field, name)], tokenizer))
        documents += 1
    windows = Windows(np.concatenate([*tokens, np.zeros(0, np.int32)]), length)
    if len(windows) == 0:
        raise UserError(f"{name} has less text than a sequence of {length} tokens and one more")
    chosen = np.stack([windows[i] for i in range(min(len(windows), validation_sequences))])
    skipped = documents if validation is None else 0

    def iterate(batch_size, seed, shard_index, shard_count):
        del seed
        # Skipping after the split: before it, each of n processes would skip an nth of them, and
        # train on the rest where the stream is split by files.
        part = split_dataset_by_node(train, shard_index, shard_count).skip(skipped)
        stream = TokenStream(part, tokenizer, text_field, batch_size // shard_count, length)
        return iter(grain.experimental.ThreadPrefetchIterDataset(stream, prefetch_buffer_size=2))

    digest = hashlib.sha256(name.encode() + chosen.tobytes()).hexdigest()
    summary = (
        f"data: {name}, streamed in its own order ({tokenizer.name}), {len(chosen)} validation "
        f"sequences of {'its training' if validation is None else 'its validation'} split, hash "
        f"{digest[:12]}; resumes exactly only on as many processes"
    )
    return Data(tokenizer, chosen, digest, summary, False, iterate)


class Windows(grain.sources.RandomAccessDataSource):
    """Sequence i of `length` tokens and the one that follows."""

    def __init__(self, tokens: np.ndarray, length: int):
        self.tokens, self.length = tokens, length

    def __len__(self) -> int:
        return max(0, len(self.tokens) - 1) // self.length

    def __getitem__(self, index: int) -> np.ndarray:
        start = int(index) * self.length
        return self.tokens[start : start + self.length + 1].astype(np.int32)


class TokenStream(grain.IterDataset):
    """Batches [sequences, length + 1] from a stream of texts, in the stream's own order.

    Its position is the stream's state and the tokens read ahead, so it resumes to the token. It
    cannot be split by index: another number of shards would read other documents.
    """

    def __init__(self, records, tokenizer, field: str, sequences: int, length: int):
        super().__init__()
        self.records, self.tokenizer, self.field = records, tokenizer, field
        self.sequences, self.length = sequences, length

    def __iter__(self) -> grain.DatasetIterator:
        return _TokenStreamIterator(self)


class _TokenStreamIterator(grain.DatasetIterator):
    def __init__(self, stream: TokenStream):
        super().__init__()
        self.stream = stream
        self.ahead = np.zeros(0, np.int32)
        self._begin(epoch=0, resumed=False)

    def _begin(self, epoch: int, resumed: bool) -> None:
        self.epoch = epoch
        self.stream.records.set_epoch(epoch)  # a state of another epoch is not taken up
        self.texts = self._texts(found=resumed)

    def _texts(self, found: bool) -> Iterator[str]:
        """`found`: a record was read before, perhaps the last of its epoch."""
        while True:
            for record in self.stream.records:
                found = True
                yield hub.text_of(record, self.stream.field, "the dataset")
            if not found:
                raise UserError("the dataset holds no records")
            self.epoch += 1
            self.stream.records.set_epoch(self.epoch)  # and it begins anew
            found = False

    def __next__(self) -> np.ndarray:
        sequences, length = self.stream.sequences, self.stream.length
        parts = [self.ahead]
        while sum(map(len, parts)) < sequences * length + 1:
            # One text at a time: the state of the stream is that after this text.
            parts.append(_tokens([next(self.texts)], self.stream.tokenizer))
        tokens = np.concatenate(parts)
        self.ahead = tokens[sequences * length :]
        windows = Windows(tokens, length)
        return np.stack([windows[i] for i in range(sequences)])

    def get_state(self) -> dict[str, Any]:
        return {
            "stream": self.stream.records.state_dict(),
            "epoch": self.epoch,
            "ahead": self.ahead.tolist(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self.ahead = np.array(state["ahead"], np.int32)
        self.stream.records.load_state_dict(state["stream"])
        self._begin(state["epoch"], resumed=True)


def _tokens(texts: Iterable[str], tokenizer: Tokenizer) -> np.ndarray:
    """The tokens of all texts, each followed by the tokenizer's end token."""
    end = np.array([] if tokenizer.end is None else [tokenizer.end], np.int32)
    small = (
        np.uint8 if tokenizer.size <= 2**8 else np.uint16 if tokenizer.size <= 2**16 else np.int32
    )
    parts, spelled = [], 0
    for tokens in tokenizer.encode(texts):
        parts += [tokens.astype(small), end.astype(small)]
        spelled += np.count_nonzero(tokens == tokenizer.end)
    if spelled and isinstance(tokenizer, Subwords) and not tokenizer.warned:
        tokenizer.warned = True
        print(
            f"warning: the text spells the token that ends a document, {spelled:,} times so far, "
            f"and {tokenizer.name} takes each for an end",
            file=sys.stderr,
        )
    return np.concatenate([*parts, np.zeros(0, small)])


def _cached(texts: list[str], tokenizer: Tokenizer, key: str, cache: Path | None) -> np.ndarray:
    """The tokens, from the cache if they have been there; bytes cost no more than reading them."""
    if cache is None or isinstance(tokenizer, Bytes):
        return _tokens(texts, tokenizer)
    # The last part is of what `Subwords` does beside its file.
    key += tokenizer.tokenizer.to_str() + " ends as text"
    path = cache / (hashlib.sha256(key.encode()).hexdigest() + ".npy")
    if (tokens := read_array(path)) is not None:
        return tokens
    tokens = _tokens(texts, tokenizer)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        write_array(path, tokens)
    except OSError as error:
        raise UserError(f"cannot write to {cache}: {error.strerror}; give --cache") from None
    return np.load(path, mmap_mode="r")
