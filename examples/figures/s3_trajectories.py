r"""
S3: trajectories, loss and updates
==================================

Figure 1 of the paper: SGD, signSGD, Adam and S3 on

.. math:: f(x_1, x_2) = \tfrac12 (x_1 - 1/x_2)^2 + \tfrac12 (x_1 - 20 x_2)^2

from (1, 1), with Gaussian noise added to every gradient.

**Assumed.** The caption gives the function, the start and the noise :math:`\mathcal{N}(0, 0.1)`,
taken here as a standard deviation of 0.1, but no rates, no number of steps and no S3 parameters. S3
is run with its defaults, Adam with (0.9, 0.999). Each optimizer takes the rate out of a grid
(factors of about 3) with the lowest median loss over the last 100 of 2,000 steps, in 100 runs that
differ in their noise; curves are medians over other 100 runs.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from examples.style import clean, look
from gradpow import chain
from gradpow.transforms import nesterov_pmoment, p_norm_scale

STEPS, RUNS, NOISE = 2000, 100, 0.1
RATES = np.array([1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1])
OPTIMIZERS = {  # label, look, and what is multiplied by the rate
    "SGD": (("#999999", ":"), optax.identity()),
    "signSGD": (("#56B4E9", "--"), optax.scale_by_sign()),
    "Adam": (look("adam")[1:], optax.scale_by_adam()),
    "S3": (look("s3")[1:], chain(nesterov_pmoment(0.95), p_norm_scale(0.95, 3))),
}


def loss(x):
    return 0.5 * (x[0] - 1 / x[1]) ** 2 + 0.5 * (x[0] - 20 * x[1]) ** 2


def run(tx, rate, key):
    """Positions, losses and mean sizes of the update, before the rate, over the steps."""

    def step(carry, key):
        x, state = carry
        g = jax.grad(loss)(x) + NOISE * jax.random.normal(key, (2,))
        u, state = tx.update(g, state, x)
        return (x - rate * u, state), (x, loss(x), jnp.abs(u).mean())

    x = jnp.ones(2)
    return jax.lax.scan(step, (x, tx.init(x)), jax.random.split(key, STEPS))[1]


# %%
# All rates and runs of an optimizer at once.

over_runs = jax.vmap(run, in_axes=(None, None, 0))
over_rates = jax.jit(jax.vmap(over_runs, in_axes=(None, 0, None)), static_argnums=0)
over_runs = jax.jit(over_runs, static_argnums=0)
keys = jax.random.split(jax.random.key(0), 2 * RUNS)
results = {}
for name, (_, tx) in OPTIMIZERS.items():
    _, losses, _ = over_rates(tx, jnp.asarray(RATES), keys[:RUNS])
    final = np.nan_to_num(np.median(np.asarray(losses)[:, :, -100:], axis=(1, 2)), nan=np.inf)
    rate = RATES[final.argmin()]
    results[name] = rate, *map(np.asarray, over_runs(tx, rate, keys[RUNS:]))
    late = results[name][2][:, -500:]
    print(f"{name}: rate {rate:g}, loss at the end {np.median(late):.1e}, at most {late.max():.1e}")

# %%
# As in the paper, SGD needs a small rate and is slow, signSGD oscillates and does not reach the
# minimum, and S3's updates stay in [-1, 1] and shrink as the loss does. Not as in the paper, Adam
# ends lower than S3 when each has its own best rate, and no run of either spikes: the largest loss
# of all runs over the last 500 steps is printed above.

figure, (first, second, third) = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
x1, x2 = np.meshgrid(np.linspace(0.5, 5.5, 200), np.linspace(0.02, 1.15, 200))
first.contour(
    x1, x2, np.log10(loss(np.stack([x1, x2]))), levels=12, colors="#cccccc", linewidths=0.6
)
first.plot(20**0.5, 20**-0.5, "+", color="#444444", ms=10)
steps = np.arange(1, STEPS + 1)
for name, (rate, xs, losses, sizes) in results.items():
    (color, dash), _ = OPTIMIZERS[name]
    style = {"color": color, "ls": dash, "lw": 1.4}
    first.plot(*xs[0].T, label=f"{name}, rate {rate:g}", **style)
    second.plot(steps, np.median(losses, axis=0), **style)
    if name in ("Adam", "S3"):
        second.fill_between(
            steps, *np.quantile(losses, (0.05, 0.95), axis=0), color=color, alpha=0.2
        )
    third.plot(steps, np.median(sizes, axis=0), **style)
first.set(xlabel="$x_1$", ylabel="$x_2$", xlim=(0.5, 5.5), ylim=(0, 1.15))
first.legend(frameon=False, fontsize=8, loc="upper right")
second.set(
    xscale="log", yscale="log", xlabel="step", ylabel="loss (median of 100 runs, bands 5 to 95%)"
)
third.set(xscale="log", yscale="log", xlabel="step", ylabel="mean |update| (median of 100 runs)")
for axes, title in ((first, "Trajectory of one run"), (second, "Loss"), (third, "Update")):
    axes.set_title(title, loc="left", size=10)
    clean(axes)
plt.show()
