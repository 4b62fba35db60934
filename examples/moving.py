"""A run in flight moves from optax.adamw to AdamPower: what that does to its loss.

An MLP learns handwritten digits with AdamW and moves on to AdamPower, with the rate, averages and
decay that it had. The ways differ in the moments that AdamPower starts from:

    python -m examples.moving
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

import gradpow

from .pretrain import cli
from .pretrain.errors import shown_in_one_line

P = 1.2
RATE = 1e-3
BATCH = 64
SEEDS = 8
# b2, steps of AdamW before the move, and of AdamPower after it.
RUNS = ((0.95, 300, 300), (0.999, 1000, 1000))
STRETCHES = {"first 20": slice(20), "first 100": slice(100), "last 50": slice(-50, None)}


def adamw(b2):
    return optax.adamw(RATE, b2=b2, eps=1e-8, weight_decay=0.1)


def adampower(b2, p=P):
    # Of the same weight beside powered gradients as 1e-8 beside gradients.
    return gradpow.adampower(RATE, p, b2=b2, eps=1e-8**P, weight_decay=0.1)


def move(state, old, mu=lambda mu, nu: mu, nu=lambda nu: nu):
    """A fresh state with the counts and, changed by two functions, the moments of AdamW's."""
    adam = optax.tree.get(old, "ScaleByAdamState")
    return optax.tree.set(
        state,
        count=adam.count,
        mu=jax.tree.map(mu, adam.mu, adam.nu),
        nu=jax.tree.map(nu, adam.nu),
    )


def stay(old, params, b2):
    """AdamW goes on."""
    return adamw(b2), old


def restart(old, params, b2):
    """AdamW goes on, from its init."""
    return adamw(b2), adamw(b2).init(params)


def fresh(old, params, b2):
    """AdamPower from its init."""
    return adampower(b2), adampower(b2).init(params)


def copy(old, params, b2):
    """The moments as they are."""
    return adampower(b2), move(adampower(b2).init(params), old)


def raise_p(old, params, b2):
    """The moments as they are, and p from 1 up over the steps that nu remembers."""
    inject = functools.partial(optax.inject_hyperparams, hyperparam_dtype=jnp.float32)
    schedule = optax.linear_schedule(1.0, P, round(1 / (1 - b2)))
    tx = inject(lambda p: adampower(b2, p))(p=schedule)
    state: Any = tx.init(params)
    return tx, state._replace(inner_state=move(state.inner_state, old))


def power(old, params, b2):
    """phi_p(mu) and nu^p, with phi_p(x) = sign(x) abs(x)^p."""
    change = {"mu": lambda mu, nu: jnp.sign(mu) * jnp.abs(mu) ** P, "nu": lambda nu: nu**P}
    return adampower(b2), move(adampower(b2).init(params), old, **change)


def rescale(old, params, b2):
    """nu^p, and mu nu^((p - 1) / 2), so that mu / sqrt(nu) stays."""
    change = {"mu": lambda mu, nu: mu * nu ** ((P - 1) / 2), "nu": lambda nu: nu**P}
    return adampower(b2), move(adampower(b2).init(params), old, **change)


WAYS = (stay, restart, fresh, copy, raise_p, power, rescale)


def init(key):
    first, second = jax.random.split(key)
    return {
        "first": jax.random.normal(first, (64, 64), jnp.float32) / 8,
        "second": jax.random.normal(second, (64, 10), jnp.float32) / 8,
    }


def loss(params, images, labels):
    logits = jax.nn.relu(images @ params["first"]) @ params["second"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def train(tx, state, params, key, steps, data):
    """The state and the parameters after some steps, and the loss of all images after each."""

    def step(carry, key):
        state, params = carry
        batch = jax.random.randint(key, (BATCH,), 0, len(data[1]), jnp.int32)
        grads = jax.grad(loss)(params, data[0][batch], data[1][batch])
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        return (state, params), loss(params, *data)

    (state, params), losses = jax.lax.scan(step, (state, params), jax.random.split(key, steps))
    return state, params, losses


def compare(b2, before, after, ways=WAYS, seeds=SEEDS):
    """The loss after each step that follows the move, by way: arrays (seeds, after)."""
    images, labels = load_digits(return_X_y=True)
    data = jnp.asarray(images / 16, jnp.float32), jnp.asarray(labels)

    @jax.jit
    @jax.vmap
    def run(seed):
        start, first, second = jax.random.split(jax.random.key(seed), 3)
        params, tx = init(start), adamw(b2)
        old, params, _ = train(tx, tx.init(params), params, first, before, data)
        moved = {way.__name__: way(old, params, b2) for way in ways}
        return {
            name: train(tx, state, params, second, after, data)[2]
            for name, (tx, state) in moved.items()
        }

    return jax.tree.map(np.asarray, run(jnp.arange(seeds)))


def ratios(losses):
    """The mean loss of each stretch over that of AdamW going on, by way: arrays (seeds,)."""
    return {
        way: {
            name: losses[way][:, steps].mean(1) / losses["stay"][:, steps].mean(1)
            for name, steps in STRETCHES.items()
        }
        for way in losses
    }


def table(b2, before, after, seeds=SEEDS):
    """A table in Markdown of the ratios' means over the seeds, lowest and highest in brackets."""
    found = ratios(compare(b2, before, after, seeds=seeds))
    lines = [["way", *STRETCHES], ["---"] * (1 + len(STRETCHES))]
    for way in WAYS[1:]:
        cells = (
            f"{x.mean():.3f} ({x.min():.3f} - {x.max():.3f})" for x in found[way.__name__].values()
        )
        lines.append([f"`{way.__name__}`", *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(seeds: int = SEEDS):
    """Prints how high the loss stands after the move, way by way, relative to AdamW going on."""
    cli.require_at_least(1, seeds=seeds)
    for way in WAYS:
        print(f"{way.__name__}: {way.__doc__}")
    for run in RUNS:
        print("\nb2 = {}, {} steps of AdamW, then {}\n".format(*run))
        print(table(*run, seeds))


if __name__ == "__main__":
    import tyro

    with shown_in_one_line("moving"):
        tyro.cli(main)
