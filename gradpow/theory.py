r"""The papers' closed forms: how large an update gets, which power is best, how fast descent is.

Plain NumPy in float64, for choosing hyper-parameters, for drawing the papers' figures and for
testing optimizers against what was proved about them. Every function takes floats or arrays and
broadcasts, and raises a ValueError for arguments outside the ranges that its docstring gives.
Where a paper's statement is inexact, the docstring says how.
"""

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = np.float64 | NDArray[np.float64]

_ABOVE_0 = np.nextafter(0, 1)
_RANGES = {  # the lowest value, the first that is too high, and both in words with the remedy
    "b1": (0, 1, "in [0, 1); Adam takes 0.9, S3 0.95"),
    "b2": (0, 1, "in [0, 1); Adam takes 0.999, S3 b1"),
    "p": (_ABOVE_0, np.inf, "positive and finite; 1 is Adam"),
    "mu": (_ABOVE_0, np.inf, "positive and finite; u is odd in mu, so pass |mu|"),
    "sigma": (0, np.inf, "finite and not negative; pass the noise's half-width"),
    "eps": (0, np.inf, "finite and not negative; Adam takes 1e-8"),
    "learning_rate": (_ABOVE_0, np.inf, "positive and finite; pass the constant step size"),
    **dict.fromkeys(("steps", "batch_size"), (1, np.inf, "finite and at least 1; pass a count")),
    **dict.fromkeys(
        ("gap", "gradient_bound", "smoothness", "noise"),
        (0, np.inf, "finite and not negative; pass an upper bound of it"),
    ),
}

_log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])


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
        >>> print(f"{adam_update_bound():.2f} {adam_update_bound(t=100):.2f}")
        7.27 2.24

    References:
        'SoftSignSGD(S3): An Enhanced Optimizer for Practical DNN Training and Loss Spikes
        Minimization Beyond Adam', Theorem 1, eq. (3)
    """
    b1, b2 = _checked(b1=b1, b2=b2)
    t = np.asarray(np.inf if t is None else t, dtype=np.float64)
    _require("t", t, (t >= 1) & (t == np.floor(t)), "a whole number, from 1 on")
    gap = np.asarray(b2 - b1 * b1)
    _require("b2 - b1**2", gap, gap > 0, "positive (Theorem 1); lower b1 or raise b2")
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
        >>> print(f"{s3_update_bound(0.95, 0.95):.2f} {s3_update_bound(0.9, 0.999, p=2):.2f}")
        1.00 7.27

    References:
        'SoftSignSGD(S3): An Enhanced Optimizer for Practical DNN Training and Loss Spikes
        Minimization Beyond Adam', Theorem 2, eq. (4), and its proof, eqs. (13)-(16)
    """
    b1, b2 = _checked(b1=b1, b2=b2)
    p = np.asarray(p, dtype=np.float64)
    _require("p", p, p >= 1, "at least 1; S3 takes 3")
    one_over_q = 1 - 1 / p
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # log(0), q = inf
        # b1**q / b2**(q/p) by q/p = q - 1, so that nothing cancels as p tends to 1.
        log_r = np.log(b2) + (np.log(b1) - np.log(b2)) / one_over_q
        log_r = np.where(b1 == b2, -np.inf, np.where(b2 == 0, np.inf, log_r))
        r = np.exp(log_r)
    _require("b1**q / b2**(q/p)", r, r < 1, "below 1, so b1 < b2**(1/p); lower b1 or let b1 = b2")
    log_bound = np.log1p(-b1) - np.log1p(-b2) / p - one_over_q * np.log(-np.expm1(log_r))
    return np.where(b1 == b2, 1.0, np.exp(log_bound))[()]


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

    Examples:
        >>> print(limit_update([0.8, 1.2, 1.6], mu=1e-6, sigma=1e-5).round(3))
        [0.16  0.178 0.067]

    References:
        'GradPower: Powering Gradients for Faster Language Model Pre-Training', Appendix C.2
    """
    p, mu, sigma, eps = _checked(p=p, mu=mu, sigma=sigma, eps=eps)
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

    Examples:
        >>> print(f"{low_noise_update(p=1.2, mu=1e-6):.3f}")
        0.863

    References:
        'GradPower: Powering Gradients for Faster Language Model Pre-Training', Proposition 4.2
    """
    p, mu, eps = _checked(p=p, mu=mu, eps=eps)
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

    Examples:
        >>> print(f"{high_noise_update(p=1.2, mu=1e-6, sigma=1e-4):.4f}")
        0.0184

    References:
        'GradPower: Powering Gradients for Faster Language Model Pre-Training', Appendix C.2
    """
    p, mu, sigma, eps = _checked(p=p, mu=mu, sigma=sigma, eps=eps)
    _require("sigma", sigma, sigma > 0, "positive; without noise use low_noise_update")
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
        >>> print(f"{best_power(sigma=1e-5):.2f}")
        1.23

    References:
        'GradPower: Powering Gradients for Faster Language Model Pre-Training', Proposition 4.3
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
        >>> print("{:.2f} {:.2f}".format(*best_power_bounds(sigma=1e-5)))
        1.10 1.39

    References:
        'GradPower: Powering Gradients for Faster Language Model Pre-Training', Appendix C.2
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

    Examples:
        >>> print(f"{gaussian_update_ratio(1.2):.2f}")
        0.94

    References:
        'GradPower: Powering Gradients for Faster Language Model Pre-Training', Appendix B.5
    """
    (p,) = _checked(p=p)
    log_of_r = _log_gamma((p + 1) / 2) - _log_gamma(p + 0.5) / 2 - math.log(math.pi) / 4
    return np.exp(log_of_r - math.log(2 / math.pi) / 2)


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

    Examples:
        >>> print(*lp_descent_exponents(3.0))
        1.5 0.5 1.0 2.5 -0.25

    References:
        'Stochastic Steepest Descent with Acceleration for $\ell_p$-Smooth Non-Convex Optimization',
        Theorem 1
    """
    p = np.asarray(p, dtype=np.float64)
    _require("p", p, p >= 2, "at least 2; 2 is SGD and inf signSGD")
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

    Examples:
        >>> constants = dict(gap=1.0, gradient_bound=1.0, smoothness=1.0, noise=1.0)
        >>> bound = lp_descent_bound(3, learning_rate=0.1, steps=50, batch_size=50, **constants)
        >>> print(f"{bound:.2f}")
        0.60

    References:
        'Stochastic Steepest Descent with Acceleration for $\ell_p$-Smooth Non-Convex Optimization',
        Theorem 1 and Appendix A.1
    """
    exponents = lp_descent_exponents(p)
    eta, steps, n = _checked(learning_rate=learning_rate, steps=steps, batch_size=batch_size)
    gap, g = _checked(gap=gap, gradient_bound=gradient_bound)
    smoothness, noise = _checked(smoothness=smoothness, noise=noise)
    noise_term = exponents.noise_factor * g**exponents.noise * noise / np.sqrt(n)
    return gap / (eta * steps) + smoothness * eta * g**exponents.smoothness / 2 + noise_term


def _best_power_terms(sigma: ArrayLike, eps: ArrayLike) -> tuple[Floats, Floats]:
    """log(1/sigma) and log(eps * log(1/sigma)), the second below 0."""
    sigma, eps = _checked(sigma=sigma, eps=eps)
    _require("sigma", sigma, (sigma > 0) & (sigma < 1), "in (0, 1), or no power is the best")
    _require("eps", eps, eps > 0, "positive, or no power is the best; Adam takes 1e-8")
    log_noise = -np.log(sigma)
    product = np.asarray(eps * log_noise)
    _require("eps*log(1/sigma)", product, product < 1, "below 1 (Proposition 4.3); lower eps")
    return log_noise, np.log(eps) + np.log(log_noise)


def _over_power(eps: NDArray[np.float64], x: NDArray[np.float64], p: NDArray[np.float64]) -> Floats:
    """eps / x**p, also where x**p underflows."""
    with np.errstate(divide="ignore", over="ignore"):  # eps = 0 gives exp(-inf) = 0
        return np.exp(np.log(eps) - p * np.log(x))


def _checked(**arguments: ArrayLike) -> list[NDArray[np.float64]]:
    """The arguments in float64, or a ValueError if one is outside its name's range."""
    arrays = {name: np.asarray(value, dtype=np.float64) for name, value in arguments.items()}
    for name, x in arrays.items():
        low, high, text = _RANGES[name]
        _require(name, x, (x >= low) & (x < high), text)
    return list(arrays.values())


def _require(name: str, x: NDArray[np.float64], holds: NDArray[np.bool_], text: str) -> None:
    if not np.all(holds):
        raise ValueError(f"{name} is {x[~holds][0]:g}, but must be {text}.")
