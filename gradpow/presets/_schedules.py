"""Learning rates of the papers' presets, by the name of their kind."""

import optax

from gradpow.schedules import warmup_stable_decay


def make_schedule(
    kind: str, peak: float, *, steps: int, warmup: int, final_fraction: float
) -> optax.Schedule:
    r"""A learning rate as the papers have it: linear warm-up, then constant or down by ``kind``.

    With W, T the steps of warm-up and in all, e the final fraction and s = (t - W) / (T - W), the
    rate is eta t / W before step W, and from there on

    .. math::
      \eta_t = \eta \begin{cases}
        e + (1 - e)\, (1 + \cos \pi s) / 2 & \text{cosine} \\
        1 - (1 - e)\, s & \text{linear} \\
        1 & \text{constant}
      \end{cases}

    "wsd" is :func:`gradpow.schedules.warmup_stable_decay`, constant up to 80% of the steps.

    Args:
      kind: "cosine", "linear", "constant" or "wsd".
      peak: eta, >= 0.
      steps: T.
      warmup: W, at least 0 and below T.
      final_fraction: e, in [0, 1]; "constant" has no use for it.

    Returns:
      A schedule: a function from the step count to the rate.

    Raises:
      ValueError: if there is no such kind, or no room for the warm-up.

    Examples:
      >>> from gradpow.presets import make_schedule
      >>> rate = make_schedule("linear", 1.0, steps=110, warmup=10, final_fraction=0.5)
      >>> [float(rate(step)) for step in (0, 5, 10, 60, 110)]
      [0.0, 0.5, 1.0, 0.75, 0.5]

    References:
      Wang et al. (2025), Section 3.1; Peng et al. (2025), Section VI-A; AMS authors (2025),
      Appendix F.
    """
    if not 0 <= warmup < steps:
        raise ValueError(f"warmup must be at least 0 and below steps {steps}, not {warmup}")
    if kind == "wsd":
        if warmup > 0.8 * steps:
            raise ValueError(f"schedule wsd decays from 80% of steps {steps}: lower warmup")
        return warmup_stable_decay(peak, steps, warmup, end_factor=final_fraction)
    after = {
        "cosine": optax.cosine_decay_schedule(peak, steps - warmup, final_fraction),
        "linear": optax.linear_schedule(peak, final_fraction * peak, steps - warmup),
        "constant": optax.constant_schedule(peak),
    }
    if kind not in after:
        raise ValueError(f"schedule must be {', '.join(after)} or wsd, not {kind!r}")
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), after[kind]], [warmup])
