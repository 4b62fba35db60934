r"""
Grams: trajectories on a convex function
========================================

Figure 1 of the paper: Adam, Lion, their cautious forms and Grams on :math:`f(w) = (0.5 w_1)^2 +
(0.1 w_2)^2`, with the paper's rates, 0.01 for Grams, Adam and cautious Adam and 0.001 for Lion and
cautious Lion, and default decays.

**Assumed.** Neither the start nor the number of steps is stated: (0.5, 1) and 1,500 here. Where
both coordinates start alike, all of these optimizers run along the diagonal, whatever the function.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import gradpow
from examples.style import clean, look

STEPS = 1500
OPTIMIZERS = {  # label, colour, dash
    gradpow.adam(0.01): look("adam"),
    gradpow.cautious_adam(0.01): look("cautious_adam"),
    gradpow.grams(0.01): look("grams"),
    gradpow.lion(0.001, weight_decay=0.0): look("lion"),
    gradpow.cautious_lion(0.001): look("cautious_lion"),
}


def loss(w):
    return (0.5 * w[..., 0]) ** 2 + (0.1 * w[..., 1]) ** 2


def run(tx):
    w = jnp.array([0.5, 1.0])

    def step(carry, _):
        w, state = carry
        updates, state = tx.update(jax.grad(loss)(w), state, w)
        return (optax.apply_updates(w, updates), state), w

    return np.asarray(jax.lax.scan(step, (w, tx.init(w)), length=STEPS)[1], np.float64)


figure, (first, second, third) = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
w1, w2 = np.meshgrid(np.linspace(-0.1, 0.55, 100), np.linspace(-0.15, 1.1, 100))
first.contour(
    w1, w2, loss(np.stack([w1, w2], axis=-1)), levels=12, colors="#cccccc", linewidths=0.6
)
steps = np.arange(STEPS)
for tx, (label, color, dash) in OPTIMIZERS.items():
    w = run(tx)
    style = {"color": color, "ls": dash, "lw": 1.4}
    first.plot(*w.T, label=label, **style)
    distance = np.linalg.norm(w, axis=-1)
    second.plot(steps, distance, **style)
    third.plot(steps, loss(w), **style)
    near = np.flatnonzero(loss(w) < 1e-4)
    reached = f"step {near[0]:,}" if len(near) else "never"
    print(f"{label}: loss below 1e-4 at {reached}; at the end {loss(w)[-1]:.1e}")
first.set(xlabel="$w_1$", ylabel="$w_2$")
first.legend(frameon=False, fontsize=8, loc="lower right")
second.set(yscale="log", xlabel="step", ylabel=r"distance $\|w\|_2$", ylim=(1e-12, 3))
third.set(yscale="log", xlabel="step", ylabel="objective f(w)", ylim=(1e-24, 1))
for axes, title in ((first, "Trajectory"), (second, "Distance"), (third, "Objective")):
    axes.set_title(title, loc="left", size=10)
    clean(axes)
plt.show()
