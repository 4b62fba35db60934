"""The tables of the site that are read from the library."""

from gradpow import presets


def settings() -> str:
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
            what = _numbers(setting, recipe)
            rows.append([preset, batch, who, f"{recipe.learning_rate:g}", what, schedule, source])
            about = ["", "", "", ""]
    heads = ["preset", "batch", "optimizer", "rate", "settings", "schedule", "source"]
    return _table(heads, rows)


def optimizers() -> str:
    """A row for each optimizer: its own hyper-parameters."""
    return _table(
        ["optimizer", "hyper-parameters"],
        [[f"`{name}`", _shown(entry.hyper)] for name, entry in presets.OPTIMIZERS.items()],
    )


def _batch(setting: presets.Setting) -> str:
    length = setting.sequence_length
    return f"{setting.batch_size:,} x {length:,}" if length else f"{setting.batch_size:,}"


def _schedule(setting: presets.Setting) -> str:
    end = "" if setting.schedule == "constant" else f" to {setting.final_fraction:g}"
    steps = f"{setting.steps:,} steps" if setting.steps else "20 tokens a parameter"
    return f"{setting.schedule}{end}, {steps}, {setting.warmup:,} of warm-up"


def _numbers(setting: presets.Setting, recipe: presets.Recipe) -> str:
    clip = setting.clip if recipe.clip is None else recipe.clip
    numbers = _shown({**recipe.hyper, "decay": recipe.weight_decay})
    note = f"; *{recipe.note}*" if recipe.note else ""
    return f"{numbers}, {f'clip {clip:g}' if clip else 'no clipping'}{note}"


def _shown(numbers: dict[str, float]) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in numbers.items())


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
