"""What a run is told: the command line over the preset, or over the run that is resumed."""

import dataclasses
import functools
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

import jax
import numpy as np
import tyro
from flax import nnx

from gradpow.presets import Preset

from . import cache, cli, counts
from .data import Data, load
from .errors import UserError
from .files import digest, read_json
from .hosts import Launch
from .presets import SHAPES, Recipe, Shape, get_recipe, get_setting
from .sharding import MeshShape
from .step import Losses, cross_entropy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Start:
    """What is asked of one start, not of the run."""

    launch: Launch = dataclasses.field(default_factory=Launch)
    """How several processes find each other."""
    cache: Path | None = None
    """Folder for compiled programs and tokenised text; by default gradpow in ~/.cache, or in
    $XDG_CACHE_HOME if it is set."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """Go on with the run in --out, with its own configuration, from its newest checkpoint."""
    resume_or_start: tyro.conf.FlagCreatePairsOff[bool] = False
    """Like --resume where --out holds a run, else begin one: for job managers that start the same
    command again."""
    resume_from: int | None = None
    """Like --resume, from this checkpoint; newer ones are set aside, not deleted."""
    dry_run: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print parameters, memory, steps, tokens and the expected time; train nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class First(Start):
    """What is read first, since it sets the defaults of all else."""

    preset: str | None = None
    optimizer: str | None = None
    out: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig(Start):
    """What any run is told; its kinds say what is trained, on what, and what is counted."""

    module: ClassVar[str]  # of ``python -m``
    unit: ClassVar[str]  # what is counted, in the plural
    first_preset: ClassVar[str]
    at_least_one: ClassVar[tuple[str, ...]] = (
        "steps", "batch_size", "eval_every", "keep", "log_every", "accumulate",
        "stop_after_bad_steps",
    )  # fmt: skip

    preset: str
    """A paper's model and training setting; sets the defaults of all that follows."""
    optimizer: str
    """An optimizer by name; sets learning rate, weight decay, clipping and --hyper."""
    hyper: dict[str, float]
    """The optimizer's hyper-parameters."""
    learning_rate: float
    """Peak learning rate."""
    weight_decay: float
    """Times the learning rate, on embeddings and matrices, not on norms and biases."""
    clip: float
    """Largest global norm of the gradient, before the optimizer; 0 for no clipping."""
    schedule: Literal["cosine", "wsd", "constant", "linear"]
    """The learning rate after the warm-up."""
    warmup: int
    """Steps of linear warm-up from 0."""
    final_fraction: float
    """The last learning rate over the peak, for all schedules but constant."""
    anneal: tuple[str, ...] = ()
    """Hyper-parameters that rise and fall with the learning rate: tau, for STACEY in long runs."""
    steps: int
    """Optimizer steps in all."""
    batch_size: int
    """Sequences or images a step, over all devices."""
    data: str
    """Where the data is."""
    eval_every: int
    """Steps between validations."""
    save_every: int
    """Steps between checkpoints; 0 for the last step alone."""
    out: Path
    """The run's folder."""
    shape: Any
    """The model's shape."""
    mesh: MeshShape = dataclasses.field(default_factory=MeshShape)
    """How the devices share the work."""
    accumulate: int = 1
    """Parts into which each batch is cut, to save memory."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the computation; parameters and states are float32. bfloat16 is slower on CPUs."""
    seed: int = 0
    """Of the initial weights, the order of the data, and dropout."""
    keep: int = 2
    """The newest checkpoints to keep, beside the best."""
    log_every: int = 20
    """Steps between looks at the metrics, each of which waits for the device."""
    stop_after_bad_steps: int = 10
    """Consecutive steps with a gradient that is not finite, all skipped, after which to stop."""
    monitor: bool = False
    """Log also the gradient's noise, of each tensor and in all, the update relative to the
    parameters, the effective rate, the share of coordinates below eps, and warnings of spikes."""
    peak_flops: float = 0.0
    """Peak rate of one device, operations a second, for MFU; 0: from a table, where known."""

    @classmethod
    def defaults(cls, preset: str, optimizer: str) -> Self:
        raise NotImplementedError

    @classmethod
    def of(
        cls, preset: str, optimizer: str, shape: Any, setting: Any, recipe: Recipe, **more: Any
    ) -> Self:
        """By a paper's setting and its recipe for an optimizer; `more` is the kind's own."""
        resolved = Preset.of(preset, optimizer, setting, recipe)
        same = (
            "optimizer", "hyper", "learning_rate", "weight_decay", "clip", "schedule", "warmup",
            "final_fraction", "batch_size",
        )  # fmt: skip
        return cls(
            preset=preset,
            **{key: getattr(resolved, key) for key in same},
            data=setting.data,
            eval_every=setting.eval_every,
            save_every=setting.eval_every,
            out=Path("runs") / f"{preset}-{optimizer}",
            shape=shape,
            **more,
        )

    def check(self) -> None:
        """Raises `UserError` for what makes no sense."""
        cli.require_at_least(1, **{key: getattr(self, key) for key in self.at_least_one})
        for key in ("save_every", "learning_rate", "weight_decay", "clip", "peak_flops", "seed"):
            if not 0 <= getattr(self, key) < float("inf"):
                raise UserError(f"--{key.replace('_', '-')} must be at least 0 and finite")
        if not 0 <= self.final_fraction <= 1:
            raise UserError("--final-fraction must lie between 0 and 1")
        if self.batch_size % self.accumulate:
            raise UserError(
                f"--accumulate {self.accumulate} does not divide --batch-size {self.batch_size}"
            )

    @property
    def about(self) -> list[str]:
        """Where the setting comes from, in lines."""
        raise NotImplementedError

    @property
    def units_per_step(self) -> int:
        raise NotImplementedError

    @property
    def flops_per_unit(self) -> float:
        raise NotImplementedError

    @property
    def random(self) -> bool:
        """Whether the loss draws random numbers."""
        raise NotImplementedError

    def losses(self, graphdef: nnx.GraphDef) -> Losses:
        raise NotImplementedError

    def measure(self, graphdef: nnx.GraphDef) -> Callable[[Any, Any], dict[str, jax.Array]]:
        """From parameters and a batch to what validation says of each example."""
        raise NotImplementedError

    def example_batch(self) -> Any:
        """A batch of the right shapes and types, of no data."""
        raise NotImplementedError

    def load(self, say: Callable[[str], None]) -> Data:
        raise NotImplementedError

    @property
    def resumes(self) -> bool:
        return self.resume or self.resume_from is not None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(RunConfig):
    """Pre-train a language model. The defaults are those of --preset and --optimizer."""

    module = "examples.pretrain.train"
    unit = "tokens"
    first_preset = "llama-nano"
    at_least_one = (*RunConfig.at_least_one, "sequence_length", "eval_sequences")

    shape: tyro.conf.AvoidSubcommands[Shape]
    """The model's shape."""
    sequence_length: int
    """Tokens a sequence."""
    data: str
    """stdlib, text or JSONL files by glob (a,b for several), or hf:NAME[:CONFIG]."""
    tokenizer: str
    """bytes, t5, gpt2, bpe (trained on the data), or the path of a tokenizer.json."""
    text_field: str = "text"
    """Field of JSONL records and Hugging Face datasets."""
    eval_sequences: int = 64
    """Sequences of the fixed validation set."""

    @classmethod
    def defaults(cls, preset: str, optimizer: str) -> "Config":
        setting, shape = get_setting(preset), SHAPES[preset]
        return cls.of(
            preset,
            optimizer,
            shape,
            setting,
            get_recipe(preset, optimizer),
            steps=setting.steps_for(shape),
            sequence_length=setting.sequence_length,
            tokenizer=setting.tokenizer,
        )

    @property
    def about(self) -> list[str]:
        note = get_recipe(self.preset, self.optimizer).note
        return [f"setting: {get_setting(self.preset).source}", *([f"note: {note}"] if note else [])]

    @property
    def units_per_step(self) -> int:
        return self.batch_size * self.sequence_length

    @property
    def flops_per_unit(self) -> float:
        return counts.flops_per_token(self.shape, self.sequence_length)

    @property
    def random(self) -> bool:
        return self.shape.dropout > 0

    def losses(self, graphdef: nnx.GraphDef) -> Losses:
        return functools.partial(cross_entropy, graphdef)

    def measure(self, graphdef: nnx.GraphDef) -> Callable[[Any, Any], dict[str, jax.Array]]:
        return lambda params, tokens: {"loss": cross_entropy(graphdef, params, tokens)[0]}

    def example_batch(self) -> np.ndarray:
        shape = (self.batch_size, self.sequence_length + 1)
        generator = np.random.default_rng(0)  # routers send equal tokens to the same experts
        return generator.integers(self.shape.vocab, size=shape, dtype=np.int32)

    def load(self, say: Callable[[str], None]) -> Data:
        return load(
            self.data,
            tokenizer=str(tokenizer_of(self.out)) if self.resumes else self.tokenizer,
            vocab=self.shape.vocab,
            sequence_length=self.sequence_length,
            validation_sequences=self.eval_sequences,
            text_field=self.text_field,
            cache=cache.folder(self.cache) / "tokens",
            progress=say,
            too_short="give more --data or a shorter --sequence-length",
        )


Kind = TypeVar("Kind", bound=RunConfig)


def parse(arguments: list[str], kind: type[Kind] = Config) -> Kind:
    """Reads the command line twice: first for what sets the defaults, then over these."""
    first = _first(arguments, kind.module)
    asked = {
        "--resume": first.resume,
        "--resume-from": first.resume_from is not None,
        "--resume-or-start": first.resume_or_start,
    }
    flags = [flag for flag, given in asked.items() if given]
    if flags and first.out is None:
        raise UserError(f"{flags[0]} needs --out: the folder of the run to go on with")
    if first.out and flags and (flags != ["--resume-or-start"] or holds_run(first.out)):
        resumes, default = True, read(first.out, kind)
    else:
        preset, optimizer = first.preset or kind.first_preset, first.optimizer or "adamw"
        resumes, default = False, kind.defaults(preset, optimizer)
    config = cli.parse(kind, kind.module, arguments, default)
    config = dataclasses.replace(config, resume=resumes)
    if (config.preset, config.optimizer) != (default.preset, default.optimizer):
        raise UserError(
            f"{config.out} is a run of {default.preset} with {default.optimizer}: a resumed run "
            "keeps its --preset and --optimizer"
        )
    config.check()
    return config


def launch_of(arguments: list[str], kind: type[RunConfig] = Config) -> Launch:
    """How to find the other processes, before anything else is known."""
    return _first(arguments, kind.module).launch


def _first(arguments: list[str], module: str) -> First:
    return cli.parse(First, module, arguments, others=[], add_help=False)


def holds_run(out: Path) -> bool:
    return (out / "config.json").exists()


def to_json(config: RunConfig) -> dict[str, Any]:
    of_the_start = [field.name for field in dataclasses.fields(Start)]
    fields = dataclasses.asdict(config)
    return {key: value for key, value in fields.items() if key not in of_the_start} | {
        "out": str(config.out)
    }


def stored(out: Path) -> dict[str, Any]:
    """What the run in a folder wrote of itself."""
    try:
        return read_json(out / "config.json")
    except FileNotFoundError:
        raise UserError(f"{out} holds no run: there is no config.json in it") from None


def read(out: Path, kind: type[Kind] = Config) -> Kind:
    """The configuration of the run in a folder."""
    try:
        fields = _with_tuples(stored(out)["config"])
        default = kind.defaults(fields["preset"], fields["optimizer"])
        shape = dataclasses.replace(default.shape, **_with_tuples(fields.pop("shape")))
        mesh = MeshShape(**fields.pop("mesh"))
        found = dataclasses.replace(default, **fields | {"out": out, "shape": shape, "mesh": mesh})
        found.check()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{out}/config.json is not what a run writes: {error}") from None
    return found


def _with_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists alone."""
    return {key: tuple(x) if isinstance(x, list) else x for key, x in fields.items()}


def tokenizer_of(out: Path) -> Path:
    """The file of a run's tokenizer; other tokens would train another model without a word."""
    path = out / "tokenizer.json"
    wanted = stored(out).get("tokenizer")  # older runs have none
    try:
        if wanted in (None, digest(path)):
            return path
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    raise UserError(
        f"{path} is not the tokenizer of this run, by its checksum: put the run's own file back, "
        "or train anew in another --out"
    )


def changes(config: RunConfig) -> dict[str, tuple[Any, Any]]:
    """What a resumed run is told anew: by option, its value in the folder and the one now."""
    both = (json.loads(json.dumps(to_json(c))) for c in (read(config.out, type(config)), config))
    was, now = map(_options, both)
    return {key: (was.get(key), value) for key, value in now.items() if was.get(key) != value}


def _options(fields: dict[str, Any], group: str = "--") -> dict[str, Any]:
    found = {}
    for key, value in fields.items():
        name = group + key.replace("_", "-")
        found |= _options(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found


def command(config: RunConfig, *flags: str) -> str:
    """The command line that goes on with a run."""
    given = ["python", "-m", config.module, "--out", str(config.out), *flags]
    return shlex.join([*given, *(["--cache", str(config.cache)] if config.cache else [])])
