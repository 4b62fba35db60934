r"""
GradPower: the power with the largest update
============================================

Figure 7 of the paper (Example 4.1), with the closed form and Propositions 4.2 and 4.3 drawn over
it.

AdamPower raises every gradient to the power p before Adam sees it. Where a gradient is a constant
mean :math:`\mu` under uniform noise, :math:`g \sim \mathrm{Unif}(\mu - \sigma, \mu + \sigma)`,
which p makes the update :math:`u_t = m_t / (\sqrt{v_t} + \epsilon)` largest? Small powers, while
the mean dominates; one above 1, once the noise does.

**Assumed.** The figure's text does not say at which noise-to-signal ratios it was drawn; seven from
0.1 to 100 are taken here. It plots :math:`u_t` at :math:`t = 10^6`, but with :math:`\beta_1 = 0.9`
a single :math:`u_t` scatters by more than its mean once :math:`\sigma` exceeds :math:`\mu` a few
times, so the mean over all steps is drawn, bias correction and all. Everything else is the paper's:
:math:`\mu = 10^{-6}, \beta_1 = 0.9, \beta_2 = 0.95, \epsilon = 10^{-8}`, no decay.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from examples.style import clean
from gradpow import theory
from gradpow.transforms import sign_power

MU, EPS = 1e-6, 1e-8
RATIOS = np.array([0.1, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0])
POWERS = np.linspace(0.2, 2.4, 23)
CHUNKS, CHUNK = 1000, 1000  # a million steps; the mean of each thousand is kept


# %%
# A million steps of ``sign_power`` and optax's Adam, for all powers and ratios at once: links take
# traced hyper-parameters, so the powers are one more axis for ``vmap``. All powers see the same
# noise.


def links(p):
    return optax.chain(sign_power(p), optax.scale_by_adam(b1=0.9, b2=0.95, eps=EPS))


def update(p, noise, state):
    g = MU * (1 + jnp.asarray(RATIOS, jnp.float32) * noise)
    return links(p).update(g, state)


@jax.jit
def simulate(powers, key):
    zeros = jnp.zeros(len(RATIOS))
    states = jax.vmap(lambda p: links(p).init(zeros))(powers)

    def chunk(states, key):
        noise = jax.random.uniform(key, (CHUNK, len(RATIOS)), minval=-1.0, maxval=1.0)

        def step(states, noise):
            updates, states = jax.vmap(update, in_axes=(0, None, 0))(powers, noise, states)
            return states, updates

        states, updates = jax.lax.scan(step, states, noise)
        return states, updates.mean(axis=0)

    return jax.lax.scan(chunk, states, jax.random.split(key, CHUNKS))[1]


chunks = np.asarray(simulate(jnp.asarray(POWERS, jnp.float32), jax.random.key(0)), np.float64)
mean = chunks.mean(axis=0)  # one row a power, one column a ratio
error = chunks.std(axis=0) / np.sqrt(CHUNKS)
print(f"standard error of the means: at most {(error / mean).max():.2%}")

# %%
# The closed form of Appendix C.2 is the limit :math:`\beta_2 \to 1`. The simulation's averages are
# shorter, so the two are close but not the same. Stars mark the best power of each curve. Which p
# is best depends on the noise alone once it dominates: there Proposition 4.3's root follows the
# closed form, and the paper's two estimates enclose it.

fine = np.linspace(POWERS[0], POWERS[-1], 441)
limit = theory.limit_update(fine[:, None], MU, MU * RATIOS, EPS)

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
colors = plt.colormaps["viridis"](np.linspace(0, 0.9, len(RATIOS)))
for i, (ratio, color) in enumerate(zip(RATIOS, colors, strict=True)):
    left.plot(fine, limit[:, i], color=color, lw=1.5)
    left.plot(POWERS, mean[:, i], "o", color=color, ms=3)
    best = mean[:, i].argmax()
    left.plot(POWERS[best], mean[best, i], "*", color=color, ms=13, mec="white")
    left.annotate(
        f"{ratio:g}",
        (fine[0], limit[0, i]),
        xytext=(-6, (6, -6)[i] if i < 2 else 0),
        textcoords="offset points",
        ha="right",
        va="center",
        color=color,
        fontsize=8,
    )
low = theory.low_noise_update(fine, MU, EPS)
high = theory.high_noise_update(fine, MU, MU * RATIOS[-1], EPS)
left.plot(fine, low, "--", color="#D55E00", lw=1.2)
left.plot(fine, high, "--", color="#D55E00", lw=1.2, label="Propositions 4.2 and 4.3")
left.plot([], [], "o", color="#444444", ms=3, label=r"simulated, $\beta_2 = 0.95$")
left.plot([], [], "-", color="#444444", lw=1.5, label=r"closed form, $\beta_2 \to 1$")
left.plot([], [], "*", color="#444444", ms=10, label="best power simulated")
left.set(yscale="log", xlabel="power p", ylabel="mean update u", xlim=(0, 2.5), ylim=(1e-4, 2))
left.set_title(r"Update over p, by noise-to-signal ratio $\sigma / \mu$", loc="left", size=10)
left.legend(frameon=False, fontsize=8, loc="lower left")

ratios = np.geomspace(0.1, 1e4, 200)
grid = np.linspace(0.01, 4, 2000)
best = grid[theory.limit_update(grid[:, None], MU, MU * ratios, EPS).argmax(axis=0)]
noisy = ratios > 1
bounds = theory.best_power_bounds(MU * ratios[noisy], EPS)
right.fill_between(ratios[noisy], *bounds, color="#D55E00", alpha=0.15, lw=0, label="its estimates")
right.plot(
    ratios[noisy],
    theory.best_power(MU * ratios[noisy], EPS),
    "--",
    color="#D55E00",
    lw=1.2,
    label="Proposition 4.3",
)
right.plot(ratios, best, "-", color="#444444", lw=1.5, label="closed form")
right.plot(
    RATIOS,
    POWERS[mean.argmax(axis=0)],
    "*",
    color="#444444",
    ms=10,
    mec="white",
    label="simulated, to the nearest tenth",
)
right.axhline(1, color="#999999", lw=0.8)
right.set(xscale="log", xlabel=r"noise-to-signal ratio $\sigma / \mu$", ylabel="best power p")
right.set_title("Best power over the noise", loc="left", size=10)
right.legend(frameon=False, fontsize=8, loc="lower right")
for axes in (left, right):
    clean(axes)
plt.show()
