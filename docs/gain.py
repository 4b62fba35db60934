"""Draws gain.png, README's picture, from the table of comparison.md: `python docs/gain.py`."""

import json
import re
import sys
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))
from examples.style import look  # noqa: E402
from gradpow import presets  # noqa: E402

PICTURE = DOCS / "gain.png"
ROW = re.compile(r"^\| ([^|]+) \|(?:[^|]*\|){2} (\S+) \((\S+) to (\S+)\) \|", re.M)


def differences() -> dict[str, list[float]]:
    """Each optimizer's difference to AdamW with the ends of its interval, the best first."""
    rows = ROW.findall((DOCS / "comparison.md").read_text())
    found = {name: [float(number) for number in numbers] for name, *numbers in rows}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def drawn() -> dict[str, list[float]]:
    """What the kept picture shows."""
    with Image.open(PICTURE) as picture:
        return json.loads(picture.text["Description"])


def draw() -> None:
    found = differences()
    colors = dict(look(name)[:2] for name in presets.OPTIMIZERS)
    figure = Figure(figsize=(8, 3.4), dpi=200, layout="constrained")
    axes = figure.subplots()
    for row, (name, (mean, low, high)) in enumerate(found.items()):
        axes.barh(row, mean, color=colors[name], height=0.62)
        axes.plot([low, high], [row, row], color="#222222", lw=1.2)
        left = mean < 0
        axes.annotate(
            f"{mean:+.2f}".replace("-", "\N{MINUS SIGN}"),
            (low if left else high, row),
            xytext=(-4 if left else 4, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            size=10,
        )
    axes.set_yticks(range(len(found)), list(found), size=11)
    axes.axvline(0, color="#222222", lw=1)
    ends = [end for _, *interval in found.values() for end in interval]
    low, high = min(ends) - 0.08, max(ends) + 0.08
    axes.set_xlim(low, high)
    axes.invert_yaxis()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_title("Loss after 250 steps, compared with AdamW's", loc="left", size=12)
    better, worse = "better  \N{LEFTWARDS ARROW}", "\N{RIGHTWARDS ARROW}  worse"
    axes.set_xlabel(f"{better}  nats a byte  {worse}", x=-low / (high - low))
    figure.savefig(PICTURE, metadata={"Description": json.dumps(found)})


if __name__ == "__main__":
    draw()
