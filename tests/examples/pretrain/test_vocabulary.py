"""Text that a tokenizer's vocabulary does not hold."""

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers

from examples.pretrain.data import load
from examples.pretrain.errors import UserError


@pytest.fixture
def tokenised(tmp_path):
    """Makes a tokenizer of words, and loads a text of a, b and c with it."""
    (tmp_path / "text.txt").write_text("a b c " * 500)

    def load_with(model, vocab=10):
        tokenizer = tokenizers.Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.save(str(tmp_path / "words.json"))
        return load(
            str(tmp_path / "text.txt"),
            tokenizer=str(tmp_path / "words.json"),
            vocab=vocab,
            sequence_length=8,
            validation_sequences=2,
        )

    return load_with


@pytest.mark.parametrize(
    "model",
    [models.WordLevel({"a": 0, "b": 1}, unk_token="?"), models.Unigram([("a", -1.0)], None)],
)
def test_text_without_any_token_gets_one_line(tokenised, model):
    with pytest.raises(UserError, match=r"^--tokenizer .*words.json has no tokens for this text: "):
        tokenised(model)


def test_the_share_of_unknown_tokens_is_told(tokenised):
    some = models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?")
    assert "words.json; 33% of them not in its vocabulary)" in tokenised(some).summary
    pieces = models.Unigram([("?", 0.0), ("a", -1.0), ("b", -1.0)], 0)
    assert "words.json; 33% of them not in its vocabulary)" in tokenised(pieces).summary
    all_of_it = models.WordLevel({"a": 0, "b": 1, "c": 2, "?": 3}, unk_token="?")
    assert "vocabulary" not in tokenised(all_of_it).summary


def test_tokens_beyond_the_models_are_refused(tokenised):
    with pytest.raises(UserError, match=r"has 12 tokens and the model 10: give --shape.vocab 12"):
        tokenised(models.WordLevel({"a": 0, "b": 1, "c": 11, "?": 2}, unk_token="?"))
