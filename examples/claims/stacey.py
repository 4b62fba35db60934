"""The claims of STACEY."""

import numpy as np

from .. import tuning
from ..problems import images, language
from ..sweep import Problem
from .lab import Arm, Lab

# All three variants begin at the same grid size as every baseline.
GRIDS = {
    "sgd": (3e-2, 1e-1, 3e-1),
    "adam": (1e-3, 3e-3, 1e-2),
    "adamw": tuning.GRIDS["adamw"],
    "lion": (3e-4, 1e-3, 3e-3),
    "stacey": tuning.GRIDS["stacey"],
    "stacey_pp": (1e-2, 3e-2, 1e-1),
    "stacey_2p": (3e-1, 1e0, 3e0),
}
LABELS = {
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "lion": "Lion",
    "stacey": "STACEY(p,2)",
    "stacey_pp": "STACEY(p,p)",
    "stacey_2p": "STACEY(2,p)",
}
BASELINES = ("sgd", "adam", "adamw", "lion")


def _train_all(lab: Lab, problem: Problem, steps: int) -> tuple[dict[str, Arm], dict[str, float]]:
    """Each optimizer at its best rate, and their rates."""
    arms, rates = {}, {}
    for name, grid in GRIDS.items():
        sweep = lab.sweep(problem, name, steps)
        rates[name] = lab.tune(LABELS[name], sweep, grid)
        arms[name] = lab.train(LABELS[name], sweep, rate=rates[name])
    return arms, rates


def stacey_text(lab: Lab) -> None:
    """STACEY on text: its variants against SGD, Adam, AdamW and Lion, p, and z_0."""
    text, steps = language(), 150
    arms, rates = _train_all(lab, text, steps)
    for variant in ("stacey", "stacey_pp", "stacey_2p"):
        for base in BASELINES:
            lab.claim(
                f"{LABELS[variant]} ends below {LABELS[base]}",
                arms[variant].loss - arms[base].loss,
                source="Figure 4",
                paper="below all",
            )
    powers = lab.sweep(text, "stacey", steps)
    by_p = {p: lab.train(f"p = {p:g}", powers, rate=rates["stacey"], p=p) for p in (2.0, 3.0, 4.0)}
    for p in (2.0, 4.0):
        lab.claim(
            f"p = 3 ends below p = {p:g}, at the rate that is best for 2.8",
            by_p[3.0].loss - by_p[p].loss,
            source="Figure 5",
            paper="3 is best",
        )
    zeros = lab.train(
        "z_0 = 0", lab.sweep(text, "stacey", steps, mirror_init="zeros"), rate=rates["stacey"]
    )
    lab.claim(
        "z_0 = theta_0, as in the authors' code, ends below z_0 = 0",
        arms["stacey"].loss - zeros.loss,
        source="Algorithm 2",
        paper="not said",
    )


def stacey_images(lab: Lab) -> None:
    """STACEY on images: its variants against SGD, Adam, AdamW and Lion, at three times, and p."""
    digits, steps = images("resnet10-digits"), 100
    arms, rates = _train_all(lab, digits, steps)
    best = {  # of the four baselines, seed by seed
        "training": np.min([arms[name].training for name in BASELINES], axis=0),
        "accuracy": np.max([arms[name].measured["accuracy"] for name in BASELINES], axis=0),
    }
    when = {"a quarter": 0, "half": 1, "the end": 3}
    paper = {
        "stacey": ("0.0375 against 0.0410", "0.0104 against 0.0199", "0.0005 against 0.0103"),
        "stacey_pp": ("0.1438 against 0.0410", "0.0405 against 0.0199", "0.0006 against 0.0103"),
        "stacey_2p": ("0.1017 against 0.0410", "0.0365 against 0.0199", "0.0083 against 0.0103"),
    }
    for name, figures in paper.items():
        for (place, quarter), figure in zip(when.items(), figures, strict=True):
            below = float(figure.split()[0]) < float(figure.split()[-1])
            sign = 1 if below else -1
            lab.claim(
                f"{LABELS[name]}'s training loss is {'below' if below else 'above'} the best "
                f"baseline's at {place}",
                sign * (arms[name].training[quarter] - best["training"][quarter]),
                source="Tables 1, 3",
                paper=figure,
            )
        lab.claim(
            f"{LABELS[name]} ends above the best baseline in test accuracy",
            best["accuracy"][-1] - arms[name].measured["accuracy"][-1],
            source="Tables 1, 3",
            paper={"stacey": "93.99", "stacey_pp": "94.05", "stacey_2p": "93.55"}[name]
            + "% against 92.69%",
            unit="of 1",
        )
    powers = lab.sweep(digits, "stacey", steps)
    by_p = {p: lab.train(f"p = {p:g}", powers, rate=rates["stacey"], p=p) for p in (2.0, 3.0)}
    lab.claim(
        "p = 2 ends below p = 3 in training loss, at the rate that is best for 2.8",
        by_p[2.0].training[-1] - by_p[3.0].training[-1],
        source="Figure 2",
        paper="2 is best",
    )


STUDIES = {"stacey-text": stacey_text, "stacey-images": stacey_images}
