"""One training step and the validation loss, as pure functions of plain arrays.

The model is split once into its graph and its parameters, and optax works on the parameters: with
200 tensors that takes a third of the dispatch of `nnx.jit` with `nnx.Optimizer`.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from gradpow import metrics

from .sharding import constrain, constrain_as_params

# From parameters, a batch and dropout's key (None: no dropout) to the loss of each of the batch's
# examples and the model's auxiliary loss.
Losses = Callable[[Any, Any, Any], tuple[jax.Array, jax.Array]]


class TrainState(NamedTuple):
    """All that a run carries from step to step, on the device."""

    step: jax.Array  # steps taken, skipped ones among them
    skipped: jax.Array  # steps whose gradient was not finite
    skipped_in_row: jax.Array
    params: Any
    opt_state: optax.OptState


METRICS = (
    "loss",
    "grad_norm",
    "update_rms",
    "update_max",
    "sign_agreement",
    "learning_rate",
    "skipped",
    "skipped_in_row",
)


def init_state(params: Any, optimizer: optax.GradientTransformation) -> TrainState:
    # Three arrays, since a donated buffer may not be given twice.
    step, skipped, in_row = (jnp.zeros([], jnp.int32) for _ in range(3))
    return TrainState(step, skipped, in_row, params, optimizer.init(params))


def cross_entropy(graphdef: nnx.GraphDef, params: Any, tokens: jax.Array, key: Any = None):
    """The mean loss of each sequence's next tokens, in nats, and the model's auxiliary loss."""
    logits, auxiliary = nnx.merge(graphdef, params)(tokens[:, :-1], key=key)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:])
    return losses.mean(axis=-1), auxiliary


def make_gradients(losses: Losses, accumulate: int) -> Callable[..., tuple[jax.Array, Any]]:
    """From params, batch and dropout's key to loss and gradients, each part of a batch by itself.

    The loss is without the model's auxiliary one, of which the gradients are too.
    """

    def objective(params, batch, key):
        each, auxiliary = losses(params, batch, key)
        loss = each.mean()
        return loss + auxiliary, loss

    def gradients(params, batch, key):
        (_, loss), grads = jax.value_and_grad(objective, has_aux=True)(params, batch, key)
        return loss, constrain_as_params(grads)

    def cut(x):
        # Every part has examples of every device.
        parts = x.reshape(-1, accumulate, *x.shape[1:]).swapaxes(0, 1)
        return constrain(parts, None, "batch", *(None,) * (x.ndim - 1))

    def accumulated(params, batch, key):
        def add(total, part):
            index, batch = part
            part_key = None if key is None else jax.random.fold_in(key, index)
            found = gradients(params, batch, part_key)
            return jax.tree.map(jnp.add, total, found), None

        zero = (
            jnp.zeros([], jnp.float32),
            constrain_as_params(jax.tree.map(jnp.zeros_like, params)),
        )
        total, _ = jax.lax.scan(add, zero, (jnp.arange(accumulate), jax.tree.map(cut, batch)))
        return jax.tree.map(lambda x: x / accumulate, total)

    return gradients if accumulate == 1 else accumulated


def make_step(
    losses: Losses,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    *,
    seed: int,
    accumulate: int,
    dropout: bool,
    out_shardings: Any = None,
) -> Any:
    """The step from state and batch to the next state and METRICS."""
    gradients = make_gradients(losses, accumulate)

    def step(state: TrainState, batch: Any):
        # The key follows from seed and step, so that a resumed run draws the same masks.
        key = jax.random.fold_in(jax.random.key(seed), state.step) if dropout else None
        loss, grads = gradients(state.params, batch, key)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)

        grad_norm = optax.tree.norm(grads)
        finite = jnp.isfinite(grad_norm)
        params = optax.apply_updates(state.params, updates)
        params, opt_state = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old),
            (params, opt_state),
            (state.params, state.opt_state),
        )
        # Under a condition the updates are an array, where XLA would compute them anew for each
        # of the four sums.
        nothing = (jnp.float32(jnp.nan),) * 3
        about = jax.lax.cond(finite, describe, lambda *_: nothing, updates, grads)

        skipped = state.skipped + ~finite
        in_row = jnp.where(finite, 0, state.skipped_in_row + 1)
        taken = state.step - state.skipped  # what the schedules in the optimizer's state count
        measured = (loss, grad_norm, *about, schedule(taken), skipped, in_row)
        measured = jnp.stack([jnp.asarray(m, jnp.float32) for m in measured])
        return TrainState(state.step + 1, skipped, in_row, params, opt_state), measured

    return jax.jit(step, donate_argnums=0, out_shardings=out_shardings)


def describe(updates: Any, grads: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    found = (
        metrics.update_rms(updates),
        metrics.largest_update(updates),
        metrics.sign_agreement(updates, grads),
    )
    rms, largest, agreement = (x.astype(jnp.float32) for x in found)
    return rms, largest, agreement


def make_evaluate(
    measure: Callable[[Any, Any], Any],
    validation: Any,
    batch_size: int,
    put: Callable[[np.ndarray], jax.Array] = jnp.asarray,
) -> Callable[[Any], Any]:
    """The means over the validation examples of what `measure(params, batch)` says of each.

    In batches, of which the last is filled up with examples that count nothing; `put` lays an array
    on the devices.
    """
    count = len(jax.tree.leaves(validation)[0])
    starts = range(0, count, batch_size)

    def cut(x, start):
        part = x[start : start + batch_size]
        return put(np.pad(part, ((0, batch_size - len(part)), *((0, 0),) * (x.ndim - 1))))

    counts = np.ones(count, np.float32)
    batches = [
        jax.tree.map(functools.partial(cut, start=start), (validation, counts)) for start in starts
    ]

    @jax.jit
    def total(params, batch, counts):
        return jax.tree.map(lambda x: jnp.sum(x * counts), measure(params, batch))

    def evaluate(params):
        totals = [total(params, *batch) for batch in batches]
        return jax.tree.map(lambda *parts: sum(map(float, parts)) / count, *totals)

    return evaluate
