"""Writes a run's weights as safetensors, with the names and config.json of Hugging Face's models.

    python -m examples.pretrain.export runs/llama-nano-adamw exported

The folder opens with ``transformers.AutoModelForCausalLM.from_pretrained("exported")``. There a
Qwen2MoE has no capacity: where a run's experts ran over theirs, its logits differ.
"""

import dataclasses
from pathlib import Path

import tyro
from flax import nnx
from safetensors.numpy import save_file

from . import cli, runs
from .config import read
from .errors import UserError
from .files import write_json, writing
from .hf import huggingface_config, to_huggingface


@dataclasses.dataclass(frozen=True)
class Export:
    """Write a run's weights as safetensors."""

    run: tyro.conf.Positional[Path]
    """The run's folder."""
    to: tyro.conf.Positional[Path]
    """The folder to write; it must not hold an export yet."""
    step: int | None = None
    """The checkpoint; the newest if not given."""


def main(arguments: list[str] | None = None) -> None:
    cli.run(Export, export, arguments)


def export(options: Export) -> str:
    config = read(options.run)
    path = options.to / "model.safetensors"
    if path.exists():
        raise UserError(f"{path} exists: give another folder")
    step, model = runs.load_model(config, options.step)
    tensors = to_huggingface(config.shape, nnx.state(model, nnx.Param))
    try:
        options.to.mkdir(parents=True, exist_ok=True)
        about = {"format": "pt", "run": str(config.out), "step": str(step)}
        with writing(path) as temporary:
            save_file(tensors, temporary, metadata=about)
        write_json(
            options.to / "config.json", huggingface_config(config.shape, config.sequence_length)
        )
    except OSError as error:
        raise UserError(f"cannot write to {options.to}: {error.strerror}") from None
    return f"wrote {len(tensors)} tensors of step {step} to {path}"


if __name__ == "__main__":
    main()
