"""The claims of STACEY."""

from collections.abc import Callable

import numpy as np

from ..problems import images, language
from ..style import look
from ..sweep import Problem
from ..tuning import grid
from .lab import Arm, Lab

BASELINES = ("sgd", "adam", "adamw", "lion")
VARIANTS = ("stacey", "stacey_pp", "stacey_2p")
LABELS = {name: look(name).label for name in (*BASELINES, *VARIANTS)} | {"stacey": "STACEY(p,2)"}
LION = (3e-4, 1e-3, 3e-3)  # the paper's baseline: lower than where `compare` begins
TEXT_STEPS, IMAGES, IMAGE_STEPS = 150, "resnet10-digits", 100


def _train_all(lab: Lab, problem: Problem, steps: int) -> dict[str, Arm]:
    """Each optimizer at its best rate."""
    arms = {}
    for name in LABELS:
        sweep = lab.sweep(problem, name, steps)
        rate = lab.tune(LABELS[name], sweep, LION if name == "lion" else grid(name))
        arms[name] = lab.train(LABELS[name], sweep, rate=rate)
    return arms


def stacey_text(lab: Lab) -> None:
    """STACEY on text: its variants against SGD, Adam, AdamW and Lion."""
    arms = _train_all(lab, language(), TEXT_STEPS)
    for variant in VARIANTS:
        for base in BASELINES:
            lab.claim(
                f"{LABELS[variant]} ends below {LABELS[base]}",
                arms[variant].loss - arms[base].loss,
                source="Figure 4",
                paper="below all",
            )


def stacey_images(lab: Lab) -> None:
    """STACEY on images: its variants against the best of SGD, Adam, AdamW and Lion, over time."""
    arms = _train_all(lab, images(IMAGES), IMAGE_STEPS)
    when = {"a quarter": 0, "half": 1, "the end": 3}
    paper = {
        "stacey": ("0.0375 against 0.0410", "0.0104 against 0.0199", "0.0005 against 0.0103"),
        "stacey_pp": ("0.1438 against 0.0410", "0.0405 against 0.0199", "0.0006 against 0.0103"),
        "stacey_2p": ("0.1017 against 0.0410", "0.0365 against 0.0199", "0.0083 against 0.0103"),
    }
    accuracy = {"stacey": "93.99", "stacey_pp": "94.05", "stacey_2p": "93.55"}

    def best(measure: Callable[[Arm], np.ndarray]) -> np.ndarray:
        """Of the baseline whose mean over the seeds is lowest, as the paper's tables compare."""
        return min((measure(arms[name]) for name in BASELINES), key=np.mean)

    for name, figures in paper.items():
        for (place, quarter), figure in zip(when.items(), figures, strict=True):
            below = float(figure.split()[0]) < float(figure.split()[-1])
            loss = best(lambda arm, quarter=quarter: arm.training[quarter])
            lab.claim(
                f"{LABELS[name]}'s training loss is {'below' if below else 'above'} the best "
                f"baseline's at {place}",
                (1 if below else -1) * (arms[name].training[quarter] - loss),
                source="Tables 1, 3",
                paper=figure,
            )
        error = best(lambda arm: 1 - arm.measured["accuracy"][-1])
        lab.claim(
            f"{LABELS[name]} ends above the best baseline in test accuracy",
            1 - arms[name].measured["accuracy"][-1] - error,
            source="Tables 1, 3",
            paper=f"{accuracy[name]}% against 92.69%",
            unit="of 1",
        )


def stacey_parts(lab: Lab) -> None:
    """STACEY(p,2)'s p on text and images, and its z_0."""
    text, digits = language(), images(IMAGES)
    sweep = lab.sweep(text, "stacey", TEXT_STEPS)
    rate = lab.tune("text", sweep, grid("stacey"))
    by_p = {p: lab.train(f"text, p = {p:g}", sweep, rate=rate, p=p) for p in (2.0, 2.8, 3.0, 4.0)}
    for p in (2.0, 4.0):
        lab.claim(
            f"on text, p = 3 ends below p = {p:g}, at the rate that is best for 2.8",
            by_p[3.0].loss - by_p[p].loss,
            source="Figure 5",
            paper="3 is best",
        )
    zeros = lab.sweep(text, "stacey", TEXT_STEPS, mirror_init="zeros")
    lab.claim(
        "z_0 = theta_0, as in the authors' code, ends below z_0 = 0",
        by_p[2.8].loss - lab.train("text, z_0 = 0", zeros, rate=rate).loss,
        source="Algorithm 2",
        paper="not said",
    )
    sweep = lab.sweep(digits, "stacey", IMAGE_STEPS)
    rate = lab.tune("images", sweep, grid("stacey"))
    by_p = {p: lab.train(f"images, p = {p:g}", sweep, rate=rate, p=p) for p in (2.0, 3.0)}
    lab.claim(
        "on images, p = 2 ends below p = 3 in training loss, at the rate that is best for 2.8",
        by_p[2.0].training[-1] - by_p[3.0].training[-1],
        source="Figure 2",
        paper="2 is best",
    )


STUDIES = {
    "stacey-text": stacey_text,
    "stacey-images": stacey_images,
    "stacey-parts": stacey_parts,
}
