"""S3: how large one coordinate of an update can get (Theorems 1 and 2)."""

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Floats, checked, require

__all__ = ["adam_update_bound", "s3_update_bound"]


def adam_update_bound(
    b1: ArrayLike = 0.9, b2: ArrayLike = 0.999, t: ArrayLike | None = None
) -> Floats:
    r"""The largest size that one coordinate of Adam's update can have, before the learning rate.

    .. math::
        \frac{|m_t|}{\sqrt{v_t}} \le
        \frac{\sqrt{1 - \beta_2^t} \sqrt{1 - r^t}}{1 - \beta_1^t} \cdot
        \frac{1 - \beta_1}{\sqrt{1 - \beta_2} \sqrt{1 - r}}, \qquad r = \beta_1^2 / \beta_2,

    attained by gradients of one sign with :math:`|g_t| = (\beta_2 / \beta_1) |g_{t-1}|`. The first
    factor rises to 1, so the limit, after the paper's :math:`\simeq`, bounds every step as well.

    Args:
      b1: Decay of the first moment, in [0, 1); 0.9 is the paper's example.
      b2: Decay of the second moment, in [0, 1) and above ``b1**2``; 0.999 is the paper's.
      t: Step, a whole number from 1 on; None is the limit of many steps.

    Returns:
      The bound: 1 at the first step, and 1 at every step if the decays are equal.

    Raises:
      ValueError: If ``b1**2 >= b2``, where Theorem 1 does not apply and no limit exists.

    Examples:
      >>> from gradpow import theory
      >>> print(f"{theory.adam_update_bound():.2f} {theory.adam_update_bound(t=100):.2f}")
      7.27 2.24

    References:
      Peng et al. (2025), Theorem 1, eq. (3)
    """
    b1, b2 = checked(b1=b1, b2=b2)
    t = np.asarray(np.inf if t is None else t, dtype=np.float64)
    require("t", t, (t >= 1) & (t == np.floor(t)), "a whole number, from 1 on")
    gap = np.asarray(b2 - b1 * b1)
    require("b2 - b1**2", gap, gap > 0, "positive (Theorem 1); lower b1 or raise b2")
    with np.errstate(divide="ignore"):  # log(0) = -inf is what b1 = 0 needs
        log_b1, log_b2 = np.log(b1), np.log(b2)
    first, second, cross = (-np.expm1(t * x) for x in (log_b1, log_b2, 2 * log_b1 - log_b2))
    return np.sqrt(second * cross) / first * (1 - b1) / np.sqrt((1 - b2) * (gap / b2))


def s3_update_bound(b1: ArrayLike = 0.95, b2: ArrayLike = 0.95, p: ArrayLike = 3.0) -> Floats:
    r"""The bound on one coordinate of S3's update, were its two averages given their own decays.

    .. math::
        \frac{|n_t|}{b_t(p)} \le \frac{1 - \beta_1}{(1 - \beta_2)^{1/p} (1 - r)^{1/q}}, \qquad
        r = \beta_1^q / \beta_2^{q/p}, \qquad \frac{1}{p} + \frac{1}{q} = 1.

    The theorem does not define :math:`n_t` and :math:`b_t` for two decays; as in its proof,
    Algorithm 1's lines 4 and 6 have :math:`\beta_1` here, lines 5 and 7 :math:`\beta_2`. The bound
    then holds, but unless the decays are equal it is not the least: Nesterov's form counts
    :math:`g_t` twice, and Hölder's inequality would be tight only if the two could differ. Of
    averages without Nesterov's step it is the supremum (at p = 2, Theorem 1's limit).

    Args:
      b1: Decay of the numerator, in [0, 1); 0.95 is S3's.
      b2: Decay of the denominator, in [0, 1), either ``b1`` or above ``b1**p``.
      p: Order of the denominator, in [1, inf]; the paper trains language models with 3.

    Returns:
      The bound: 1 at equal decays (also at p = 1, which the theorem's condition leaves out) and
      at p = inf, a running maximum; above 1 elsewhere, ``(1 - b1) / (1 - b2)`` at p = 1.

    Raises:
      ValueError: If unequal decays break ``b1 < b2**(1/p)``.

    Examples:
      >>> from gradpow import theory
      >>> print(f"{theory.s3_update_bound():.2f} {theory.s3_update_bound(0.9, 0.999, p=2):.2f}")
      1.00 7.27

    References:
      Peng et al. (2025), Theorem 2, eq. (4), and its proof, eqs. (13)-(16)
    """
    b1, b2 = checked(b1=b1, b2=b2)
    p = np.asarray(p, dtype=np.float64)
    require("p", p, p >= 1, "at least 1; S3 takes 3")
    one_over_q = 1 - 1 / p
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # log(0), q = inf
        # b1**q / b2**(q/p) by q/p = q - 1, so that nothing cancels as p tends to 1.
        log_r = np.log(b2) + (np.log(b1) - np.log(b2)) / one_over_q
        log_r = np.where(b1 == b2, -np.inf, np.where(b2 == 0, np.inf, log_r))
        r = np.exp(log_r)
    require("b1**q / b2**(q/p)", r, r < 1, "below 1, so b1 < b2**(1/p); lower b1 or let b1 = b2")
    log_bound = np.log1p(-b1) - np.log1p(-b2) / p - one_over_q * np.log(-np.expm1(log_r))
    return np.where(b1 == b2, 1.0, np.exp(log_bound))[()]
