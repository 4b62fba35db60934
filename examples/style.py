"""One label and one look for each optimizer, in every table and picture."""

import zlib
from typing import NamedTuple

from matplotlib.axes import Axes

import gradpow


class Look(NamedTuple):
    label: str
    color: str
    dash: str = "-"


# What stands beside each other in our pictures gets a colour that is far from the others', of Okabe
# and Ito's palette and Tol's, which colour-blind people can tell apart. Dashed lines are what
# people use already.
_CHOSEN = {
    "adamw": ("#444444", "--"),
    "adam": ("#444444", "--"),
    "sgd": ("#999999", "--"),
    "lion": ("#56B4E9", "--"),
    "muon": ("#882255", "--"),
    "adampower": ("#0072B2", "-"),
    "ams": ("#8C564B", "-"),
    "s3": ("#D55E00", "-"),
    "stacey": ("#009E73", "-"),
    "grams": ("#CC79A7", "-"),
    "cautious_adam": ("#E69F00", "-"),
    "cautious_lion": ("#56B4E9", "-"),
    "muonpower": ("#882255", "-"),
}
# Of all others, by their names: Tol's "muted" without its two palest.
_PALETTE = ("#332288", "#44AA99", "#117733", "#999933", "#CC6677", "#AA4499")
# What the catalog does not have: the variants of `gradpow.presets`.
_LABELS = {
    "muon": "Muon",
    "cautious_muon": "Cautious Muon",
    "gradpower_lion": "GradPower(Lion)",
    "stacey_pp": "STACEY(p,p)",
    "stacey_2p": "STACEY(2,p)",
}


def look(name: str) -> Look:
    """The method's title in the catalog, its chosen colour or one that its name decides."""
    titles = {entry.name: entry.titles[0] for entry in gradpow.atlas()} | _LABELS
    others = (_PALETTE[zlib.crc32(name.encode()) % len(_PALETTE)], "-")
    return Look(titles.get(name, name), *_CHOSEN.get(name, others))


def clean(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", lw=0.6)
