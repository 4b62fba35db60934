"""The tables of the site that are read from the library, and README's: `python docs/tables.py`."""

import importlib
import inspect
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import DictKey, GetAttrKey, KeyPath

import gradpow
from gradpow import cards, metrics, presets, transforms
from gradpow.core import Basis

README = Path(__file__).parent.parent / "README.md"
# The fields of optax's states, which optax does not describe.
OPTAX = {
    "count": "steps taken",
    "count_m2": "steps taken, of the slow average",
    "e_g": "average of the squares of what enters it",
    "e_x": "average of the squares of its steps",
    "ema": "average of what enters it",
    "m1": "average of what enters it, fast",
    "m2": "average of what enters it, slow",
    "mu": "average of what enters it",
    "nu": "average of its squares",
    "ns_coeffs": "coefficients of the Newton-Schulz iteration",
    "sum_of_squares": "sum of the squares of what enters it",
    "trace": "accumulator of the momentum",
}


# What is required and no number: any that is taken.
REQUIRED = {"basis": transforms.oja_basis(2), "key": 0, "norm": "rms", "rank": 3, "size": 3}


def settings(sources: bool = True) -> str:
    """A row for each recipe of each preset; optimizers with equal recipes share one."""
    rows, last = [], ""
    for name, setting in presets.SETTINGS.items():
        groups: list[tuple[presets.Recipe, list[str]]] = []
        for optimizer, recipe in setting.recipes.items():
            same = next((names for other, names in groups if other == recipe), None)
            if same is None:
                groups.append((recipe, [optimizer]))
            else:
                same.append(optimizer)
        source = "as above" if setting.source == last else setting.source
        about, last = [f"`{name}`", _batch(setting), _schedule(setting), source], setting.source
        for recipe, optimizers in groups:
            preset, batch, schedule, source = about
            who = ", ".join(f"`{key}`" for key in optimizers)
            what = _numbers(presets.get(name, optimizers[0]).clip, recipe)
            rows.append([preset, batch, who, f"{recipe.learning_rate:g}", what, schedule, source])
            about = ["", "", "", ""]
    heads = ["preset", "batch", "optimizer", "rate", "settings", "schedule", "source"]
    kept = None if sources else -1
    return _table(heads[:kept], [row[:kept] for row in rows])


def optimizers() -> str:
    """A row for each optimizer: its own hyper-parameters."""
    return _table(
        ["optimizer", "hyper-parameters"],
        [[f"`{name}`", _shown(entry.hyper)] for name, entry in presets.OPTIMIZERS.items()],
    )


def with_states() -> dict[str, optax.GradientTransformation]:
    """Every link, wrapper and method with all the state that it may keep."""
    links = {card.name: card.factory for card in cards.links()}
    methods = {entry.name: entry.factory for entry in gradpow.atlas()}
    made = {name: _in_use(_whole(factory)) for name, factory in (links | methods).items()}
    watched = {"largest": metrics.largest_update, "spike": metrics.spike_detector()}
    return {**made, "monitored": metrics.monitored(optax.identity(), watched)}


def _in_use(made: Any) -> optax.GradientTransformation:
    """A basis keeps what :func:`gradpow.transforms.in_basis` keeps of it."""
    return transforms.in_basis(optax.trace(0.9), made) if isinstance(made, Basis) else made


def _whole(factory: Callable[..., optax.GradientTransformation]) -> optax.GradientTransformation:
    """Made by its signature: with what it requires, and a number wherever None leaves out a state.

    Numbers are 0.1 where that is in the range, else 3; wrapped is a momentum; others are REQUIRED.
    """
    terms, given, numbers = [], {}, []
    for name, parameter in inspect.signature(factory).parameters.items():
        said, required = str(parameter.annotation), parameter.default is parameter.empty
        if parameter.kind is parameter.VAR_POSITIONAL:  # weighed terms
            terms = [(1.0, optax.trace(0.9))]
        elif "GradientTransformation" in said and required:
            given[name] = optax.trace(0.9)
        elif required and name in REQUIRED:
            given[name] = REQUIRED[name]
        elif required:
            numbers.append(name)
        elif parameter.default is None and "float" in said:
            given[name] = 0.1
    for values in itertools.product((0.1, 3.0), repeat=len(numbers)):
        try:
            return factory(*terms, **given, **dict(zip(numbers, values, strict=True)))
        except ValueError as error:
            refused = error
    raise refused


def states() -> str:
    """A row for each field of each state."""
    rows = []
    for name, tx in with_states().items():
        who = f"`{name}`"
        for row in _fields(tx) or [["keeps nothing", "", "", ""]]:
            rows.append([who, *row])
            who = ""
    return _table(["", "field of its state", "shape", "type", "what it is"], rows)


def _fields(tx: optax.GradientTransformation) -> list[list[str]]:
    """Path, shape, type and meaning of each field, the parameters' own names left out."""
    state = tx.init({"matrix": jnp.ones((2, 3)), "bias": jnp.ones(5)})
    rows = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(state, is_leaf=lambda x: x is None):
        owner, field = _owner(state, path)
        if not field:  # optax's empty links
            continue
        of_parameter = path[-1] in (DictKey("matrix"), DictKey("bias"))
        place = jax.tree_util.keystr(path[:-1] if of_parameter else path)
        if leaf is None:
            kept = ["None", ""]
        else:
            shape = "as the parameter" if of_parameter else str(leaf.shape or "scalar")
            kept = [shape, leaf.dtype.name]
        rows[place] = [f"`{place}`", *kept, _meaning(owner, field)]
    return list(rows.values())


def _owner(state: Any, path: KeyPath) -> tuple[type, str]:
    """The innermost class on a path, and its field there."""
    owner, field, node = tuple, "", state
    for key in path:
        if isinstance(key, GetAttrKey):
            owner, field, node = type(node), key.name, getattr(node, key.name)
        else:
            node = node[key.key if isinstance(key, DictKey) else key.idx]
    return owner, field


def _meaning(owner: type, field: str) -> str:
    """What the docstring of a state says of a field, which it names first, or of all of them."""
    if not owner.__module__.startswith("gradpow"):
        return OPTAX[field]
    said = " ".join(inspect.getdoc(owner).split()).partition(": ")[2].removesuffix(".")
    parts = re.split(r"; |\. ", said)
    found = [re.sub(rf"^{field}(:|,| =) ", "", part) for part in parts]
    meaning = next((f for f, part in zip(found, parts, strict=True) if f != part), said)
    return meaning.removesuffix(", shaped as the parameters").replace("|", "\\|")


def _batch(setting: presets.Setting) -> str:
    length = setting.sequence_length
    return f"{setting.batch_size:,} x {length:,}" if length else f"{setting.batch_size:,}"


def _schedule(setting: presets.Setting) -> str:
    end = "" if setting.schedule == "constant" else f" to {setting.final_fraction:g}"
    steps = f"{setting.steps:,} steps" if setting.steps else "20 tokens a parameter"
    return f"{setting.schedule}{end}, {steps}, {setting.warmup:,} of warm-up"


def _numbers(clip: float, recipe: presets.Recipe) -> str:
    numbers = _shown({**recipe.hyper, "decay": recipe.weight_decay})
    note = f"; *{recipe.note}*" if recipe.note else ""
    return f"{numbers}, {f'clip {clip:g}' if clip else 'no clipping'}{note}"


def _shown(numbers: dict[str, float]) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in numbers.items())


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def members(*families: str) -> str:
    """A row for each method of the families: what it is in a line, and its papers."""
    rows = []
    for entry in (entry for family in families for entry in gradpow.find(family=family)):
        says = (inspect.getdoc(entry.factory) or "").partition("\n\n")[0].replace("\n", " ")
        says = re.sub(r":\w+:`([^`]+)`", r"`\1`", says)
        papers = "; ".join(f"[{source.label}]({source.link})" for source in entry.sources)
        rows.append([f"`{entry.name}`", says.partition(": ")[2] or says, papers])
    return _table(["method", "what it varies", "papers"], rows)


def families() -> str:
    """README's: a row for each family, whose docstring opens with its title."""
    rows = []
    for family in dict.fromkeys(entry.family for entry in gradpow.atlas()):
        folder = "wrappers" if family == "wrappers" else f"methods/{family}"
        module = importlib.import_module(f"gradpow.{folder.replace('/', '.')}")
        title = inspect.getdoc(module).partition(":")[0]
        names = ", ".join(f"`{entry.name}`" for entry in gradpow.find(family=family))
        rows.append([f"[{title}](gradpow/{folder})", names])
    return _table(["family", "methods"], rows)


def filled(text: str) -> str:
    """README's text with the families as the code has them."""
    marks = re.compile(r"(<!-- families -->\n).*?(<!-- /families -->)", re.S)
    return marks.sub(lambda found: f"{found[1]}\n{families()}\n\n{found[2]}", text)


if __name__ == "__main__":
    README.write_text(filled(README.read_text()))
