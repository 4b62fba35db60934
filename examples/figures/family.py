r"""
The family: optimizers as chains of the same links
==================================================

Each row is an optimizer, each column a link, each dot a link that the optimizer is made of, and the
arcs at the right are identities: with the settings that stand there, one optimizer becomes the
other.

Links and states are read from the optimizers' own objects, and an arc is drawn after both of its
ends have taken the same 20 steps.
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
from examples.style import look
from gradpow.core import state_bytes
from gradpow.transforms import interpolated_momentum, p_norm_scale

# sphinx_gallery_thumbnail_number = 2

# %%
# Arcs and rows
# -------------
# An arc's ends, what stands beside it, and both ends with those settings.

inf = jnp.inf
adam = gradpow.adam(0.1, eps=1e-6)
lion = gradpow.lion(0.1, weight_decay=0.0)


def recombined(b1):
    """Lion's momentum over S3's norm: a chain of one's own."""
    return gradpow.chain(
        interpolated_momentum(b1, 0.95), p_norm_scale(0.95, 3), optax.scale_by_learning_rate(0.1)
    )


IDENTITIES = {
    ("sgd", "sgdpower", "p = 1"): [(gradpow.sgd(0.1), gradpow.sgdpower(0.1, p=1))],
    ("sgd", "lp_descent", "p = 2"): [(gradpow.sgd(0.1), gradpow.lp_descent(0.1, p=2))],
    ("lp_descent", "optax.sign_sgd", "p = ∞"): [
        (gradpow.lp_descent(0.1, p=inf), optax.sign_sgd(0.1))
    ],
    ("optax.adagrad", "adagradpower", "p = 1"): [
        (optax.adagrad(0.1, 0.0, eps=1e-8), gradpow.adagradpower(0.1, p=1))
    ],
    ("moonlight", "muonpower", "p = 1"): [(gradpow.moonlight(0.1), gradpow.muonpower(0.1, p=1))],
    ("adamw", "adampower", "p = 1"): [
        (gradpow.adamw(0.1, b2=0.95, weight_decay=0.1), gradpow.adampower(0.1, p=1))
    ],
    ("adam", "ams", "λ = 1 or β₃ = β₁"): [
        (adam, gradpow.ams(0.1, negative_scale=1)),
        (adam, gradpow.ams(0.1, negative_scale=0.5, b3=0.9)),
    ],
    ("ams", "grams", "λ = -1"): [(gradpow.ams(0.1, negative_scale=-1), gradpow.grams(0.1))],
    ("ams", "cautious_adam", "λ = 0"): [
        (gradpow.ams(0.1, negative_scale=0), gradpow.cautious_adam(0.1))
    ],
    ("lion", "cautious_lion", "cautious"): [(gradpow.cautious(lion), gradpow.cautious_lion(0.1))],
    ("lion", "stacey", "p = ∞, τ = ε = 0"): [
        (lion, gradpow.stacey(0.1, p=inf, tau=0.0, eps=0.0, weight_decay=None))
    ],
    ("s3", "chain(...)", "β₁ = β²"): [(gradpow.s3(0.1), recombined(0.95**2))],
}

# %%
# The rows are the arcs' ends: methods of the catalog, and in grey what is no method of ours.

OTHERS = {
    "optax.sign_sgd": optax.sign_sgd(0.1),
    "optax.adagrad": optax.adagrad(0.1),
    "chain(...)": recombined(0.9),
}
REQUIRED = {"sgdpower": {"p": 0.6}, "lp_descent": {"p": 3.0}}  # numbers without a default
ends = dict.fromkeys(name for *pair, _ in IDENTITIES for name in pair)
OPTIMIZERS = {
    name: OTHERS[name] if name in OTHERS else gradpow.get(name, 0.1, **REQUIRED.get(name, {}))
    for name in ends
}

# %%
# Reading a chain
# ---------------
# A transformation is a pair of functions. The name of the factory that made it stands in
# ``__qualname__``, and the links that it calls in its closure, in their order. Weight decay
# is left out.

WRAPPERS = {"chain", "with_extra_args_support", "partition"}
LEFT_OUT = {
    "identity", "scale", "add_decayed_weights", "decay_weights", "decay_stepped_weights",
}  # fmt: skip


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
for (one, other, settings), pairs in IDENTITIES.items():
    for pair in pairs:
        np.testing.assert_allclose(*map(steps, pair), rtol=1e-4, atol=1e-5)
    print(f"{one} and {other} are one with {settings}")

# %%
# The picture
# -----------


def in_order(rows: list[str]) -> list[str]:
    """Their links: those that follow one another stand so, whatever the optimizer."""
    order = graphlib.TopologicalSorter()
    for name in rows:
        for before, link in itertools.pairwise(made_of[name]):
            order.add(link, before)
        for link in made_of[name]:
            order.add(link)
    return list(order.static_order())


def draw(rows: list[str], size: tuple[float, float], font: float) -> None:
    columns = in_order(rows)
    _, axes = plt.subplots(figsize=size, layout="constrained")
    for row, name in enumerate(rows):
        label, color, _ = look(name) if name not in OTHERS else (name, "#888888", "")
        at = sorted(columns.index(link) for link in made_of[name])
        axes.hlines(row, -0.4, len(columns) - 0.6, color="#eeeeee", lw=0.8, zorder=0)
        axes.plot(at, [row] * len(at), "-o", color=color, lw=2.5, ms=9, mec="white")
        weight = "normal" if name in OTHERS else "bold"
        text = {"va": "center", "ha": "right", "fontsize": font}
        axes.annotate(label, (-0.7, row), color=color, fontweight=weight, **text)
        kept = f"{state_bytes(OPTIMIZERS[name], MATRIX):.0f}"
        axes.annotate(kept, (len(columns) + 0.2, row), color="#444444", **text)
    x = len(columns) + 0.5
    angle = np.linspace(0, np.pi, 50)
    for one, other, settings in IDENTITIES:
        if one in rows and other in rows:
            a, b = sorted((rows.index(one), rows.index(other)))
            bulge = 0.5 + 2.4 * (b - a - 1)
            height = (a + b) / 2 - (b - a) / 2 * np.cos(angle)
            axes.plot(x + bulge * np.sin(angle), height, color="#444444", lw=1)
            axes.annotate(
                settings,
                (x + bulge + 0.1, (a + b) / 2),
                va="center",
                fontsize=0.9 * font,
            )
    below = {"va": "top", "fontsize": 0.8 * font, "color": "#444444"}
    foot = len(rows) - 0.4
    axes.text(len(columns) + 0.2, foot, "bytes of state\na parameter", ha="right", **below)
    axes.text(x, foot, "one becomes\nthe other with", **below)
    axes.set_xticks(range(len(columns)), columns, rotation=40, ha="left", fontsize=0.9 * font)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, pad=0)
    axes.set(yticks=[], xlim=(-0.8, x + 5), ylim=(len(rows) + 0.6, -0.7))
    axes.spines[:].set_visible(False)


MATRIX = {"w": jax.ShapeDtypeStruct((40, 50), jnp.float32)}
draw(list(made_of), (12, 7), 10)
plt.show()

# %%
# One corner of it: what AMS becomes.

draw(["adam", "ams", "grams", "cautious_adam"], (6, 3.4), 14)
plt.show()
