"""The papers' optimizers as naive NumPy float64 loops: the tests' independent judge.

Each function is one algorithm box, written from the paper in the box's order and names, and
depends on NumPy alone. Nothing is shared but three helpers, so that a mistake in the library
cannot hide in a shared line. The rules:

* ``name(theta0, gradients, learning_rate, **hyperparameters)`` takes float64 arrays of shapes
  ``S`` and ``(T, *S)`` and returns the T steps theta_t - theta_{t-1}, of shape ``(T, *S)``. The
  steps are computed as such, not by differencing theta, so that tiny ones keep their digits;
  theta is advanced by them.
* ``learning_rate`` and ``weight_decay`` are floats or functions of the step count, which starts
  at 0 as in optax schedules. The papers count from 1, hence ``t + 1`` in bias corrections.
* Hyper-parameters are Python floats. To judge arithmetic in another type, pass them rounded to
  that type, as in ``b1=float(np.float32(0.9))``.
* All is float64, but for the p-th powers of S3 and the iterates of STACEY, in ``np.longdouble``.
* The array is one tensor: means, norms and sizes are over all of it.
* 0/0 is 0, and agreement of two numbers is judged by their signs, never by their product, which
  may underflow.

The papers: GradPower (Adam, Adagrad, SGD and Muon with a powered gradient), S3 (SoftSignSGD),
STACEY, AMS and Grams (Adaptive Momentum Scaling), whose appendix A also states Adam and Lion.
``problem`` makes the gradients on which the tests compare.
"""

import numpy as np


def powered(x, p):
    """sign(x)|x|^p."""
    return np.sign(x) * np.abs(x) ** p


def at(rate, t):
    """The rate at step count t = 0, 1, ..., for a float or a function of the count."""
    return float(rate(t) if callable(rate) else rate)


def divide(n, d):
    """n/d with 0/0 = 0."""
    both_zero = (n == 0) & (d == 0)
    return np.where(both_zero, 0.0, n / np.where(both_zero, 1.0, d))


# GradPower


def adampower(theta0, gradients, learning_rate, p=1.2, b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.1):
    """AdamPower: GradPower, Algorithm 1."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        g = powered(g, p)
        m = b1 * m + (1 - b1) * g
        m_hat = m / (1 - b1 ** (t + 1))
        v = b2 * v + (1 - b2) * g**2
        v_hat = v / (1 - b2 ** (t + 1))
        eta = at(learning_rate, t)
        steps[t] = -eta * (m_hat / (np.sqrt(v_hat) + eps) + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


def adagradpower(theta0, gradients, learning_rate, p=1.2, eps=1e-8):
    """AdagradPower: GradPower, equation (4)."""
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        g = powered(g, p)
        v = v + g**2
        steps[t] = -at(learning_rate, t) * divide(g, np.sqrt(v + eps))
    return steps


def sgdpower(theta0, gradients, learning_rate, p, momentum=None, nesterov=False):
    """SGD with GradPower's equation (1), the Powerball method; momentum is optax.sgd's."""
    buf = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        g = powered(g, p)
        u = g
        if momentum is not None:
            buf = momentum * buf + g
            u = g + momentum * buf if nesterov else buf
        steps[t] = -at(learning_rate, t) * u
    return steps


def muonpower(
    theta0,
    gradients,
    learning_rate,
    p=1.2,
    beta=0.95,
    eps=1e-8,
    weight_decay=0.0,
    nesterov=True,
    ns_coeffs=(3.4445, -4.7750, 2.0315),
    ns_steps=5,
    consistent_rms=0.2,
):
    """MuonPower for one matrix: GradPower, Section 3.4; optax.contrib.muon's conventions."""
    rows, columns = theta0.shape
    a, b, c = ns_coeffs
    theta = theta0
    m = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        g = powered(g, p)
        m = beta * m + (1 - beta) * g
        if nesterov:  # m is looked at one step ahead, so it is corrected for one step more
            m_hat = m / (1 - beta ** (t + 2))
            g_hat = g / (1 - beta ** (t + 1))
            x = beta * m_hat + (1 - beta) * g_hat
        else:
            x = m / (1 - beta ** (t + 1))
        x = x / (np.sqrt(np.sum(x**2)) + eps)
        for _ in range(ns_steps):
            xxt = x @ x.T
            x = a * x + b * xxt @ x + c * xxt @ xxt @ x
        x = consistent_rms * np.sqrt(max(rows, columns)) * x
        steps[t] = -at(learning_rate, t) * (x + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


# S3


def s3(theta0, gradients, learning_rate, b=0.95, p=3.0, eps=0.0, weight_decay=0.0):
    """SoftSignSGD: S3, Algorithm 1, with AdamW's decay; b is the paper's beta."""
    x = theta0
    m = np.zeros(theta0.shape)
    s = np.zeros(theta0.shape, np.longdouble)  # p-th powers leave float64's range
    p = np.longdouble(p)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        g_p = np.abs(g).astype(np.longdouble) ** p
        m = b * m + (1 - b) * g
        s = b * s + (1 - b) * g_p
        n_t = b * m + (1 - b) * g
        b_t = (b * s + (1 - b) * g_p) ** (1 / p)
        gamma = at(learning_rate, t)
        steps[t] = -gamma * (divide(n_t, b_t + eps) + at(weight_decay, t) * x)
        x = x + steps[t]
    return steps


# STACEY


def lp_descent(theta0, gradients, learning_rate, p, scaled=False):
    """Stochastic l_p descent: STACEY, Algorithm 1; scaled by ||g||_{p*}^{(p-2)/(p-1)} if asked."""
    exponent = 1.0 if np.isinf(p) else (p - 2) / (p - 1)
    dual_p = 1.0 if np.isinf(p) else p / (p - 1)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        s = divide(g, np.abs(g) ** exponent)
        if scaled:
            s = np.sum(np.abs(g) ** dual_p) ** (exponent / dual_p) * s
        steps[t] = -at(learning_rate, t) * s
    return steps


def stacey(
    theta0,
    gradients,
    learning_rate,
    p=2.8,
    mirror_p=2.0,
    b1=0.9,
    b2=0.99,
    alpha=0.01,
    tau=0.001,
    eps=1e-8,
    weight_decay=5e-4,
    mirror_init="params",
):
    """STACEY: Algorithms 2, 3, 4 are (p, mirror_p) = (p, 2), (p, p), (2, p)."""
    exponent = 1.0 if np.isinf(p) else (p - 2) / (p - 1)
    q = np.longdouble(mirror_p)
    theta = theta0.astype(np.longdouble)  # z - theta cancels, so both carry extra digits
    m = np.zeros(theta0.shape)
    z = {"params": theta, "zeros": np.zeros(theta0.shape)}[mirror_init]
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        eta = at(learning_rate, t)
        c = b1 * m + (1 - b1) * g
        s = c if p == 2 else divide(c, np.abs(c) ** exponent + eps)
        y_minus_theta = -eta * s
        dual = np.abs(z) ** (q - 2) * z - alpha * c
        z = divide(dual, np.abs(dual) ** ((q - 2) / (q - 1)))
        coupled = tau * (z - theta) + (1 - tau) * y_minus_theta
        step = coupled - eta * at(weight_decay, t) * theta
        steps[t] = step
        theta = theta + step
        m = b2 * m + (1 - b2) * g
    return steps


# AMS, Grams and the cautious optimizers


def ams(
    theta0,
    gradients,
    learning_rate,
    b1=0.9,
    b2=0.999,
    b3=0.0,
    negative_scale=-1.0,
    eps=1e-6,
    weight_decay=0.0,
    floor=1e-3,
):
    """AMS: Algorithm 1, its last line with eta; negative_scale is lambda, weight_decay gamma."""
    d = theta0.size
    w = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    s = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        s = b3 * s + (1 - b3) * g
        m_hat = m / (1 - b1 ** (t + 1))
        v_hat = v / (1 - b2 ** (t + 1))
        u = m_hat / (np.sqrt(v_hat) + eps)
        phi = np.where(np.sign(u) * np.sign(s) >= 0, 1.0, 0.0)
        psi = negative_scale * np.where(np.sign(u) * np.sign(s) < 0, 1.0, 0.0)
        eta = at(learning_rate, t)
        eta_hat = eta * d / max(np.sum(np.abs(phi)) + np.sum(np.abs(psi)), floor * d)
        u_hat = (phi + psi) * u
        step = -eta_hat * u_hat
        decay = -eta * at(weight_decay, t) * (w + step)
        steps[t] = step + decay
        w = w + steps[t]
    return steps


def grams(theta0, gradients, learning_rate, b1=0.9, b2=0.999, eps=1e-6, weight_decay=0.0):
    """Grams: AMS, Corollary 5.2, with Algorithm 1's decay after the step."""
    w = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1 ** (t + 1))
        v_hat = v / (1 - b2 ** (t + 1))
        u = m_hat / (np.sqrt(v_hat) + eps)
        u_hat = np.sign(g) * np.abs(u)
        eta = at(learning_rate, t)
        step = -eta * u_hat
        decay = -eta * at(weight_decay, t) * (w + step)
        steps[t] = step + decay
        w = w + steps[t]
    return steps


def cautious_adam(
    theta0,
    gradients,
    learning_rate,
    b1=0.9,
    b2=0.999,
    eps=1e-6,
    weight_decay=0.0,
    floor=1e-3,
):
    """Cautious Adam: AMS, Definition 3.2 on A.4, by the mask u*g > 0 over its mean."""
    w = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1 ** (t + 1))
        v_hat = v / (1 - b2 ** (t + 1))
        u = m_hat / (np.sqrt(v_hat) + eps)
        mask = np.where(np.sign(u) * np.sign(g) > 0, 1.0, 0.0)
        u_hat = u * mask / max(np.mean(mask), floor)
        eta = at(learning_rate, t)
        step = -eta * u_hat
        decay = -eta * at(weight_decay, t) * (w + step)
        steps[t] = step + decay
        w = w + steps[t]
    return steps


def cautious_lion(theta0, gradients, learning_rate, b1=0.9, b2=0.99, weight_decay=0.0, floor=1e-3):
    """Cautious Lion: AMS, Definition 3.2 on A.5, by the mask u*g > 0 over its mean."""
    w = theta0
    m = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        u = np.sign(b1 * m + (1 - b1) * g)
        mask = np.where(u * np.sign(g) > 0, 1.0, 0.0)
        u_hat = u * mask / max(np.mean(mask), floor)
        eta = at(learning_rate, t)
        step = -eta * u_hat
        decay = -eta * at(weight_decay, t) * (w + step)
        steps[t] = step + decay
        w = w + steps[t]
        m = b2 * m + (1 - b2) * g
    return steps


def cautious_momentum(
    theta0, gradients, learning_rate, momentum=0.9, negative_scale=0.0, floor=1e-3
):
    """Cautious SGD with momentum: AMS, Definition 3.2; where u*g = 0 the scale is 0."""
    d = theta0.size
    u = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        u = momentum * u + g
        phi = np.where(np.sign(u) * np.sign(g) > 0, 1.0, 0.0)
        psi = negative_scale * np.where(np.sign(u) * np.sign(g) < 0, 1.0, 0.0)
        normalizer = d / max(np.sum(np.abs(phi)) + np.sum(np.abs(psi)), floor * d)
        steps[t] = -at(learning_rate, t) * normalizer * (phi + psi) * u
    return steps


def lion(theta0, gradients, learning_rate, b1=0.9, b2=0.99, weight_decay=0.0):
    """Lion: AMS, Definition A.5, with AdamW's decay as in Lion's own paper."""
    w = theta0
    m = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        u = np.sign(b1 * m + (1 - b1) * g)
        steps[t] = -at(learning_rate, t) * (u + at(weight_decay, t) * w)
        w = w + steps[t]
        m = b2 * m + (1 - b2) * g
    return steps


# The common test problem


def problem(seed, steps, shape):
    """Parameters and gradients, exact in float32, in which each hard case has coordinates.

    The coordinates of the flattened array are of seven kinds in turn, so seven elements show all
    of them and a scalar is of the first. No parameter is 0: magnitudes are 0.1 to 1, signs both.
    """
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    noise = rng.standard_normal((steps, size))
    gradients = np.zeros((steps, size))
    t = np.arange(steps)[:, None]
    # 0: normal noise
    gradients[:, 0::7] = noise[:, 0::7]
    # 1: changes sign at every step
    gradients[:, 1::7] = (-1.0) ** t * (0.1 + np.abs(noise[:, 1::7]))
    # 2: noise about a level that drifts from one random value to another
    first, last = rng.standard_normal((2, len(range(2, size, 7))))
    gradients[:, 2::7] = first + (last - first) * t / steps + 0.3 * noise[:, 2::7]
    # 3: normal noise that dies half way: exactly 0 from step T/2 on
    gradients[:, 3::7] = np.where(t < steps // 2, noise[:, 3::7], 0.0)
    # 4: always 0 (left as it is)
    # 5: noise of very different magnitudes, 1e-12 at the first such coordinate, 1e3 at the last
    gradients[:, 5::7] = np.geomspace(1e-12, 1e3, len(range(5, size, 7))) * noise[:, 5::7]
    # 6: sparse: 0 in about nine steps of ten
    sparse = rng.random((steps, len(range(6, size, 7)))) < 0.1
    gradients[:, 6::7] = np.where(sparse, noise[:, 6::7], 0.0)

    theta0 = rng.choice([-1.0, 1.0], size) * rng.uniform(0.1, 1.0, size)
    theta0 = theta0.astype(np.float32).astype(np.float64).reshape(shape)
    gradients = gradients.astype(np.float32).astype(np.float64).reshape((steps, *shape))
    return theta0, gradients
