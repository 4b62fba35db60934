"""The claims of SoftSignSGD (S3)."""

import optax

import gradpow
from gradpow.transforms import nesterov_pmoment, p_norm_scale

from ..problems import images, language
from ..tuning import grid
from .lab import Lab

STEPS = 250


def _clipped_adamw(rate, weight_decay, mask, b2):
    """AdamW whose update is clipped to [-1, 1] before the rate (Section VI-F)."""
    return optax.chain(
        optax.scale_by_adam(b1=0.9, b2=b2, eps=1e-8),
        optax.clip(1.0),
        optax.add_decayed_weights(weight_decay, mask),
        optax.scale_by_learning_rate(rate),
    )


def _without_nesterov(rate, weight_decay, mask, b1, b2, p):
    """S3 without its Nesterov pair: an average of the gradient over one of its p-norm."""
    return gradpow.chain(
        optax.ema(b1, debias=False),
        p_norm_scale(b2, p, nesterov=False),
        optax.add_decayed_weights(weight_decay, mask),
        optax.scale_by_learning_rate(rate),
    )


def _two_averages(rate, weight_decay, mask, b1, b2, p):
    """S3 with averages of different lengths."""
    return gradpow.chain(
        nesterov_pmoment(b1),
        p_norm_scale(b2, p),
        optax.add_decayed_weights(weight_decay, mask),
        optax.scale_by_learning_rate(rate),
    )


def s3_rates(lab: Lab) -> None:
    """S3 and AdamW at 1, 3 and 10 times AdamW's rate, and loss spikes."""
    text = language()
    adam, s3 = lab.sweep(text, "adamw", STEPS), lab.sweep(text, "s3", STEPS, clip=0.0)
    clipped = lab.sweep(text, _clipped_adamw, STEPS)
    rate = lab.tune("AdamW", adam, grid("adamw"))
    times = (1, 3, 10)
    adamw = {n: lab.train(f"AdamW at {n}x", adam, rate=n * rate) for n in times}
    ours = {n: lab.train(f"S3 at {n}x", s3, rate=n * rate) for n in times}
    held = lab.train("AdamW, clipped, at 10x", clipped, rate=10 * rate, b2=0.95)
    equal = lab.train("AdamW, equal betas, at 10x", clipped, rate=10 * rate, b2=0.9)
    lab.claim(
        "S3 at 10 times the rate ends below AdamW",
        ours[10].loss - adamw[1].loss,
        source="Table II",
        paper="4.59 against 4.78 perplexity (345M)",
    )
    lab.claim(
        "S3 at 3 times the rate ends below AdamW",
        ours[3].loss - adamw[1].loss,
        source="Table IV",
        paper="4.64 against 4.78 perplexity (345M), p = 2",
    )
    lab.claim(
        "S3 loses less than AdamW from a rate 10 times as high",
        (ours[10].loss - ours[1].loss) - (adamw[10].loss - adamw[1].loss),
        source="Figure 10",
        paper="AdamW diverges at 10 times its rate",
    )
    lab.claim(
        "S3 has fewer loss spikes than AdamW at 10 times the rate",
        ours[10].spikes - adamw[10].spikes,
        source="Section VI-C",
        paper="frequent against rare",
        unit="spikes",
    )
    lab.claim(
        "AdamW has more spikes at 10 times its rate",
        adamw[1].spikes - adamw[10].spikes,
        source="Figure 10",
        paper="more",
        unit="spikes",
    )
    lab.claim(
        "clipping AdamW's update to 1 lowers its loss at 10 times the rate",
        held.loss - adamw[10].loss,
        source="Figure 10",
        paper="fewer spikes",
    )
    lab.claim(
        "equal betas end below clipping alone at 10 times the rate",
        equal.loss - held.loss,
        source="Figure 10",
        paper="no spikes at all",
    )


def s3_ablation(lab: Lab) -> None:
    """S3's parts on text: rate, equal averages, Nesterov, p."""
    text = language()
    adam = lab.sweep(text, "adamw", STEPS)
    rate = lab.tune("AdamW", adam, grid("adamw"))
    plain = lab.sweep(text, _without_nesterov, STEPS, clip=0.0)
    s3 = lab.sweep(text, "s3", STEPS, clip=0.0)
    same = {"b1": 0.95, "b2": 0.95, "p": 2.0}
    arms = {
        1: lab.train("1: AdamW", adam, rate=rate),
        2: lab.train("2: AdamW at 3.3x", adam, rate=3.3 * rate),
        3: lab.train("3: same beta", plain, rate=rate, **same),
        4: lab.train("4: same beta at 3.3x", plain, rate=3.3 * rate, **same),
        5: lab.train("5: with Nesterov at 3.3x", s3, rate=3.3 * rate, b=0.95, p=2.0),
        6: lab.train("6: with p = 3 at 10x", s3, rate=10 * rate, b=0.95, p=3.0),
    }
    ladder = {
        (2, 1): ("a rate 3.3 times as high alone raises AdamW's loss", "4.97 against 4.78", -1),
        (3, 1): ("equal averages alone lower the loss", "4.77 against 4.78", 1),
        (4, 3): ("with equal averages, the higher rate lowers it", "4.67 against 4.77", 1),
        (5, 4): ("Nesterov's pair lowers it", "4.64 against 4.67", 1),
        (6, 5): ("p = 3 at 10 times the rate lowers it further", "4.60 against 4.64", 1),
        (6, 1): ("all of it ends below AdamW", "4.60 against 4.78", 1),
    }
    for (a, b), (said, figures, sign) in ladder.items():
        difference = sign * (arms[a].loss - arms[b].loss)
        lab.claim(said, difference, source="Table IV", paper=f"{figures} perplexity")
    shorter = lab.train("5 with beta = 0.9", s3, rate=3.3 * rate, b=0.9, p=2.0)
    lab.claim(
        "beta = 0.95 ends below 0.9",
        arms[5].loss - shorter.loss,
        source="Figure 9 (ViT)",
        paper="0.95 is best",
    )


def s3_ablation_images(lab: Lab) -> None:
    """S3's parts on images: rate, equal averages, Nesterov, p."""
    vit, steps = images("vit-digits"), 200
    adam = lab.sweep(vit, "adamw", steps, b2=0.999)
    rate = lab.tune("AdamW", adam, grid("adamw"))
    plain = lab.sweep(vit, _without_nesterov, steps, clip=0.0)
    pair = lab.sweep(vit, _two_averages, steps, clip=0.0)
    same, different = {"b1": 0.95, "b2": 0.95}, {"b1": 0.9, "b2": 0.999}
    arms = {
        1: lab.train("1: AdamW", adam, rate=rate),
        2: lab.train("2: AdamW at 2x", adam, rate=2 * rate),
        3: lab.train("3: same beta", plain, rate=rate, p=2.0, **same),
        4: lab.train("4: Nesterov", pair, rate=rate, p=2.0, **different),
        5: lab.train("5: p = 3", plain, rate=rate, p=3.0, **different),
        6: lab.train("6: same beta at 2x", plain, rate=2 * rate, p=2.0, **same),
        7: lab.train("7: same beta, Nesterov at 2x", pair, rate=2 * rate, p=2.0, **same),
        8: lab.train("8: p = 3 at 2x", plain, rate=2 * rate, p=3.0, **different),
        9: lab.train("9: same beta, p = 3 at 2x", plain, rate=2 * rate, p=3.0, **same),
        10: lab.train("10: S3 at 2x", pair, rate=2 * rate, p=3.0, **same),
    }
    ladder = {
        (2, 1): ("twice the rate alone does not help AdamW", "79.45 against 79.52", -1),
        (3, 1): ("equal averages alone do not help", "79.48 against 79.52", -1),
        (4, 1): ("Nesterov's pair helps", "80.17 against 79.52", 1),
        (5, 1): ("p = 3 helps", "79.74 against 79.52", 1),
        (6, 3): ("with equal averages, twice the rate helps", "80.25 against 79.48", 1),
        (7, 6): ("Nesterov's pair helps there too", "80.82 against 80.25", 1),
        (9, 8): ("with p = 3, equal averages help", "80.31 against 79.98", 1),
        (10, 7): ("p = 3 helps there too", "80.93 against 80.82", 1),
        (10, 1): ("all of it ends below AdamW", "80.93 against 79.52", 1),
    }
    for (a, b), (said, figures, sign) in ladder.items():
        lab.claim(
            f"{said} (test loss)",
            sign * (arms[a].loss - arms[b].loss),
            source="Table III",
            paper=f"{figures}% accuracy",
        )


STUDIES = {
    "s3-rates": s3_rates,
    "s3-ablation": s3_ablation,
    "s3-ablation-images": s3_ablation_images,
}
