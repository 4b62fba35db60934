r"""
S3: how large one coordinate's update can get
=============================================

Theorems 1 and 2 of the paper, against the worst gradients that an optimizer finds. The paper has no
figure for them.

Adam divides an average of 10 gradients by one of 1,000. Gradients that grow by the right factor
make the first follow while the second still remembers silence, and the update reaches 7.27 times
the rate (Theorem 1, :math:`\beta_1 = 0.9, \beta_2 = 0.999`). S3's two averages have one length, so
no gradients whatever move a coordinate by more than the rate (Theorem 2).

Here the gradients are parameters: starting from Gaussian noise, they are trained to make the last
update as large as can be, by differentiating through the very transformations that one trains with.
"""

import functools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from examples.style import clean, look
from gradpow import chain, theory
from gradpow.transforms import nesterov_pmoment, p_norm_scale

TIMES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
LENGTH = 200  # gradients that are trained; those before them are 0
METHODS = {
    "Adam (0.9, 0.999)": (
        optax.scale_by_adam(0.9, 0.999, eps=0.0),
        look("adam")[1:],
        (0.9, 0.999),
    ),
    "Adam (0.9, 0.95)": (optax.scale_by_adam(0.9, 0.95, eps=0.0), ("#999999", "--"), (0.9, 0.95)),
    "S3, p = 3": (chain(nesterov_pmoment(0.95), p_norm_scale(0.95, 3)), look("s3")[1:], None),
    "S3, p = 1": (chain(nesterov_pmoment(0.95), p_norm_scale(0.95, 1)), ("#D55E00", ":"), None),
}


# %%
# The worst gradients
# -------------------
# Gradients are the hyperbolic sine of what is trained: of both signs, and of any size.


def last_update(tx, silent, x):
    """The update after `silent` zeros and the gradients sinh(x)."""
    state = tx.init(jnp.zeros(()))
    if isinstance(state, optax.ScaleByAdamState):
        state = state._replace(count=jnp.asarray(silent))  # zeros leave all else as it is

    def step(state, g):
        u, state = tx.update(g, state, jnp.zeros(()))
        return state, u

    return jax.lax.scan(step, state, jnp.sinh(x))[1][-1]


@functools.partial(jax.jit, static_argnums=(0, 1))
def worst(tx, length, silent):
    """The largest update found after `silent` zeros and so many gradients, and their sizes."""
    ascent = optax.adam(optax.cosine_decay_schedule(0.3, 600))

    def objective(x):
        return -jnp.log(jnp.abs(last_update(tx, silent, x)))

    def step(carry, _):
        x, state = carry
        updates, state = ascent.update(jax.grad(objective)(x), state)
        return (x + updates, state), None

    x = jax.random.normal(jax.random.key(0), (length,))
    (x, _), _ = jax.lax.scan(step, (x, ascent.init(x)), length=600)
    return jnp.abs(last_update(tx, silent, x)), jnp.abs(jnp.sinh(x))


found = {
    name: [worst(tx, min(t, LENGTH), max(0, t - LENGTH)) for t in TIMES]
    for name, (tx, *_) in METHODS.items()
}
for name, results in found.items():
    largest = max(float(size) for size, _ in results)
    print(f"{name}: largest update found {largest:.3f}")
    betas = METHODS[name][2]
    assert largest < (theory.adam_update_bound(*betas) if betas else 1) * (1 + 1e-4)  # roundings

# %%
# The bounds
# ----------
# Dots are the largest updates found, lines what the theorems allow. Beside them the shape of the
# worst gradients: growing by :math:`\beta_2 / \beta_1` a step for Adam, as Theorem 1 says, and of
# one size for S3 at p > 1. At p = 1, all gradients of one sign are as bad.

figure, (first, second) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
t = np.unique(np.geomspace(1, TIMES[-1], 200).astype(int))
for name, (_, (color, dash), betas) in METHODS.items():
    bound = theory.adam_update_bound(*betas, t) if betas else np.ones(len(t))
    first.plot(t, bound, color=color, ls=dash, lw=1.4, label=name)
    first.plot(TIMES, [size for size, _ in found[name]], "o", color=color, ms=4)
first.set(xscale="log", yscale="log", xlabel="step t", ylabel="|update|")
first.set_yticks([1, 2, 5, 7.27], ["1", "2", "5", "7.27"])
first.minorticks_off()
first.set_title("Largest update found, and the bound", loc="left", size=10)

back = np.arange(LENGTH)
for name in ("Adam (0.9, 0.999)", "Adam (0.9, 0.95)", "S3, p = 3"):
    _, (color, dash), betas = METHODS[name]
    g = np.asarray(found[name][TIMES.index(1000)][1])[::-1]
    second.plot(back, g / g[0], "o", color=color, ms=2.5)
    second.plot(
        back,
        (betas[0] / betas[1]) ** back if betas else np.ones(LENGTH),
        color=color,
        ls=dash,
        lw=1.2,
        label=name,
    )
second.set(
    yscale="log",
    xlim=(60, -2),
    ylim=(1e-3, 4),
    xlabel="steps before the last",
    ylabel="|gradient| over the last",
)
second.set_title("The worst gradients, t = 1,000", loc="left", size=10)
for axes in (first, second):
    axes.legend(frameon=False, fontsize=8)
    clean(axes)
plt.show()

# %%
# Larger p, larger norm
# ---------------------
# Theorem 2, part 3: the norm :math:`b_t(p)` that S3 divides by grows with p, and most where
# gradients are uneven, so that larger p damp a sudden gradient more. With an update of 1 the link
# returns :math:`1 / b_t(p)`.


@jax.jit
def norm(p, gradients):
    tx = p_norm_scale(0.95, p)

    def step(state, g):
        u, state = tx.update(jnp.ones(()), state, grad=g)
        return state, 1 / u

    return jax.lax.scan(step, tx.init(jnp.zeros(())), gradients)[1][-1]


generator = np.random.default_rng(0)
normal = generator.standard_normal(500)
spike = np.append(normal[:-1], 10.0)
sequences = {
    "all 1": (np.ones(500), "-"),
    "Gaussian": (normal, "--"),
    "Student's t, 2 degrees": (generator.standard_t(2, 500), "-."),
    "Gaussian, the last 10": (spike, ":"),
}
powers = np.linspace(1, 8, 57)
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
for label, (gradients, dash) in sequences.items():
    norms = np.array([norm(p, jnp.asarray(gradients, jnp.float32)) for p in powers])
    assert np.all(np.diff(norms) > -1e-6 * norms[1:])  # Theorem 2, part 3, up to rounding
    axes.plot(powers, norms / norms[0], color="#D55E00", ls=dash, lw=1.4, label=label)
axes.set(xlabel="power p", ylabel="$b_t(p) / b_t(1)$", yscale="log")
axes.set_yticks([1, 2, 5], ["1", "2", "5"])
axes.minorticks_off()
axes.set_title("S3's norm over p", loc="left", size=10)
axes.legend(frameon=False, fontsize=8)
clean(axes)
plt.show()
