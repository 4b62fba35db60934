r"""
GradPower: the rates of AdagradPower
====================================

Theorems 4.8 and 4.11 of the paper, measured on problems that meet their assumptions. The paper has
no figure for them.

**Low noise** (Theorem 4.8): with exact gradients and :math:`p < 1`, the smallest squared gradient
norm falls at least as fast as :math:`\log^{2/(p+1)} T / T^{1/(p+1)}`, which for a small p is nearly
the square of Adagrad's :math:`\log T / \sqrt T`. A bound holds for the worst problem; on a convex
one with a minimum Adagrad converges linearly and nothing is to be seen. So the loss here has none:
:math:`\mathcal{L}(\theta) = r (1 + \theta^2)^{-k/2}` falls towards its infimum 0 at infinity, its
gradient dies slowly, and with :math:`r = 1/2` stays below :math:`R < 1`.

**High noise** (Theorem 4.11, Example 4.10): every gradient is :math:`\nabla_i \pm \sigma`, with
equal probability. An odd p makes Adagrad's bound smaller by :math:`R^{p-1} / \sigma_p`, with
:math:`\sigma_p = p \sigma^{p-1}`, close to :math:`1/p`: p times faster.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import gradpow
from examples.style import clean

COLORS = {1.0: "#444444", 0.5: "#56B4E9", 0.25: "#0072B2", 3.0: "#E69F00", 5.0: "#D55E00"}

# %%
# Low noise
# ---------
# The same rate for every power, a hundred thousand steps.

K, STEPS = 0.25, 100_000


def loss(theta):
    return jnp.sum(0.5 * (1 + theta**2) ** (-K / 2))


@jax.jit
def squared_norms(p):
    tx = gradpow.adagradpower(0.1, p=p)
    theta = jnp.ones(1)

    def step(carry, _):
        theta, state = carry
        g = jax.grad(loss)(theta)
        updates, state = tx.update(g, state, theta)
        return (theta + updates, state), jnp.sum(g**2)

    return jax.lax.scan(step, (theta, tx.init(theta)), length=STEPS)[1]


def smallest_so_far(values):
    return np.minimum.accumulate(np.asarray(values, np.float64))


exact = {p: smallest_so_far(squared_norms(p)) for p in (1.0, 0.5, 0.25)}
slopes = {}
for p, values in exact.items():
    steps = np.arange(1, STEPS + 1)
    late = steps > STEPS / 10
    slopes[p] = np.polyfit(np.log(steps[late]), np.log(values[late]), 1)[0]
    print(f"p = {p:g}: measured T^{slopes[p]:.2f}, the theorem's T^-{1 / (p + 1):.2f}")
    assert slopes[p] < -1 / (p + 1)

# %%
# High noise
# ----------
# A pseudo-Huber loss whose gradients, at most 0.02, drown in noise of 0.5: R = 0.52. With a hundred
# runs, each of ten coordinates, the expectation is a mean over runs.

SIGMA, SLOPE, RUNS, DIMENSIONS, NOISY_STEPS = 0.5, 0.02, 100, 10, 100_000
R = SLOPE + SIGMA


@jax.jit
def noisy_squared_norms(p, key):
    tx = gradpow.adagradpower(0.1, p=p)
    theta = jnp.full((RUNS, DIMENSIONS), 2.0)

    def step(carry, key):
        theta, state = carry
        exact = SLOPE * theta / jnp.sqrt(1 + theta**2)
        noise = jnp.where(jax.random.bernoulli(key, shape=theta.shape), SIGMA, -SIGMA)
        updates, state = tx.update(exact + noise, state, theta)
        return (theta + updates, state), jnp.mean(jnp.sum(exact**2, axis=-1))

    start = (theta, tx.init(theta))
    return jax.lax.scan(step, start, jax.random.split(key, NOISY_STEPS))[1]


noisy = {p: smallest_so_far(noisy_squared_norms(p, jax.random.key(0))) for p in (1.0, 3.0, 5.0)}
factors = {p: R ** (p - 1) / (p * SIGMA ** (p - 1)) for p in noisy}
reached = {p: int(np.argmax(values < values[0] / 4)) + 1 for p, values in noisy.items()}
for p in noisy:
    print(f"p = {p:g}: bound x {factors[p]:.2f}, a quarter of the start at step {reached[p]:,}")

# %%
# Both
# ----
# Dotted is the shape of the theorem's bound, laid through step 10.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for p, values in exact.items():
    steps = np.arange(1, STEPS + 1)
    bound = (np.log(steps[9:]) ** 2 / steps[9:]) ** (1 / (p + 1))
    label = f"p = {p:g}: $T^{{{slopes[p]:.2f}}}$, bound $T^{{-{1 / (p + 1):.2f}}}$"
    left.plot(steps, values, color=COLORS[p], label=label)
    left.plot(steps[9:], bound * values[9] / bound[0], ":", color=COLORS[p], lw=1.2)
for p, values in noisy.items():
    label = f"p = {p:g}: bound x {factors[p]:.2f}, a quarter at step {reached[p]:,}"
    right.plot(np.arange(1, NOISY_STEPS + 1), values, color=COLORS[p], label=label)
right.axhline(noisy[1.0][0] / 4, color="#999999", lw=0.8)
left.set_title(r"Exact gradients, $p \leq 1$ (Theorem 4.8)", loc="left", size=10)
right.set_title("Binary noise, odd p (Theorem 4.11)", loc="left", size=10)
left.set(ylabel=r"$\min_t \|\nabla L\|^2$")
right.set(ylabel=r"$\min_t \mathrm{E} \|\nabla L\|^2$")
for axes in (left, right):
    axes.set(xscale="log", yscale="log", xlabel="step T")
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    clean(axes)
plt.show()

# %%
# Both agree with the theorems: the measured rates are faster than the bounds, smaller powers are
# the faster ones without noise, and larger odd powers under noise. A step moves :math:`\eta p\,
# \nabla / (\sigma \sqrt T)` in the mean under noise, so distance over time grows with :math:`p
# \sqrt T`: p times the distance, :math:`p^2` times fewer steps.
