"""The tables of the site that are read from the library."""

import inspect
import re
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import DictKey, GetAttrKey, KeyPath

import gradpow
from gradpow import metrics, presets, transforms

# Every public transformation and optimizer with all the state that it may keep.
STATES = {
    "sign_power": transforms.sign_power(1.2),
    "adaptive_sign_power": transforms.adaptive_sign_power(),
    "nesterov_pmoment": transforms.nesterov_pmoment(0.9),
    "p_norm_scale": transforms.p_norm_scale(0.9, 3),
    "interpolated_momentum": transforms.interpolated_momentum(),
    "lp_steepest": transforms.lp_steepest(3),
    "lp_mirror_step": transforms.lp_mirror_step(0.1, 3),
    "linear_coupling": transforms.linear_coupling(
        optax.trace(0.9), transforms.lp_mirror_step(0.1, 3), 0.1
    ),
    "momentum_scaling": transforms.momentum_scaling(b3=0.5),
    "decay_stepped_weights": transforms.decay_stepped_weights(0.1),
    "blockwise_learning_rate": gradpow.blockwise_learning_rate(),
    "low_precision_state": gradpow.low_precision_state(optax.scale_by_adam()),
    "monitored": metrics.monitored(
        optax.identity(), {"largest": metrics.largest_update, "spike": metrics.spike_detector()}
    ),
    "gradpower": gradpow.gradpower(optax.lion(1e-3)),
    "adampower": gradpow.adampower(1e-3),
    "adagradpower": gradpow.adagradpower(1e-3),
    "sgdpower": gradpow.sgdpower(1e-3, 0.5, momentum=0.9),
    "muonpower": gradpow.muonpower(1e-3),
    "s3": gradpow.s3(1e-3),
    "stacey": gradpow.stacey(1e-3),
    "lp_descent": gradpow.lp_descent(1e-3, 3.0),
    "ams": gradpow.ams(1e-3, b3=0.5, weight_decay=0.1),
    "grams": gradpow.grams(1e-3, weight_decay=0.1),
    "cautious": gradpow.cautious(optax.sgd(1e-3, momentum=0.9), b3=0.5),
    "cautious_adam": gradpow.cautious_adam(1e-3, weight_decay=0.1),
    "cautious_lion": gradpow.cautious_lion(1e-3, weight_decay=0.1),
}
# The fields of optax's states, which optax does not describe.
OPTAX = {
    "count": "steps taken",
    "mu": "average of what enters it",
    "nu": "average of its squares",
    "ns_coeffs": "coefficients of the Newton-Schulz iteration",
    "sum_of_squares": "sum of the squares of what enters it",
    "trace": "accumulator of the momentum",
}


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


def states() -> str:
    """A row for each field of each state."""
    rows = []
    for name, tx in STATES.items():
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
