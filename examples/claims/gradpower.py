"""The claims of GradPower: Powering Gradients for Faster Language Model Pre-Training."""

import numpy as np
import optax

import gradpow
from gradpow.transforms import sign_power

from ..problems import images, language
from ..sweep import Problem
from ..tuning import grid
from .lab import Lab

STEPS = 250
POWERS = (0.8, 1.0, 1.2, 1.4)


def _blockwise(rate, weight_decay, mask, p):
    tx = gradpow.adampower(rate, p, weight_decay=weight_decay, mask=mask)
    return optax.chain(tx, gradpow.blockwise_learning_rate())


def _power_then_clip(rate, weight_decay, mask, p):
    return optax.chain(
        sign_power(p),
        optax.clip_by_global_norm(1.0),
        optax.adamw(rate, 0.9, 0.95, 1e-8, weight_decay=weight_decay, mask=mask),
    )


def adampower(lab: Lab) -> None:
    """AdamPower against AdamW at AdamW's rate, and with blockwise rates."""
    text = language()
    adam = lab.sweep(text, "adamw", STEPS)
    rate = lab.tune("AdamW", adam, grid("adamw"))
    adamw = lab.train("AdamW", adam, rate=rate)
    lower = lab.train("AdamW at 0.94 of the rate", adam, rate=0.94 * rate)
    power = lab.train("AdamPower", lab.sweep(text, "adampower", STEPS), rate=rate)
    blocks = lab.sweep(text, _blockwise, STEPS)
    adamw_blocks = lab.train("AdamW, blockwise", blocks, rate=rate, p=1.0)
    power_blocks = lab.train("AdamPower, blockwise", blocks, rate=rate, p=1.2)
    swapped = lab.train(
        "AdamPower, power before clipping",
        lab.sweep(text, _power_then_clip, STEPS, clip=0.0),
        rate=rate,
        p=1.2,
    )
    lab.claim(
        "AdamPower ends below AdamW",
        power.loss - adamw.loss,
        source="Table 5",
        paper="-0.017 (0.2B), -0.018 (0.4B), -0.021 (1B)",
    )
    lab.claim(
        "AdamPower ends below AdamW at 0.94 of the rate",
        power.loss - lower.loss,
        source="Table 5",
        paper="-0.003 (0.2B), -0.025 (0.4B), -0.022 (1B)",
    )
    lab.claim(
        "with blockwise rates AdamW ends lower",
        adamw_blocks.loss - adamw.loss,
        source="Section 3.4",
        paper="-0.3 as printed",
    )
    lab.claim(
        "with blockwise rates AdamPower ends below AdamW",
        power_blocks.loss - adamw_blocks.loss,
        source="Section 3.4",
        paper="-0.15 as printed, 0.45 less 0.3",
    )
    lab.claim(
        "power before or after clipping ends alike (within 0.01)",
        swapped.loss - power.loss,
        source="Figure 10",
        paper="nearly indistinguishable",
        within=0.01,
    )


def muonpower(lab: Lab) -> None:
    """Muon on powered gradients, p from 0.8 to 1.4."""
    sweep = lab.sweep(language(), "muonpower", STEPS)
    rate = lab.tune("Muon", lab.sweep(language(), "muon", STEPS), grid("muon"))
    arms = {p: lab.train(f"Muon, p = {p:g}", sweep, rate=rate, p=p) for p in POWERS}
    lab.claim(
        "MuonPower with p = 1.2 ends below Muon",
        arms[1.2].loss - arms[1.0].loss,
        source="Figure 5",
        paper="below",
    )
    for p in (0.8, 1.4):
        lab.claim(
            f"p = 1.2 ends below p = {p:g}",
            arms[1.2].loss - arms[p].loss,
            source="Section 3.1",
            paper="1.2 was tuned, for AdamPower",
        )


def _batch_sizes(lab: Lab, small: tuple[Problem, int], large: tuple[Problem, int]):
    """What a larger batch does to the best p, and to what p = 1.2 gains over 0.8, seed by seed.

    For a problem at two batch sizes, each with its number of steps, at the rate that is best for
    AdamW there.
    """
    best, gain = [], []
    for problem, steps in (small, large):
        batch = problem.about["batch"]
        rate = lab.tune(f"{batch}, AdamW", lab.sweep(problem, "adamw", steps), grid("adamw"))
        sweep = lab.sweep(problem, "adampower", steps)
        ends = {p: lab.train(f"{batch}, p = {p:g}", sweep, rate=rate, p=p).loss for p in POWERS}
        best.append(np.array(POWERS)[np.argmin(list(ends.values()), axis=0)])
        gain.append(ends[1.2] - ends[0.8])
    return best[1] - best[0], gain[0] - gain[1]


def batch_size_text(lab: Lab) -> None:
    """The best p against the batch size, on text."""
    shift, gain = _batch_sizes(lab, (language(batch_size=4), 300), (language(batch_size=32), 120))
    lab.claim(
        "the best p is smaller at the larger batch (32 against 4 sequences)",
        shift,
        source="Figure 6",
        paper="falls as the batch grows from 512 to 8192",
        unit="of p",
    )
    lab.claim(
        "what p = 1.2 gains over p = 0.8 shrinks as the batch grows",
        gain,
        source="Figure 6",
        paper="as above",
    )


def batch_size_images(lab: Lab) -> None:
    """The best p against the batch size, on images."""
    model = "resnet10-digits"
    shift, gain = _batch_sizes(lab, (images(model, 8), 200), (images(model, 64), 100))
    lab.claim(
        "the best p is smaller at the larger batch (64 against 8 images)",
        shift,
        source="Table 2",
        paper="0.8 at 128, 0.85 at 64, 1.0 at 32",
        unit="of p",
    )
    lab.claim(
        "what p = 1.2 gains over p = 0.8 shrinks as the batch grows (test loss)",
        gain,
        source="Table 2",
        paper="-1.20% accuracy at 128, -0.45% at 64, -0.19% at 32",
    )


STUDIES = {
    "adampower": adampower,
    "muonpower": muonpower,
    "batch-size-text": batch_size_text,
    "batch-size-images": batch_size_images,
}
