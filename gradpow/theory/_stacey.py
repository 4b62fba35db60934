"""STACEY: the rate of stochastic l_p descent (Theorem 1)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Floats, checked, require

__all__ = ["LpDescentExponents", "lp_descent_bound", "lp_descent_exponents"]


class LpDescentExponents(NamedTuple):
    """What STACEY's Theorem 1 depends on p through; see :func:`lp_descent_exponents`."""

    dual: Floats  # p*: stationarity is measured by ||grad f||_{p*}^{p*}
    noise: Floats  # power of G in the noise term
    smoothness: Floats  # power of G in the smoothness term
    noise_factor: Floats  # constant of the noise term
    rate: float  # power of N, the number of gradient calls, in the second bound


def lp_descent_exponents(p: ArrayLike) -> LpDescentExponents:
    r"""The exponents and the constant by which p enters the rate of stochastic l_p descent.

    .. math::
        p^* = \frac{p}{p - 1}, \qquad G^{\frac{1}{p - 1}}, \qquad G^{\frac{2}{p - 1}}, \qquad
        \frac{2p - 1}{p - 1}, \qquad N^{-1/4}

    Args:
      p: Norm of the descent step, in [2, inf]; 2 is SGD and inf signSGD.

    Returns:
      ``dual``, ``noise``, ``smoothness``, ``noise_factor`` and ``rate``, in this order.

    Raises:
      ValueError: If an argument lies outside its range.

    Examples:
      >>> from gradpow import theory
      >>> print(*theory.lp_descent_exponents(3.0))
      1.5 0.5 1.0 2.5 -0.25

    References:
      Luo et al. (2025), Theorem 1
    """
    p = np.asarray(p, dtype=np.float64)
    require("p", p, p >= 2, "at least 2; 2 is SGD and inf signSGD")
    s = 1 / (p - 1)  # all four in terms of it, so that p = inf needs no case of its own
    return LpDescentExponents(1 + s, s, 2 * s, 2 + s, -0.25)


def lp_descent_bound(
    p: ArrayLike,
    *,
    learning_rate: ArrayLike,
    steps: ArrayLike,
    batch_size: ArrayLike,
    gap: ArrayLike,
    gradient_bound: ArrayLike,
    smoothness: ArrayLike,
    noise: ArrayLike,
) -> Floats:
    r"""The bound on the mean dual gradient norm over T steps of stochastic l_p descent.

    .. math::
        E\Big[\frac{1}{T} \sum_{t < T} \|\nabla f(\theta_t)\|_{p^*}^{p^*}\Big] \le
        \frac{f(\theta_0) - f(\theta^*)}{\eta T} + \frac{L \eta G^{2/(p-1)}}{2}
        + \frac{2p - 1}{p - 1} \cdot \frac{G^{1/(p-1)} \|\vec\sigma\|_1}{\sqrt{n}}

    It holds, though its Lemma 3 fails if p > 3 and gradients are, with equal probability, nearly 0
    or twice their mean. Instead of Lemmas 2 and 3, :math:`|a| |\varphi_s(a) - \varphi_s(b)| \le
    2 G^s |a - b|` for all :math:`|a|, |b| \le G` and :math:`s = 1/(p-1)` proves the theorem, even
    with the factor 2 for :math:`\frac{2p - 1}{p - 1}`.

    Args:
      p: Norm of the descent step, in [2, inf].
      learning_rate: Constant step size, above 0.
      steps: Number of steps T, at least 1.
      batch_size: Samples per gradient n, the same at every step, at least 1.
      gap: Distance of f to its infimum at the start, from 0 on.
      gradient_bound: G, a bound on every stochastic gradient's p*-norm, from 0 on.
      smoothness: L, the gradient's Lipschitz constant from the p- to the p*-norm, from 0 on.
      noise: One sample's standard deviations, summed over coordinates, from 0 on.

    Returns:
      The theorem's first bound.

    Raises:
      ValueError: If an argument lies outside its range.

    Examples:
      >>> from gradpow import theory
      >>> constants = dict(gap=1.0, gradient_bound=1.0, smoothness=1.0, noise=1.0)
      >>> bound = theory.lp_descent_bound(3, learning_rate=0.1, steps=9, batch_size=9, **constants)
      >>> print(f"{bound:.2f}")
      1.99

    References:
      Luo et al. (2025), Theorem 1 and Appendix A.1
    """
    exponents = lp_descent_exponents(p)
    eta, steps, n = checked(learning_rate=learning_rate, steps=steps, batch_size=batch_size)
    gap, g = checked(gap=gap, gradient_bound=gradient_bound)
    smoothness, noise = checked(smoothness=smoothness, noise=noise)
    noise_term = exponents.noise_factor * g**exponents.noise * noise / np.sqrt(n)
    return gap / (eta * steps) + smoothness * eta * g**exponents.smoothness / 2 + noise_term
