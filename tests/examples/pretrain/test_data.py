"""Text to batches: deterministic, each token once an epoch, resumed to the example, or one line."""

import gzip
import json
import re
import socket
import sys

import datasets
import numpy as np
import pytest

from examples.pretrain import corpus, data, hosts
from examples.pretrain.errors import UserError
from examples.pretrain.tokenizers import Bytes

WORDS = ["the", "loss", "of", "a", "model", "falls", "rises", "with", "é,", "ß", "漢字", "step"]


def documents(count, seed=0):
    rng = np.random.default_rng(seed)
    return [f"{i} " + " ".join(rng.choice(WORDS, size=rng.integers(20, 60))) for i in range(count)]


def load(spec, **options):
    defaults = {
        "tokenizer": "bytes", "vocab": 256, "sequence_length": 16, "validation_sequences": 4,
    }  # fmt: skip
    return data.load(str(spec), **(defaults | options))


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(documents(40)))
    return path


@pytest.fixture
def jsonl(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps({"text": t, "n": 1}) + "\n" for t in documents(60)))
    return path


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """A dataset on disk, for a machine that may not ask the hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    datasets.Dataset.from_dict({"text": documents(60)}).save_to_disk(str(tmp_path / "saved"))
    return f"hf:{tmp_path / 'saved'}"


def stream(jsonl, length=16, validation=None):
    records = datasets.load_dataset(
        "json", data_files=str(jsonl), split="train", streaming=True, cache_dir=jsonl.parent
    )
    return data.from_stream("records", records, validation, Bytes(), length, 4, "text")


def take(batches, count):
    return [next(batches) for _ in range(count)]


KINDS = ["text", "jsonl", "saved", "stream"]


@pytest.fixture
def found(request, kind):
    source = request.getfixturevalue("jsonl" if kind == "stream" else kind)
    return stream(source) if kind == "stream" else load(source)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_batches_and_a_state_goes_on_from_where_it_was(found):
    first = found.batches(16, seed=0)
    batches, states = [], []
    for _ in range(80):  # more than an epoch
        batches.append(next(first))
        states.append(json.loads(json.dumps(first.get_state())))
    first.close()
    assert all(batch.shape == (16, 17) and batch.dtype == np.int32 for batch in batches)
    np.testing.assert_array_equal(take(found.batches(16, seed=0), 5), batches[:5])
    for position in (0, 1, 7, 40, 58, 74):
        resumed = found.batches(16, seed=0)
        take(resumed, 3)  # whatever it has read ahead must be forgotten
        resumed.set_state(states[position])
        expected = batches[position + 1 : position + 4]
        np.testing.assert_array_equal(take(resumed, 3), expected, err_msg=str(position))
        resumed.close()


@pytest.mark.parametrize("kind", ["text", "jsonl", "saved"])
def test_every_token_is_a_target_once_an_epoch_and_the_order_differs(found, kind, request):
    windows = found.batches(1, seed=0)
    source = corpus.load_corpus(str(request.getfixturevalue(kind)), "text")
    tokens = np.concatenate([[*part, 0] for part in Bytes().encode(source.train)])
    count = (len(tokens) - 1) // 16
    epochs = [np.concatenate(take(windows, count)) for _ in range(2)]
    expected = tokens[: count * 16 + 1]
    for epoch in epochs:
        assert sorted(map(tuple, epoch[:, 1:])) == sorted(
            map(tuple, expected[1:].reshape(count, 16))
        )
    assert not np.array_equal(*epochs)
    assert not np.array_equal(epochs[0][:5], np.concatenate(take(found.batches(1, seed=1), 5)))


@pytest.mark.parametrize("kind", ["text", "jsonl", "saved"])
def test_the_shards_of_a_batch_are_the_batch_and_one_state_serves_any_number(found):
    whole = found.batches(4, seed=0)
    halves = [found.batches(4, seed=0, shard_index=i, shard_count=2) for i in range(2)]
    for _ in range(5):
        batch, parts = next(whole), [next(half) for half in halves]
        assert sorted(batch.tolist()) == sorted(np.concatenate(parts).tolist())
        assert whole.get_state() == halves[0].get_state() == halves[1].get_state()
    for index, half in enumerate(halves):
        found.go_on(half, found.position(whole, 0), index, 2)
    after = sorted(np.concatenate([next(half) for half in halves]).tolist())
    assert after == sorted(next(whole).tolist())


def test_a_stream_resumes_each_processes_share_and_only_on_as_many(jsonl, monkeypatch):
    found = stream(jsonl)
    halves = [found.batches(4, seed=0, shard_index=i, shard_count=2) for i in range(2)]
    before = [take(half, 3) for half in halves]
    assert before[0][0].shape == (2, 17) and not np.array_equal(before[0], before[1])
    states = [[index, half.get_state()] for index, half in enumerate(halves)]
    monkeypatch.setattr(hosts, "gather", lambda _: states)
    position = json.loads(json.dumps(found.position(halves[0], 0)))
    expected = [take(half, 3) for half in halves]
    for index in range(2):
        resumed = found.batches(4, seed=0, shard_index=index, shard_count=2)
        found.go_on(resumed, position, index, 2)
        np.testing.assert_array_equal(take(resumed, 3), expected[index])
    with pytest.raises(UserError, match="shared out as before, over 2 processes, not 1"):
        found.go_on(found.batches(4, seed=0), position, 0, 1)
    assert "resumes exactly only on as many processes" in found.summary


def test_a_stream_resumes_from_every_position(jsonl):
    found = stream(jsonl, length=64)
    first = found.batches(1, seed=0)
    states, batches = [], []
    while first.get_state()["epoch"] < 2:
        states.append(first.get_state())
        batches.append(next(first))
    resumed = found.batches(1, seed=0)
    for position, state in enumerate(states):
        resumed.set_state(state)
        np.testing.assert_array_equal(next(resumed), batches[position], err_msg=str(position))
    first.close()
    resumed.close()


def test_a_stream_keeps_its_validation_documents_out_of_training(jsonl):
    found = stream(jsonl)
    texts = [json.loads(line)["text"] for line in jsonl.read_text().splitlines()]
    start = bytes(found.validation[0].astype(np.uint8)).decode(errors="ignore")
    assert texts[0].startswith(start)
    read = np.concatenate(take(found.batches(16, seed=0), 150))[:, 1:].astype(np.uint8).tobytes()
    assert texts[0].encode() not in read
    assert read.count(texts[-1].encode()) >= 2  # more than an epoch


@pytest.mark.parametrize("processes", [1, 2, 3])  # the stream's 4 files are split among 2, not 3
def test_no_process_of_a_stream_trains_on_its_validation_documents(processes):
    texts = [f"<{i}> {text}" for i, text in enumerate(documents(80))]
    records = datasets.Dataset.from_dict({"text": texts}).to_iterable_dataset(num_shards=4)
    found = data.from_stream("records", records, None, Bytes(), 64, 32, "text")

    def tags(sequences):
        return set(re.findall(rb"<\d+>", sequences[:, 1:].astype(np.uint8).tobytes()))

    held = tags(found.validation)
    assert len(held) > 5
    for shard in range(processes):
        batches = found.batches(6, seed=0, shard_index=shard, shard_count=processes)
        read = tags(np.concatenate(take(batches, 12 * processes)))
        assert len(read) > 10 and not read & held
        batches.close()


def test_a_streams_own_validation_split_is_used(jsonl):
    other = datasets.Dataset.from_dict({"text": documents(9, seed=9)}).to_iterable_dataset()
    found = stream(jsonl, validation=other)
    first = documents(9, seed=9)[0]
    assert first.startswith(bytes(found.validation[0].astype(np.uint8)).decode(errors="ignore"))
    texts = [json.loads(line)["text"] for line in jsonl.read_text().splitlines()]
    batch = next(found.batches(4, seed=0))
    assert texts[0].startswith(bytes(batch[0].astype(np.uint8)).decode(errors="ignore"))


@pytest.mark.parametrize("kind", ["text", "jsonl", "saved"])
def test_training_and_validation_share_no_document(kind, request):
    source = corpus.load_corpus(str(request.getfixturevalue(kind)), "text")
    train, validation = ({line for t in part for line in t.split("\n")} for part in
                         (source.train, source.validation))  # fmt: skip
    assert train and validation and not train & validation
    share = sum(map(len, source.validation)) / sum(map(len, [*source.train, *source.validation]))
    assert 0.02 < share < 0.1


def test_the_hash_follows_the_text(text):
    before = load(text).hash
    assert load(text).hash == before and before[:12] in load(text).summary
    text.write_text(text.read_text().replace("falls", "fails", 1))
    assert load(text).hash != before


def test_globs_lists_and_compressed_files_are_read(tmp_path, text, jsonl):
    packed = tmp_path / "more.jsonl.gz"
    packed.write_bytes(gzip.compress(jsonl.read_bytes()))
    together = corpus.load_corpus(f"{tmp_path}/*.txt,{packed}", "text")
    read = "".join([*together.train, *together.validation])
    assert len(read) == len(text.read_text()) + sum(map(len, documents(60)))


def test_files_of_one_name_are_split_and_one_named_twice_is_read_once(tmp_path):
    for i, document in enumerate(documents(40)):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / "README.md").write_text(document)
    found = corpus.load_corpus(f"{tmp_path}/*/README.md,{tmp_path}/7/*", "text")
    assert (len(found.train), len(found.validation)) == (38, 2)
    assert sorted([*found.train, *found.validation]) == sorted(documents(40))


def test_a_file_is_cut_near_its_end_wherever_its_lines_are(tmp_path):
    path = tmp_path / "text [1].txt"  # brackets are glob's
    path.write_text("Title\n" + "word " * 2000)
    (text,) = corpus.load_corpus(str(path), "text").validation
    assert len(text) == 10_006 // 20


def test_a_byte_order_mark_and_half_a_surrogate_pair_are_no_text(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"text": "a\\ud800b"}\n')
    found = corpus.load_corpus(str(path), "text")
    assert "".join([*found.train, *found.validation]) == "a?b"


def test_the_default_is_the_standard_library_without_its_tests():
    found = corpus.load_corpus("stdlib", "text")
    size = sum(len(t.encode()) for t in [*found.train, *found.validation])
    assert 6e6 < size < 15e6  # 9.7 MB in Python 3.11, a module fewer or more in others
    names = [name for name, _ in corpus._stdlib()]
    assert "argparse.py" in names and "asyncio/tasks.py" in names
    assert not any(part in name.split("/") for name in names for part in corpus.EXCLUDED)
    assert f"Python {sys.version.split()[0]}" in found.about


def test_a_validation_set_is_spread_over_its_text(tmp_path):
    path = tmp_path / "numbers.txt"
    path.write_text("".join(f"{i:06d}\n" for i in range(20_000)))
    found = load(path, validation_sequences=50)
    numbers = [
        int(bytes(row.astype(np.uint8))[:20].split(b"\n")[1][:6]) for row in found.validation
    ]
    assert numbers == sorted(numbers) and numbers[-1] - numbers[0] > 900  # of the last 1,000


@pytest.mark.parametrize(
    "name", ["A.JSONL", "a.ndjson", "a.jsonlines", "a.JsonL.GZ", "a.jsonl.gz", "a.NDJSON.gz"]
)
def test_records_are_known_by_any_spelling_of_their_files_name(tmp_path, name):
    content = "".join(json.dumps({"text": text}) + "\n" for text in documents(60)).encode()
    packed = gzip.compress(content) if name.lower().endswith(".gz") else content
    found = corpus.load_corpus(str(write(tmp_path / name, packed)), "text")
    assert sorted([*found.train, *found.validation]) == sorted(documents(60))


def write(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "name, content, clue",
    [
        ("none.txt", b"", "holds no text"),
        ("short.txt", b"too short", "less than a sequence of 16"),
        ("latin.txt", b"caf\xe9" * 100, "is not UTF-8 text: byte 3"),
        ("bad.jsonl", b'{"text": "a"}\n\n{"text": \n', "bad.jsonl, line 3: not JSON"),
        ("field.jsonl", b'{"body": "a"}\n', "line 1 has no text in field 'text' (there: body)"),
        ("list.jsonl", b"[1]\n", "line 1 has no text in field 'text'"),
        ("number.jsonl", b'{"text": 3}\n', "line 1 has no text"),
        ("torn.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 99, mtime=0)[:40], "cannot read"),
        ("damaged.gz", gzip.compress(b"the loss" * 99, mtime=0)[:10] + b"\xff" * 40, "cannot read"),
        ("deep.jsonl", b"[" * 100_000, "deep.jsonl, line 1: not JSON"),
        ("long.jsonl", b"1" * 5000, "long.jsonl, line 1: not JSON"),
    ],
)
def test_a_file_that_cannot_be_trained_on_gets_one_line(tmp_path, name, content, clue):
    with pytest.raises(UserError) as refusal:
        load(write(tmp_path / name, content))
    message = str(refusal.value)
    assert clue in message and "\n" not in message


@pytest.mark.parametrize(
    "options, clue",
    [
        ({"tokenizer": "word"}, "--tokenizer takes bytes, t5, gpt2, bpe or the path"),
        ({"vocab": 100}, "has 256 tokens and the model 100: give --shape.vocab 256"),
        ({"tokenizer": "bpe"}, "at least 257, not 256"),
    ],
)
def test_a_tokenizer_that_does_not_fit_gets_one_line(text, options, clue):
    with pytest.raises(UserError) as refusal:
        load(text, **options)
    assert clue in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_file_that_is_no_tokenizer_gets_one_line(text):
    with pytest.raises(UserError, match=r"text.txt is not a tokenizer.json") as refusal:
        load(text, tokenizer=str(text))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("spec", ["nowhere.txt", "nowhere/*.jsonl"])
def test_files_that_are_not_there_get_one_line(spec):
    with pytest.raises(UserError, match="there is no such file"):
        load(spec)


def test_a_folder_is_told_from_its_files(tmp_path):
    with pytest.raises(UserError, match=r"only a folder: give .*/\*\.txt"):
        load(tmp_path)


def test_a_folder_that_holds_no_dataset_gets_one_line(tmp_path):
    with pytest.raises(UserError, match="is not what save_to_disk wrote") as refusal:
        load(f"hf:{tmp_path}")
    assert "\n" not in str(refusal.value)


def test_a_saved_dataset_without_the_field_gets_one_line(saved):
    with pytest.raises(UserError, match=r"no text in field 'body' \(there: text\): --text-field"):
        load(saved, text_field="body")


@pytest.mark.parametrize("offline", [True, False])
def test_without_the_hub_the_message_comes_at_once_and_says_what_to_do(offline, monkeypatch, text):
    with socket.socket() as closed:  # a port at which nothing answers
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
        with pytest.raises(UserError) as refusal:
            load("hf:some/dataset")
        assert "hf:/folder" in str(refusal.value) and "\n" not in str(refusal.value)
        monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
        with pytest.raises(UserError) as refusal:
            load(text, tokenizer="gpt2", vocab=50257)
        assert "--tokenizer bytes or bpe" in str(refusal.value)
