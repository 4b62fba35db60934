r"""
Grams: what a step gains
========================

Lemma 5.3 and Theorem 5.4 of the paper, checked at every step of runs of Adam. The paper has no
figure for them.

With Adam's direction u and the gradient g, Grams moves by :math:`-\eta\, \mathrm{sign}(g) \circ
|u|` and cautious Adam, in the lemmas without its normaliser, by :math:`-\eta\, u \circ 1_{u \circ g
\ge 0}`. For a loss with an L-Lipschitz gradient, Lemma 5.3 bounds Grams' change of the loss,

.. math::
   -\eta \langle |g|, |u| \rangle \le \Delta_{\mathrm{Grams}} \le
   -\eta \langle |g|, |u| \rangle + \tfrac{L \eta^2}{2} \|u\|_2^2,

and Theorem 5.4 says that it gains at least as much as the cautious step if :math:`\eta \le
\tfrac{2}{L \|u\|^2} \min\{\langle u \circ g, 1_{ug \ge 0}\rangle, |\langle u \circ g, 1_{ug <
0}\rangle|\}`.

**Read with care.** The second inner product is negative as printed; its size is meant, as the proof
shows. The lower bound (Part 2), and with it the theorem, takes :math:`\mathcal{L}(y) \ge
\mathcal{L}(x) + \langle \nabla \mathcal{L}(x), y - x \rangle` from smoothness, which only convexity
gives. So two losses are tried, both with L = 1: a rotated quadratic, and :math:`\sum_i 1 - \cos (Q
\theta)_i` with a random rotation Q, where it may fail.
"""

import functools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from examples.style import clean
from gradpow.transforms import momentum_scaling

DIMENSIONS, STEPS, RUNS = 50, 200, 20
FACTORS = np.geomspace(0.1, 30, 26)
with jax.enable_x64(True):  # differences of losses would drown in float32
    spectrum = jnp.geomspace(0.01, 1, DIMENSIONS)
    rotation = jax.random.orthogonal(jax.random.key(1), DIMENSIONS)
LOSSES = {
    "convex": lambda x: 0.5 * jnp.sum(spectrum * (rotation @ x) ** 2),
    "not convex": lambda x: jnp.sum(1 - jnp.cos(rotation @ x)),
}


# %%
# Runs of Adam with noisy gradients; at each step both steps are tried at rates around the theorem's
# largest. Both come from the library: ``momentum_scaling`` turns or masks what disagrees.

adam = optax.scale_by_adam()
turned = momentum_scaling(-1.0, zero_scale=0.0, normalize=False)
masked = momentum_scaling(0.0, zero_scale=1.0, normalize=False)


def check(loss, key):
    """Over the steps of one run: what Grams and the cautious step gain, and what the paper says."""

    def step(carry, key):
        x, state, noisy = carry
        g = jax.grad(loss)(x)
        u, state = adam.update(g + noisy, state)
        grams, cautious = (tx.update(u, tx.init(x), grad=g)[0] for tx in (turned, masked))
        agree = u * g >= 0
        gains = jnp.abs(jnp.stack([jnp.sum(u * g * agree), jnp.sum(u * g * ~agree)]))
        largest = 2 / jnp.sum(u**2) * gains.min()
        rates = largest * jnp.asarray(FACTORS)
        linear = rates * jnp.sum(jnp.abs(g * u))
        upper = -linear + rates**2 / 2 * jnp.sum(u**2)
        noisy = 0.02 * jax.random.normal(key, x.shape)
        changes = [
            jax.vmap(lambda rate, v=v: loss(x - rate * v) - loss(x))(rates)
            for v in (grams, cautious)
        ]
        return (x - 0.05 * u, state, noisy), (*changes, -linear, upper)

    start, steps = jax.random.split(key)
    x = jax.random.uniform(start, (DIMENSIONS,), minval=-3.0, maxval=3.0)
    carry = (x, adam.init(x), jnp.zeros_like(x))
    return jax.lax.scan(step, carry, jax.random.split(steps, STEPS))[1]


figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
comparison = axes[2]
for column, (name, loss) in enumerate(LOSSES.items()):
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), RUNS)
        results = jax.jit(jax.vmap(functools.partial(check, loss)))(keys)
    grams, cautious, lower, upper = map(np.asarray, results)
    # Where all coordinates agree, no rate is left to try.
    tried = lower[..., -1] < -1e-12
    grams, cautious, lower, upper = (x[tried] for x in (grams, cautious, lower, upper))
    slack = 1e-12
    above, under = grams > upper + slack, grams < lower - slack
    worse = (grams > cautious + slack)[:, FACTORS <= 1]
    print(f"{name}, {len(grams):,} steps of Adam x {len(FACTORS)} rates:")
    print(f"  Part 1, above its upper bound: {above.mean():.2%}")
    print(f"  Part 2, below its lower bound: {under.mean():.2%}")
    print(f"  Theorem 5.4, Grams gains less within its rates: {worse.mean():.2%}")
    assert not above.any() and (name == "not convex" or not (under.any() or worse.any()))
    # Both bounds over what Grams gains, as a share of the linear gain.
    share = (grams / lower)[:, ::3]
    ax = axes[column]
    sample = slice(None, None, 20)
    ax.plot(
        np.tile(FACTORS[::3], (len(share[sample]), 1)),
        share[sample],
        ".",
        color="#CC79A7",
        ms=2,
        alpha=0.3,
    )
    ax.plot(
        FACTORS,
        np.median(upper / lower, axis=0),
        "--",
        color="#444444",
        lw=1.2,
        label="Part 1 (median)",
    )
    ax.axhline(1, color="#444444", lw=1.2, ls=":", label="Part 2")
    ax.plot([], [], "o", color="#CC79A7", ms=4, label="Grams")
    ax.set(
        xscale="log",
        xlabel="rate over the theorem's largest",
        ylim=(-0.6, 1.15),
        ylabel=r"gain over $\eta \langle |g|, |u| \rangle$",
    )
    ax.set_title(f"{name.capitalize()}: gain of a step", loc="left", size=10)
    ax.legend(frameon=False, fontsize=8, loc="lower left")
    comparison.plot(
        FACTORS,
        np.mean(grams <= cautious + slack, axis=0),
        color="#CC79A7",
        ls=("-", "--")[column],
        lw=1.4,
        label=name,
    )
comparison.axvline(1, color="#999999", lw=0.8)
comparison.set(
    xscale="log", xlabel="rate over the theorem's largest", ylim=(0, 1.05), ylabel="share of steps"
)
comparison.set_title("Where Grams gains at least as much", loc="left", size=10)
comparison.legend(frameon=False, fontsize=8, loc="lower left")
for ax in axes:
    clean(ax)
plt.show()
