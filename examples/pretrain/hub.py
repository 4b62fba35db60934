"""The Hugging Face hub: files, and text streamed from it; without a network, what to do instead."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grain
import numpy as np

from .errors import UserError

PATIENCE = 3.0  # seconds, where the hub's own client tries again for about 20


def check_reachable(wanted: str, instead: str) -> None:
    """Raises `UserError` if the hub does not answer, or is not to be asked."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    reason = "HF_HUB_OFFLINE is set"
    if not constants.HF_HUB_OFFLINE:
        try:
            get_session().head(constants.ENDPOINT, timeout=PATIENCE)
            return
        except Exception as error:  # the client's library changed between its versions
            reason = f"the Hugging Face hub does not answer ({type(error).__name__})"
    raise UserError(f"{wanted} is not here and {reason}: {instead}")


def download(repository: str, file: str) -> Path:
    """A file of a model's repository, from the hub's cache on this machine if it is there."""
    import huggingface_hub

    cached = huggingface_hub.try_to_load_from_cache(repository, file)
    if isinstance(cached, str):
        return Path(cached)
    wanted = f"{file} of {repository}"
    check_reachable(wanted, f"give the path of a {file}, or --tokenizer bytes or bpe")
    try:
        return Path(huggingface_hub.hf_hub_download(repository, file))
    except Exception as error:  # of the network, the hub, or the disk
        raise UserError(f"cannot download {wanted}: {_one_line(error)}") from None


def open_stream(name: str, config: str | None) -> tuple[Any, Any]:
    """A dataset's training split, and its validation split or None, as streams of records."""
    import datasets

    check_reachable(
        f"dataset {name}",
        "give text or JSONL files, or hf:/folder with a dataset that save_to_disk wrote elsewhere",
    )
    try:
        splits = datasets.get_dataset_split_names(name, config)
        if "train" not in splits:
            raise UserError(f"dataset {name} has no split train, only {', '.join(splits)}")
        streams = datasets.load_dataset(name, config, streaming=True)
    except UserError:
        raise
    except Exception as error:  # of the network, the hub, or the dataset's own files
        raise UserError(f"cannot open dataset {name}: {_one_line(error)}") from None
    return streams["train"], streams["validation"] if "validation" in splits else None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class TokenStream(grain.IterDataset):
    """Batches [sequences, length + 1] from a stream of texts, in the stream's own order.

    Its position is the stream's state and the tokens read ahead, so it resumes to the token. It
    cannot be split by index: another number of processes would read other documents.
    """

    def __init__(
        self, records, tokenizer, field: str, sequences: int, length: int, shards: int = 1
    ):
        super().__init__()
        self.records, self.tokenizer, self.field = records, tokenizer, field
        self.sequences, self.length, self.shards = sequences, length, shards

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
                yield text_of(record, self.stream.field, "the dataset")
            if not found:
                raise UserError("the dataset holds no records")
            self.epoch += 1
            self.stream.records.set_epoch(self.epoch)  # and it begins anew
            found = False

    def __next__(self) -> np.ndarray:
        sequences, length = self.stream.sequences, self.stream.length
        end = self.stream.tokenizer.end
        needed = sequences * length + 1
        parts = [self.ahead]
        have = len(self.ahead)
        while have < needed:
            # One text at a time: the state of the stream is that after this text.
            (tokens,) = self.stream.tokenizer.encode([next(self.texts)])
            parts += [tokens, np.zeros(0, np.int32) if end is None else np.array([end])]
            have += len(parts[-2]) + len(parts[-1])
        tokens = np.concatenate(parts).astype(np.int32)
        # The last token of each sequence is the first of the next, so each is a target once.
        self.ahead = tokens[sequences * length :]
        starts = length * np.arange(sequences)[:, None]
        return tokens[starts + np.arange(length + 1)]

    def get_state(self) -> dict[str, Any]:
        return {
            "stream": self.stream.records.state_dict(),
            "epoch": self.epoch,
            "ahead": self.ahead.tolist(),
            "shards": self.stream.shards,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        if state["shards"] != self.stream.shards:
            raise UserError(
                "a streamed dataset resumes exactly only with as many processes as before, "
                f"{state['shards']}, not {self.stream.shards}: start so many, or train on files"
            )
        self.ahead = np.array(state["ahead"], np.int32)
        self.stream.records.load_state_dict(state["stream"])
        self._begin(state["epoch"], resumed=True)


def text_of(record: Any, field: str, where: str) -> str:
    """The text of a record; `where` names it in the message if there is none."""
    if not isinstance(record, dict) or not isinstance(record.get(field), str):
        there = ", ".join(map(str, record)) if isinstance(record, dict) else "no object"
        raise UserError(f"{where} has no text in field {field!r} (there: {there}): --text-field")
    return record[field]
