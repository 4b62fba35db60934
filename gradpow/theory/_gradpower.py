"""GradPower: AdamPower's update in the long run and the best power (Section 4.1, Appendix C.2)."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._arguments import Floats, checked, require

__all__ = [
    "best_power",
    "best_power_bounds",
    "gaussian_update_ratio",
    "high_noise_update",
    "limit_update",
    "low_noise_update",
]

_log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])


def limit_update(p: ArrayLike, mu: ArrayLike, sigma: ArrayLike, eps: ArrayLike = 1e-8) -> Floats:
    r"""AdamPower's update in the long run, for gradients uniform around a constant mean.

    For :math:`g \sim \mathrm{Unif}(\mu - \sigma, \mu + \sigma)` and :math:`\beta_2 \to 1` it is
    :math:`u = E[\varphi_p(g)] / (\sqrt{E[\varphi_p(g)^2]} + \epsilon)` with

    .. math::
        E[\varphi_p(g)] = \frac{(\mu + \sigma)^{p+1} - |\mu - \sigma|^{p+1}}{2 \sigma (p + 1)},
        \qquad E[\varphi_p(g)^2] = \frac{(\mu + \sigma)^{2p+1}
        - \mathrm{sign}(\mu - \sigma) |\mu - \sigma|^{2p+1}}{2 \sigma (2p + 1)}.

    Args:
      p: Power, above 0.
      mu: Full-batch gradient, above 0; the paper's figure has 1e-6.
      sigma: Half-width of the noise, from 0 on.
      eps: Adam's epsilon, from 0 on; 1e-8 is the paper's.

    Returns:
      The update before the learning rate, between 0 and 1.

    Raises:
      ValueError: If an argument lies outside its range.

    Examples:
      >>> from gradpow import theory
      >>> print(theory.limit_update([0.8, 1.2, 1.6], mu=1e-6, sigma=1e-5).round(3))
      [0.16  0.178 0.067]

    References:
      Wang et al. (2025), Appendix C.2
    """
    p, mu, sigma, eps = checked(p=p, mu=mu, sigma=sigma, eps=eps)
    # Relative to the largest gradient, as mu**(2p + 1) underflows; and |mu - sigma|**q as
    # exp(-q * reach), as the difference of the powers cancels where sigma << mu or mu << sigma.
    largest = mu + sigma
    width = 2 * sigma / largest
    with np.errstate(divide="ignore", invalid="ignore"):  # mu = sigma has reach = inf; sigma = 0
        reach = 2 * np.arctanh(np.minimum(mu, sigma) / np.maximum(mu, sigma))
        odd = [-np.expm1(-q * reach) / (q * width) for q in (p + 1, 2 * p + 1)]
        even = (1 + np.exp(-(2 * p + 1) * reach)) / ((2 * p + 1) * width)
    mean, square = np.where(sigma > 0, odd, 1.0)
    root = np.sqrt(np.where(sigma > mu, even, square))
    return mean / (root + _over_power(eps, largest, p))


def low_noise_update(p: ArrayLike, mu: ArrayLike, eps: ArrayLike = 1e-8) -> Floats:
    r"""Where :func:`limit_update` tends as the noise vanishes.

    .. math:: \tilde u = \frac{1}{1 + \epsilon / \mu^p}

    It falls as p grows if mu is below 1, as the paper assumes, and rises if mu is above 1.

    Args:
      p: Power, above 0.
      mu: Full-batch gradient, above 0.
      eps: Adam's epsilon, from 0 on; 1e-8 is the paper's.

    Returns:
      The update before the learning rate; the same as :func:`limit_update` at ``sigma=0``.

    Raises:
      ValueError: If an argument lies outside its range.

    Examples:
      >>> from gradpow import theory
      >>> print(f"{theory.low_noise_update(p=1.2, mu=1e-6):.3f}")
      0.863

    References:
      Wang et al. (2025), Proposition 4.2
    """
    p, mu, eps = checked(p=p, mu=mu, eps=eps)
    return 1 / (1 + _over_power(eps, mu, p))


def high_noise_update(
    p: ArrayLike, mu: ArrayLike, sigma: ArrayLike, eps: ArrayLike = 1e-8
) -> Floats:
    r"""Where :func:`limit_update` tends as the noise dominates, relative to mu / sigma.

    .. math:: \tilde u = \frac{\mu}{\sigma} \cdot \frac{1}{1 / \sqrt{2p + 1} + \epsilon / \sigma^p}

    This is the appendix's form, and the closed form's limit. Proposition 4.3 itself prints
    :math:`\sqrt{2p + 1}` for its inverse, which would always fall with p.

    Args:
      p: Power, above 0.
      mu: Full-batch gradient, above 0.
      sigma: Half-width of the noise, above 0 and meant to be far above mu.
      eps: Adam's epsilon, from 0 on; 1e-8 is the paper's.

    Returns:
      The approximate update before the learning rate.

    Raises:
      ValueError: If an argument lies outside its range.

    Examples:
      >>> from gradpow import theory
      >>> print(f"{theory.high_noise_update(p=1.2, mu=1e-6, sigma=1e-4):.4f}")
      0.0184

    References:
      Wang et al. (2025), Appendix C.2
    """
    p, mu, sigma, eps = checked(p=p, mu=mu, sigma=sigma, eps=eps)
    require("sigma", sigma, sigma > 0, "positive; without noise use low_noise_update")
    return mu / sigma / (1 / np.sqrt(2 * p + 1) + _over_power(eps, sigma, p))


def best_power(sigma: ArrayLike, eps: ArrayLike = 1e-8) -> Floats:
    r"""The power with the largest update under heavy noise: the top of :func:`high_noise_update`.

    It does not depend on mu, and is the only root of

    .. math:: \frac{\sigma^p}{(2p + 1)^{3/2}} = \epsilon \log(1 / \sigma).

    It is above 1 exactly where :math:`\sigma > 3^{3/2} \epsilon \log(1 / \sigma)`. The paper takes
    an upper estimate above 1 for enough; at sigma 3e-7 that is 1.05, the best power 0.94.

    Args:
      sigma: Half-width of the noise, in (0, 1).
      eps: Adam's epsilon, above 0; 1e-8 is the paper's.

    Returns:
      The best power.

    Raises:
      ValueError: If ``eps*log(1/sigma) >= 1``, where the update falls with p from 0 on.

    Examples:
      >>> from gradpow import theory
      >>> print(f"{theory.best_power(sigma=1e-5):.2f}")
      1.23

    References:
      Wang et al. (2025), Proposition 4.3
    """
    log_noise, log_right = _best_power_terms(sigma, eps)
    # The equation's logarithm is f(p) = 0 with f increasing, concave and negative at the lower
    # estimate. From there Newton's steps rise to the root, so they need no safeguard.
    p = -log_right / (log_noise + 3)
    for _ in range(100):
        f = p * log_noise + 1.5 * np.log1p(2 * p) + log_right
        step = f / (log_noise + 3 / (1 + 2 * p))
        p = p - step
        if np.all(np.abs(step) <= 1e-15 * p):
            break
    return p


def best_power_bounds(sigma: ArrayLike, eps: ArrayLike = 1e-8) -> tuple[Floats, Floats]:
    r"""Two estimates that enclose :func:`best_power`; their quotient is 1 + 3 / log(1 / sigma).

    .. math::
        \frac{\log(\epsilon \log(1 / \sigma))}{\log(\sigma / e^3)} \le p^* \le
        \frac{\log(\epsilon \log(1 / \sigma))}{\log \sigma}

    Args:
      sigma: Half-width of the noise, in (0, 1).
      eps: Adam's epsilon, above 0; 1e-8 is the paper's.

    Returns:
      The lower and the upper estimate.

    Raises:
      ValueError: If ``eps*log(1/sigma) >= 1``, as in :func:`best_power`.

    Examples:
      >>> from gradpow import theory
      >>> print("{:.2f} {:.2f}".format(*theory.best_power_bounds(sigma=1e-5)))
      1.10 1.39

    References:
      Wang et al. (2025), Appendix C.2
    """
    log_noise, log_right = _best_power_terms(sigma, eps)
    return -log_right / (log_noise + 3), -log_right / log_noise


def gaussian_update_ratio(p: ArrayLike) -> Floats:
    r"""How much smaller a power makes Adam's update on zero-mean Gaussian gradients.

    .. math::
        \frac{R(p)}{R(1)}, \qquad R(p) = \frac{E|z|^p}{\sqrt{E|z|^{2p}}}
        = \frac{\Gamma(\frac{p + 1}{2})}{\pi^{1/4} \sqrt{\Gamma(p + \frac{1}{2})}}, \qquad
        z \sim \mathcal{N}(0, 1)

    The paper gives the factor 0.94 at p = 1.2 and no formula; the closed form is ours (0.9395). R
    is the mean size of :math:`\varphi_p(g) / \sqrt{E[\varphi_p(g)^2]}`, thus of updates without
    momentum and epsilon: a long average of such gradients has a size that does not depend on p.

    Args:
      p: Power, above 0.

    Returns:
      The ratio, 1 at p = 1 and falling as p grows.

    Raises:
      ValueError: If an argument lies outside its range.

    Examples:
      >>> from gradpow import theory
      >>> print(f"{theory.gaussian_update_ratio(1.2):.2f}")
      0.94

    References:
      Wang et al. (2025), Appendix B.5
    """
    (p,) = checked(p=p)
    log_of_r = _log_gamma((p + 1) / 2) - _log_gamma(p + 0.5) / 2 - math.log(math.pi) / 4
    return np.exp(log_of_r - math.log(2 / math.pi) / 2)


def _best_power_terms(sigma: ArrayLike, eps: ArrayLike) -> tuple[Floats, Floats]:
    """log(1/sigma) and log(eps * log(1/sigma)), the second below 0."""
    sigma, eps = checked(sigma=sigma, eps=eps)
    require("sigma", sigma, (sigma > 0) & (sigma < 1), "in (0, 1), or no power is the best")
    require("eps", eps, eps > 0, "positive, or no power is the best; Adam takes 1e-8")
    log_noise = -np.log(sigma)
    product = np.asarray(eps * log_noise)
    require("eps*log(1/sigma)", product, product < 1, "below 1 (Proposition 4.3); lower eps")
    return log_noise, np.log(eps) + np.log(log_noise)


def _over_power(eps: NDArray[np.float64], x: NDArray[np.float64], p: NDArray[np.float64]) -> Floats:
    """eps / x**p, also where x**p underflows."""
    with np.errstate(divide="ignore", over="ignore"):  # eps = 0 gives exp(-inf) = 0
        return np.exp(np.log(eps) - p * np.log(x))
