r"""
The family: every optimizer, as a chain of the same links
=========================================================

Each row is an optimizer, each column a link, each dot a link that the optimizer is made of, and the
arcs at the right are identities: with the settings that stand there, one optimizer becomes the
other.

Nothing here is typed in: links and states are read from the optimizers' own objects, and an arc is
drawn after both of its ends have taken the same 20 steps.
"""

import functools
import graphlib
import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import gradpow
from examples.style import LOOKS
from gradpow.transforms import interpolated_momentum, p_norm_scale

# %%
# Rows and arcs
# -------------
# What optax has is grey. Weight decay is left out of the picture.

inf = jnp.inf


def recombined(b1):
    """Lion's momentum over S3's norm: a chain of one's own."""
    return gradpow.chain(
        interpolated_momentum(b1, 0.95), p_norm_scale(0.95, 3), optax.scale_by_learning_rate(0.1)
    )


OPTIMIZERS = {
    "optax.sgd": optax.sgd(0.1),
    "sgdpower": gradpow.sgdpower(0.1, p=0.6),
    "lp_descent": gradpow.lp_descent(0.1, p=3),
    "optax.sign_sgd": optax.sign_sgd(0.1),
    "optax.adagrad": optax.adagrad(0.1, initial_accumulator_value=0.0, eps=1e-8),
    "adagradpower": gradpow.adagradpower(0.1),
    "optax.contrib.muon": optax.contrib.muon(0.1, weight_decay=0.0, consistent_rms=0.2),
    "muonpower": gradpow.muonpower(0.1, weight_decay=0.0),
    "optax.adam": optax.adam(0.1, eps=1e-6),
    "adampower": gradpow.adampower(0.1, b2=0.999, eps=1e-6, weight_decay=0.0),
    "ams": gradpow.ams(0.1, negative_scale=0.5),
    "grams": gradpow.grams(0.1),
    "cautious_adam": gradpow.cautious_adam(0.1),
    "optax.lion": optax.lion(0.1, weight_decay=0.0),
    "cautious_lion": gradpow.cautious_lion(0.1),
    "stacey": gradpow.stacey(0.1, weight_decay=0.0),
    "s3": gradpow.s3(0.1),
    "chain(...)": recombined(0.9),
}
plain = dict(tau=0.0, eps=0.0, weight_decay=0.0)
IDENTITIES = {  # ends, what stands at the arc, and the first end with those settings
    ("sgdpower", "optax.sgd", "p = 1"): [gradpow.sgdpower(0.1, p=1)],
    ("lp_descent", "optax.sgd", "p = 2"): [gradpow.lp_descent(0.1, p=2)],
    ("lp_descent", "optax.sign_sgd", "p = ∞"): [gradpow.lp_descent(0.1, p=inf)],
    ("adagradpower", "optax.adagrad", "p = 1"): [gradpow.adagradpower(0.1, p=1)],
    ("muonpower", "optax.contrib.muon", "p = 1"): [gradpow.muonpower(0.1, p=1, weight_decay=0.0)],
    ("adampower", "optax.adam", "p = 1"): [
        gradpow.adampower(0.1, p=1, b2=0.999, eps=1e-6, weight_decay=0.0)
    ],
    ("ams", "optax.adam", "λ = 1 or β₃ = β₁"): [
        gradpow.ams(0.1, negative_scale=1),
        gradpow.ams(0.1, negative_scale=0.5, b3=0.9),
    ],
    ("ams", "grams", "λ = -1"): [gradpow.ams(0.1, negative_scale=-1)],
    ("ams", "cautious_adam", "λ = 0"): [gradpow.ams(0.1, negative_scale=0)],
    ("stacey", "optax.lion", "p = ∞, τ = ε = 0"): [gradpow.stacey(0.1, p=inf, **plain)],
    ("chain(...)", "s3", "β₁ = β²"): [recombined(0.95**2)],
}

# %%
# Reading a chain
# ---------------
# A transformation is a pair of functions. The name of the factory that made it stands in
# ``__qualname__``, and the links that it calls in its closure, in their order.

WRAPPERS = {"chain", "with_extra_args_support", "partition"}
LEFT_OUT = {"identity", "scale", "add_decayed_weights", "decay_stepped_weights"}


def updates_in(value: Any) -> Iterator[Callable[..., Any]]:
    """The update functions among what a closure holds."""
    if isinstance(value, optax.GradientTransformation):
        yield value.update
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from updates_in(item)
    elif isinstance(value, dict):
        yield from updates_in(list(value.values()))
    elif inspect.isfunction(value) and value.__name__.startswith("update"):
        yield value


def links(update: Callable[..., Any]) -> Iterator[str]:
    factory = update.__qualname__.split(".")[0]
    if factory not in WRAPPERS | LEFT_OUT:
        yield factory
    if inspect.isfunction(update):
        for value in inspect.getclosurevars(update).nonlocals.values():
            for inner in updates_in(value):
                yield from links(inner)


def bytes_of_state(tx: optax.GradientTransformation) -> float:
    """A parameter, of arrays as large as the parameters."""
    matrix = jax.ShapeDtypeStruct((40, 50), jnp.float32)
    leaves = jax.tree.leaves(jax.eval_shape(tx.init, {"w": matrix}))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves if leaf.size > 1) / matrix.size


@functools.partial(jax.jit, static_argnums=0)
def steps(tx: optax.GradientTransformation) -> jax.Array:
    def step(carry, key):
        params, state = carry
        grads = {"w": jax.random.normal(key, (4, 5))}
        updates, state = tx.update(grads, state, params)
        return (optax.apply_updates(params, updates), state), updates["w"]

    params = {"w": jax.random.normal(jax.random.key(0), (4, 5))}
    start = params, tx.init(params)
    return jax.lax.scan(step, start, jax.random.split(jax.random.key(1), 20))[1]


made_of = {name: list(dict.fromkeys(links(tx.update))) for name, tx in OPTIMIZERS.items()}
for name, found in made_of.items():
    print(f"{name}: {' -> '.join(found) or 'the gradient itself'}")
for (one, other, settings), transformations in IDENTITIES.items():
    for tx in transformations:
        np.testing.assert_allclose(steps(tx), steps(OPTIMIZERS[other]), rtol=1e-4, atol=1e-5)
    print(f"{one} with {settings} is {other}")

# %%
# The picture
# -----------

# Links that follow one another stand so, whatever the optimizer.
order = graphlib.TopologicalSorter()
for found in made_of.values():
    for before, link in itertools.pairwise(found):
        order.add(link, before)
    for link in found:
        order.add(link)
columns = list(order.static_order())
figure, axes = plt.subplots(figsize=(11, 6.2), layout="constrained")
for row, (name, found) in enumerate(made_of.items()):
    ours = not name.startswith("optax.")
    color = LOOKS[name].color if name in LOOKS else "#444444" if ours else "#888888"
    at = sorted(columns.index(link) for link in found)
    axes.hlines(row, -0.4, len(columns), color="#eeeeee", lw=0.8, zorder=0)
    axes.plot(at, [row] * len(at), "-o", color=color, lw=2.5, ms=9, mec="white")
    axes.annotate(
        name,
        (-0.7, row),
        ha="right",
        va="center",
        color=color,
        fontsize=10,
        fontweight="bold" if ours else "normal",
    )
    axes.annotate(
        f"{bytes_of_state(OPTIMIZERS[name]):.0f}",
        (len(columns) - 0.1, row),
        ha="right",
        va="center",
        fontsize=9,
        color="#444444",
    )
rows = list(made_of)
for one, other, settings in IDENTITIES:
    a, b = sorted((rows.index(one), rows.index(other)))
    x = len(columns) + 0.15
    bulge = 0.5 + 1.25 * (b - a - 1)
    curve = np.linspace(0, np.pi, 50)
    axes.plot(
        x + bulge * np.sin(curve), (a + b) / 2 - (b - a) / 2 * np.cos(curve), color="#444444", lw=1
    )
    axes.annotate(settings, (x + bulge + 0.1, (a + b) / 2), va="center", fontsize=8.5)
axes.set_xticks(range(len(columns)), columns, rotation=35, ha="left", fontsize=9)
below = {"va": "top", "fontsize": 8, "color": "#444444"}
axes.text(len(columns) - 0.1, len(rows) - 0.4, "bytes of state\na parameter", ha="right", **below)
axes.text(len(columns) + 0.15, len(rows) - 0.4, "becomes the other with", **below)
axes.xaxis.tick_top()
axes.tick_params(length=0)
axes.set(yticks=[], xlim=(-3.6, len(columns) + 4.6), ylim=(len(rows) + 0.4, -0.7))
axes.spines[:].set_visible(False)
plt.show()
