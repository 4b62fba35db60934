"""Schedules that optax has not, and the rule that carries a decay to another rate."""

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Scalar, check, step_number

__all__ = ["ademamix_alpha", "ademamix_b3", "matched_weight_decay", "warmup_stable_decay"]


def warmup_stable_decay(
    peak_value: Scalar,
    total_steps: int,
    warmup_steps: int = 1000,
    stable_fraction: float = 0.8,
    init_value: Scalar = 0.0,
    end_factor: Scalar = 0.1,
) -> optax.Schedule:
    r"""The warm-up, stable, decay schedule (wsd) of GradPower's experiments.

    Linear from init_value to peak_value over warmup_steps, constant until stable_fraction of
    total_steps, then linear to end_factor * peak_value at total_steps, and constant after that.
    With W, T the steps of warm-up and in all, s the stable fraction, e the end factor:

    .. math::
      \eta_t = \begin{cases}
        \eta_0 + (\eta - \eta_0)\, t / W & t < W \\
        \eta & W \le t < s T \\
        \eta \bigl(1 - (1 - e)(t - s T) / (T - s T)\bigr) & s T \le t < T \\
        e\, \eta & T \le t
      \end{cases}

    Args:
      peak_value: the rate of the stable phase, >= 0.
      total_steps: the length of the whole schedule, in steps.
      warmup_steps: the length of the warm-up, in steps, >= 0. Default from Appendix B.1.
      stable_fraction: the fraction of total_steps at which the decay starts, in [0, 1]. Default
        from Section 3.1: up to 80% of the training.
      init_value: the rate at step 0, >= 0.
      end_factor: the last rate over peak_value, in [0, 1]. Default from Appendix B.1.

    Returns:
      A schedule: a function from the step count to the rate.

    Raises:
      ValueError: if a number lies outside its range, or the warm-up does not end before the decay
        starts and that before total_steps.

    Examples:
      >>> from gradpow.schedules import warmup_stable_decay
      >>> rate = warmup_stable_decay(1.0, total_steps=100, warmup_steps=10)
      >>> [round(float(rate(step)), 2) for step in (0, 5, 10, 80, 90, 100, 200)]
      [0.0, 0.5, 1.0, 1.0, 0.55, 0.1, 0.1]

    References:
      Wang et al. (2025), Section 3.1 and Appendix B; Hu et al. (2024).
    """
    check("finite and >= 0", peak_value=peak_value, init_value=init_value)
    check("in [0, 1]", stable_fraction=stable_fraction, end_factor=end_factor)
    decay_start = round(stable_fraction * total_steps)
    if not 0 <= warmup_steps <= decay_start < total_steps:
        raise ValueError(
            "the warm-up must end before the decay starts, and that before total_steps: got "
            f"warmup_steps = {warmup_steps}, decay from step {decay_start} (stable_fraction = "
            f"{stable_fraction}), total_steps = {total_steps}. Shorten warmup_steps."
        )
    return optax.join_schedules(
        [
            optax.linear_schedule(init_value, peak_value, warmup_steps),
            optax.constant_schedule(peak_value),
            optax.linear_schedule(peak_value, end_factor * peak_value, total_steps - decay_start),
        ],
        boundaries=[warmup_steps, decay_start],
    )


def ademamix_alpha(alpha: Scalar, steps: Scalar) -> optax.Schedule:
    r"""The warm-up of AdEMAMix's weight of the slow average: linear, then constant.

    .. math::
      \alpha_t = \alpha \min(t / T, 1), \qquad t = 1, 2, \dots

    Args:
      alpha: the weight at the end, >= 0.
      steps: T, >= 1; in the paper the length of the training.

    Returns:
      A schedule: a function from the count, which is 0 at t = 1, to the weight.

    Examples:
      >>> from gradpow.schedules import ademamix_alpha
      >>> [float(ademamix_alpha(5.0, steps=10)(count)) for count in (0, 4, 9, 50)]
      [0.5, 2.5, 5.0, 5.0]

    References:
      Pagliardini et al. (2024), Section 3.
    """
    check("finite and >= 0", alpha=alpha)
    check("finite and >= 1", steps=steps)
    return lambda count: alpha * _done(count, steps)


def ademamix_b3(b1: Scalar, b3: Scalar, steps: Scalar) -> optax.Schedule:
    r"""The warm-up of AdEMAMix's slow average: its time constant grows linearly.

    .. math::
      \frac{1}{\ln \beta_{3,t}} = \frac{1 - a_t}{\ln \beta_1} + \frac{a_t}{\ln \beta_3}, \qquad
      a_t = \min(t / T, 1), \quad t = 1, 2, \dots

    That is the paper's interpolation of half-lives, without the 1e-8 that the authors' code adds
    in its logarithms.

    Args:
      b1: where it starts, the weight of the past in the fast average, in [0, 1).
      b3: where it ends, in [0, 1).
      steps: T, >= 1; in the paper the length of the training.

    Returns:
      A schedule: a function from the count, which is 0 at t = 1, to b3.

    Examples:
      >>> from gradpow.schedules import ademamix_b3
      >>> [round(float(ademamix_b3(0.9, 0.9999, 100)(count)), 4) for count in (0, 49, 99)]
      [0.9909, 0.9998, 0.9999]

    References:
      Pagliardini et al. (2024), Section 3.
    """
    check("in [0, 1)", b1=b1, b3=b3)
    check("finite and >= 1", steps=steps)

    def schedule(count: jax.typing.ArrayLike) -> jax.Array:
        a = _done(count, steps)
        return jnp.exp(1 / ((1 - a) / jnp.log(b1) + a / jnp.log(b3)))

    return schedule


def _done(count: jax.typing.ArrayLike, steps: Scalar) -> jax.Array:
    """The share of the steps that is done after this one."""
    return jnp.minimum(step_number(count) / steps, 1)


def matched_weight_decay(adam_lr: Scalar, adam_weight_decay: Scalar, lr: Scalar) -> Scalar:
    r"""The weight decay at rate lr that shrinks the weights as AdamW does at its own.

    .. math::
      \lambda = \lambda_{Adam}\; \eta_{Adam} / \eta

    Decoupled decay takes eta * lambda of the weights at every step. S3 and Lion, whose rates differ
    from AdamW's by up to ten times, keep that product.

    Args:
      adam_lr: the peak learning rate tuned for AdamW, > 0.
      adam_weight_decay: AdamW's weight decay, >= 0.
      lr: the peak learning rate of the other optimizer, > 0.

    Returns:
      The other optimizer's weight decay.

    Examples:
      >>> import gradpow
      >>> gradpow.matched_weight_decay(adam_lr=0.25, adam_weight_decay=0.5, lr=1.0)
      0.125

    References:
      Peng et al. (2025), the appendix on hyper-parameters; Chen et al. (2023), Section 5.
    """
    check("finite and > 0", adam_lr=adam_lr, lr=lr)
    check("finite and >= 0", adam_weight_decay=adam_weight_decay)
    return adam_lr * adam_weight_decay / lr
