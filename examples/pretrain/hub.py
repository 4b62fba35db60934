"""The Hugging Face hub: files and streams of records; without a network, what to do instead."""

import hashlib
import re
from pathlib import Path
from typing import Any

from .errors import UserError, one_line

PATIENCE = 3.0  # seconds, where the hub's own client tries again for about 20


def check_reachable(wanted: str, instead: str, why: str = "not here") -> None:
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
    raise UserError(f"{wanted} is {why} and {reason}: {instead}")


def _intact(path: Path) -> bool:
    """Whether a file has the content that names it in the hub's cache, where content does.

    Git's name of a small file is a SHA-1 of its length and content, that of a large one SHA-256.
    """
    try:
        name, content = path.resolve().name, path.read_bytes()
    except OSError:
        return False
    if re.fullmatch("[0-9a-f]{64}", name):
        return hashlib.sha256(content).hexdigest() == name
    if re.fullmatch("[0-9a-f]{40}", name):
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == name
    return True


def download(repository: str, file: str) -> Path:
    """A file of a model's repository, from the hub's cache on this machine if it is there."""
    import huggingface_hub

    cached = huggingface_hub.try_to_load_from_cache(repository, file)
    damaged = isinstance(cached, str) and not _intact(Path(cached))
    if isinstance(cached, str) and not damaged:
        return Path(cached)
    wanted = f"{file} of {repository}"
    reason = f"damaged in {cached}" if damaged else "not here"
    instead = f"give the path of a {file}, or --tokenizer bytes or bpe"
    check_reachable(wanted, instead, reason)
    try:
        return Path(huggingface_hub.hf_hub_download(repository, file, force_download=damaged))
    except Exception as error:  # of the network, the hub, or the disk
        raise UserError(f"cannot download {wanted}: {one_line(error)}") from None


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
        raise UserError(f"cannot open dataset {name}: {one_line(error)}") from None
    return streams["train"], streams["validation"] if "validation" in splits else None


def text_of(record: Any, field: str, where: str) -> str:
    """The text of a record; `where` names it in the message if there is none."""
    if not isinstance(record, dict) or not isinstance(record.get(field), str):
        there = ", ".join(map(str, record)) if isinstance(record, dict) else "no object"
        raise UserError(f"{where} has no text in field {field!r} (there: {there}): --text-field")
    return record[field]
