"""One label and one look for each optimizer, in every table and picture."""

from typing import NamedTuple

from matplotlib.axes import Axes


class Look(NamedTuple):
    label: str
    color: str
    dash: str = "-"


# Colours of Okabe and Ito's palette and Tol's, which colour-blind people can tell apart; dashed
# lines are what people use already.
LOOKS = {
    "adamw": Look("AdamW", "#444444", "--"),
    "adampower": Look("AdamPower", "#0072B2"),
    "s3": Look("S3", "#D55E00"),
    "stacey": Look("STACEY", "#009E73"),
    "grams": Look("Grams", "#CC79A7"),
    "cautious_adam": Look("Cautious Adam", "#E69F00"),
    "cautious_lion": Look("Cautious Lion", "#56B4E9"),
    "lion": Look("Lion", "#56B4E9", "--"),
    "muon": Look("Muon", "#882255", "--"),
    "muonpower": Look("MuonPower", "#882255"),
}


def clean(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", lw=0.6)
