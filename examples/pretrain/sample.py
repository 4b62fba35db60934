"""Continues a text with the model of a run.

python -m examples.pretrain.sample runs/llama-nano-adamw --prompt "def __init__(self"
"""

import dataclasses
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import tyro

from . import cli, runs
from .config import read, tokenizer_of
from .errors import UserError
from .generate import generate
from .tokenizers import load_tokenizer


@dataclasses.dataclass(frozen=True)
class Sample:
    """Continue a text with the model of a run."""

    run: tyro.conf.Positional[Path]
    """The run's folder."""
    prompt: str = "def "
    """The text to continue."""
    length: int = 200
    """Tokens to add."""
    temperature: float = 0.8
    """Below 1 likelier, above 1 more varied; 0: always the likeliest token."""
    top_k: int = 0
    """Choose among the k likeliest tokens; 0: among all."""
    seed: int = 0
    """Of the choices."""
    step: int | None = None
    """The checkpoint; the newest if not given."""


def main(arguments: list[str] | None = None) -> None:
    cli.run(Sample, sample, arguments)


def sample(options: Sample) -> str:
    if options.length < 1 or options.top_k < 0 or not 0 <= options.temperature < math.inf:
        raise UserError(
            "--length must be at least 1, --top-k at least 0, --temperature at least 0 and finite"
        )
    config = read(options.run)
    path = tokenizer_of(options.run)
    tokenizer = load_tokenizer(str(path), config.shape.vocab, texts=lambda: ())
    # Where the locale has no such letters, the shell's bytes arrive as halves of surrogate pairs.
    text = options.prompt.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    (prompt,) = tokenizer.encode([text])
    if not len(prompt):
        raise UserError("--prompt must hold at least one token")
    _, model = runs.load_model(config, options.step)
    tokens = generate(
        model,
        jnp.asarray(prompt, jnp.int32)[None],
        options.length,
        key=jax.random.key(options.seed),
        temperature=options.temperature,
        top_k=options.top_k,
        context=config.sequence_length,
    )
    return tokenizer.decode(jax.device_get(tokens[0]).tolist())


if __name__ == "__main__":
    main()
