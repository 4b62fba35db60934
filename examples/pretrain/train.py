"""Pre-trains a language model with any of gradpow's optimizers.

pip install -e ".[pretrain]"
python -m examples.pretrain.train                              # nano LLaMA, AdamW
python -m examples.pretrain.train --optimizer s3 --hyper.p 2
python -m examples.pretrain.train --preset llama-66m --optimizer adampower --dry-run
python -m examples.pretrain.train --out runs/llama-nano-s3 --resume
"""

import contextlib
import signal
import sys
import time
import zlib
from typing import Any

import jax
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from . import cache, counts, hosts, logs, runs, sharding
from .checkpoints import Checkpoints
from .config import Config, RunConfig, changes, command, launch_of, parse, stored
from .data import Data
from .dry_run import dry_run
from .errors import UserError, one_line, shown_in_one_line
from .files import write_json
from .hardware import peak_flops
from .meter import Meter
from .monitoring import measurements
from .step import make_evaluate


class Trainer:
    """A run from its first or resumed step to its end."""

    def __init__(self, config: RunConfig, parts: runs.Parts, data: Data, console: Console):
        self.config, self.parts, self.data, self.console = config, parts, data, console
        self.shard, self.shards = sharding.data_shard(parts.mesh)
        self.batches = data.batches(
            config.batch_size,
            seed=config.seed,
            shard_index=self.shard,
            shard_count=self.shards,
        )
        self.checkpoints = Checkpoints(config.out / "checkpoints", config.keep)
        self.done, self.numbers = 0, ""
        self.state = self.resume() if config.resumes else self.parts.init(config)
        runs.write_config(config, data)  # not before a resumed run is known to go on
        self.log = logs.Log(config.out, self.done) if hosts.is_first() else logs.Silent()
        self.spikes = logs.Spikes()
        for record in self.log.kept:
            if "loss" in record:
                self.spikes.add(record["loss"])
        self.meter = Meter(
            config.unit,
            config.units_per_step,
            config.flops_per_unit,
            peak_flops(config.peak_flops),
        )
        least = sharding.batch_parts(parts.mesh)
        most = config.batch_size // config.accumulate  # what fits in memory
        count = len(jax.tree.leaves(data.validation)[0])
        rows = min(most, -(-count // least) * least)
        measure = config.measure(parts.graphdef)
        self.evaluate = make_evaluate(measure, data.validation, rows, parts.put_whole)

    def resume(self) -> Any:
        asked = self.config.resume_from
        if asked is None and not self.checkpoints.steps():
            self.check_corpus(stored(self.config.out)["corpus"], "the run began")
            self.console.print("no checkpoint yet: starting at step 0")
            return self.parts.init(self.config)
        step, state, about = self.checkpoints.restore(self.parts.stored, asked)
        self.check_corpus(about["corpus"], f"checkpoint {step}")
        for path in self.checkpoints.set_aside_after(step):
            self.console.print(f"set aside: {path}")
        self.data.go_on(self.batches, about["batches"], self.shard, self.shards)
        self.done = step
        self.console.print(f"resumed at step {step}")
        return self.parts.from_store(state)

    def check_corpus(self, was: str, since: str) -> None:
        if was != self.data.hash:
            raise UserError(
                f"the corpus has changed since {since}: its hash is {self.data.hash}, and was "
                f"{was}; put the old data back, or train anew in another --out"
            )

    def run(self) -> str:
        """Trains to the last step, or until told to stop; returns how it ended."""
        config, every = self.config, self.config.log_every
        with self.console.status("compiling"):
            step = runs.compile_step(self.parts, config)
        cache.note_compiled()
        status = "finished"
        start = time.perf_counter()
        self.meter.restart()
        with hosts.Stop(self.checkpoints.reached_preemption) as stop, self.progress() as bar:
            task = bar.add_task("", total=config.steps, completed=self.done, numbers="")
            while self.done < config.steps and status == "finished":
                before = time.perf_counter()
                tokens = self.parts.put(next(self.batches))
                waited = time.perf_counter() - before
                self.state, metrics = step(self.state, tokens)
                self.meter.add(metrics, waited)
                self.done += 1

                stopping = stop.after(self.done)  # once, since it may come at any line
                last = self.done == config.steps
                saves = last or (config.save_every > 0 and self.done % config.save_every == 0)
                validates = saves or self.done % config.eval_every == 0
                if validates or stopping or self.done % every == 0:
                    status = self.look() or status
                    bar.update(task, completed=self.done, numbers=self.numbers)
                validation = self.validate() if validates else None
                if saves or stopping:
                    self.save(validation)
                if stopping and not last:
                    status = f"stopped by {signal.Signals(stopping).name}"
        self.finish(status, time.perf_counter() - start)
        return status

    def progress(self) -> Progress:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[numbers]}"))
        return Progress(*columns, TimeRemainingColumn(), console=self.console)

    def look(self) -> str | None:
        """Fetches and logs the metrics since the last look; says if the run has diverged.

        The only place, beside validation and checkpoints, where the host waits for the device.
        """
        steps, speed = self.meter.take()
        for step, metrics in enumerate(steps, self.done - len(steps) + 1):
            self.spikes.add(metrics["loss"])
            self.log.write(step, **metrics, spikes=self.spikes.count)
        self.log.write(self.done, **speed, **measurements(self.state.opt_state))
        self.log.flush()
        mfu = f"MFU {speed['mfu']:.1%}" if "mfu" in speed else "MFU n/a"
        unit = self.config.unit
        rate = f"{speed[f'{unit}_per_second']:,.0f} {unit}/s"
        self.numbers = f"loss {steps[-1]['loss']:.3f}  {rate}  {mfu}"
        in_row = max(metrics["skipped_in_row"] for metrics in steps)
        if in_row >= self.config.stop_after_bad_steps:
            return f"diverged: {in_row:.0f} gradients in a row were not finite at step {self.done}"
        return None

    def validate(self) -> float:
        found = self.evaluate(self.state.params)
        self.log.write(self.done, **{f"validation_{key}": value for key, value in found.items()})
        self.log.flush()
        said = ", ".join(f"{key} {value:.4f}" for key, value in found.items())
        self.console.print(
            f"step {self.done}: validation {said}, {self.numbers}, {self.spikes.count} spikes"
        )
        self.meter.restart()
        return found["loss"]

    def save(self, validation: float | None) -> None:
        position = self.data.position(self.batches, self.shard)
        about = {"batches": position, "corpus": self.data.hash}
        self.checkpoints.save(self.done, self.parts.to_store(self.state), about, validation)
        self.meter.restart()

    def abandon(self) -> None:
        """Closes what a system that refuses to write can still close."""
        self.log.abandon()
        self.batches.close()
        with contextlib.suppress(Exception):  # whatever is left of what it was writing
            self.checkpoints.manager.close()

    def finish(self, status: str, seconds: float) -> None:
        cache.note_compiled()
        self.checkpoints.close()
        self.batches.close()
        self.log.close()
        if not hosts.is_first():
            return
        records = logs.read(self.config.out)
        validations = [r["validation_loss"] for r in records if r.get("validation_loss")]
        result = {
            "status": status,
            "step": self.done,
            self.config.unit: self.done * self.config.units_per_step,
            "validation_loss": validations[-1] if validations else None,
            "best_validation_loss": min(validations, default=None),
            "spikes": self.spikes.count,
            "skipped_steps": int(self.state.skipped),
            "seconds": seconds,
            "corpus": self.data.hash,
        }
        write_json(self.config.out / "result.json", result)


def describe(config: RunConfig, console: Console) -> None:
    count = counts.count(config.shape)
    active = f", {count.active:,} active a token" if count.active != count.total else ""
    console.print(f"{config.preset}: {count.total:,} parameters{active}")
    hyper = ", ".join(
        f"{key} {value:g}{' (annealed)' * (key in config.anneal)}"
        for key, value in config.hyper.items()
    )
    console.print(
        f"{config.optimizer}: rate {config.learning_rate:g} ({config.schedule}), "
        f"decay {config.weight_decay:g}, {hyper}"
    )
    for line in config.about:
        console.print(line)
    for option, values in changes(config).items() if config.resumes else ():
        was, now = (f"{x:g}" if isinstance(x, float) else x for x in values)
        console.print(f"changed: {option} is {now}, and was {was} in {config.out}")


def load_data(config: RunConfig, console: Console) -> Data:
    with console.status("reading the data") as status:
        data = config.load(status.update)
    console.print(data.summary)
    return data


def prepare(config: RunConfig) -> runs.Parts:
    """What needs no data, so that what is wrong shows at once."""
    if config.dry_run:
        return runs.make_parts(config)
    runs.check_free(config)
    parts = runs.make_parts(config)
    runs.check_memory(parts)
    return parts


def run(config: RunConfig, console: Console) -> int:
    """The exit status: 0, or 128 and the signal's number."""
    cache.keep_compiled(config.cache)
    describe(config, console)
    parts = hosts.agreed(lambda: prepare(config))
    console.print(runs.describe_mesh(parts))
    with jax.set_mesh(parts.mesh):
        if config.dry_run:
            dry_run(config, parts, console)
            return 0
        data = hosts.agreed(lambda: load_data(config, console))
        hosts.check_equal(data.hash, "the corpus' hash")
        checksum = 0  # of tokens, for one, of a tokenizer that each process trained
        for array in jax.tree.leaves(data.validation):
            checksum = zlib.crc32(array.tobytes(), checksum)
        hosts.check_equal(checksum, "the checksum of the validation data")
        with runs.alone(config):
            trainer = Trainer(config, parts, data, console)
            try:
                status = trainer.run()
            except OSError as error:
                trainer.abandon()
                reason = error.strerror or one_line(error)
                raise UserError(
                    f"{config.out}, step {trainer.done}: {reason}; when that is mended, go on with "
                    f"{command(config, '--resume')}"
                ) from None
    console.print(f"{status} at step {trainer.done}; wrote {config.out}")
    if not status.startswith("stopped"):
        return 0
    console.print(f"go on with {command(config, '--resume')}")
    return 128 + signal.Signals[status.split()[-1]].value


def main(arguments: list[str] | None = None, kind: type[RunConfig] = Config) -> None:
    arguments = sys.argv[1:] if arguments is None else arguments
    program = kind.module.split(".")[-1]
    with shown_in_one_line(program), hosts.ending_with_the_others(program):
        hosts.start(launch_of(arguments, kind))
        config = hosts.agreed(lambda: parse(arguments, kind))
        sys.exit(run(config, Console(soft_wrap=True, markup=False, quiet=not hosts.is_first())))


if __name__ == "__main__":
    main()
