"""The claims of AMS/Grams: Decoupling Sign and Magnitude with Adaptive Momentum Scaling."""

from ..problems import images, language
from ..tuning import grid
from .lab import Lab

NAMES = {1.0: "Adam", 0.5: "AMS(0.5)", 0.0: "cautious Adam", -0.5: "AMS(-0.5)", -1.0: "Grams"}


def _label(scale: float) -> str:
    return f"lambda = {scale:g} ({NAMES[scale]})"


def ams_text(lab: Lab) -> None:
    """AMS on text: lambda 1, 0 and -1 at Adam's rate, and Grams against Lion."""
    text, steps = language(), 250
    ams = lab.sweep(text, "ams", steps)
    rate = lab.tune("Adam", lab.sweep(text, "ams", steps, negative_scale=1.0), grid("adamw"))
    arms = {
        scale: lab.train(_label(scale), ams, rate=rate, negative_scale=scale)
        for scale in (1.0, 0.0, -1.0)
    }
    lion = lab.sweep(text, "lion", steps)
    lion_rate = lab.tune("Lion", lion, (3e-4, 1e-3, 3e-3))
    lion_arm = lab.train("Lion", lion, rate=lion_rate)
    for a, b, paper in (
        (0.0, 1.0, "43.21 against 49.83 perplexity"),
        (-1.0, 0.0, "38.60 against 43.21 perplexity"),
        (-1.0, 1.0, "38.60 against 49.83 perplexity"),
    ):
        lab.claim(
            f"{_label(a)} ends below {_label(b)}",
            arms[a].loss - arms[b].loss,
            source="Table 1",
            paper=paper,
        )
    lab.claim(
        "Grams ends below Lion",
        arms[-1.0].loss - lion_arm.loss,
        source="Table 1",
        paper="38.60 against 50.25 perplexity",
    )


def ams_images(lab: Lab) -> None:
    """AMS on images: lambda from 1 to -1 at Adam's rate."""
    digits, steps = images("resnet10-digits"), 100
    ams = lab.sweep(digits, "ams", steps, b2=0.999)
    rate = lab.tune("Adam", lab.sweep(digits, "ams", steps, b2=0.999, negative_scale=1.0),
                    grid("adamw"))  # fmt: skip
    arms = {
        scale: lab.train(_label(scale), ams, rate=rate, negative_scale=scale) for scale in NAMES
    }
    accuracy = {1.0: "87.56", 0.5: "88.10", 0.0: "88.78", -0.5: "89.34", -1.0: "90.55"}
    scales = list(NAMES)
    for a, b in [*zip(scales[1:], scales, strict=False), (-1.0, 1.0)]:
        lab.claim(
            f"{_label(a)} ends below {_label(b)} (test loss)",
            arms[a].loss - arms[b].loss,
            source="Table 1",
            paper=f"{accuracy[a]} against {accuracy[b]}% accuracy",
        )


def vae(lab: Lab) -> None:
    """Adam, cautious Adam and Grams on an autoencoder, at four corners of (beta_1, beta_2)."""
    ams = lab.sweep(images("vae-digits"), "ams", 500)
    for b1 in (0.9, 0.95):
        for b2 in (0.99, 0.999):
            betas = {"b1": b1, "b2": b2}
            arms = {
                scale: lab.train(
                    f"{NAMES[scale]}, betas {b1}, {b2}",
                    ams,
                    rate=3e-3,
                    negative_scale=scale,
                    **betas,
                )
                for scale in (1.0, 0.0, -1.0)
            }
            for other in (1.0, 0.0):
                lab.claim(
                    f"betas {b1}, {b2}: Grams' squared error is below {NAMES[other]}'s",
                    arms[-1.0].measured["mse"][-1] - arms[other].measured["mse"][-1],
                    source="Figure 2",
                    paper="lowest everywhere",
                    unit="a pixel",
                )


STUDIES = {"ams-text": ams_text, "ams-images": ams_images, "vae": vae}
