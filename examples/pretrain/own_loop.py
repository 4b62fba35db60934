"""The one line that changes in a loop of your own with `nnx.Optimizer`.

python -m examples.pretrain.own_loop
"""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import gradpow
from gradpow.presets import decay_mask

from .llama import PRESETS, Llama


@nnx.jit
def train_step(model: nnx.Module, optimizer: nnx.Optimizer, tokens: jax.Array) -> jax.Array:
    def loss_of(model):
        logits, auxiliary = model(tokens[:, :-1])
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:]).mean()
        return loss + auxiliary

    loss, grads = nnx.value_and_grad(loss_of)(model)
    optimizer.update(model, grads)
    return loss


def main() -> list[float]:
    model = Llama(PRESETS["llama-nano"], rngs=nnx.Rngs(0))
    # It was:     optax.adamw(3e-3, weight_decay=0.1, mask=decay_mask)
    tx = gradpow.adampower(3e-3, weight_decay=0.1, mask=decay_mask)
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)

    counting = jnp.arange(8 * 65, dtype=jnp.int32).reshape(8, 65) % 256
    losses = [float(train_step(model, optimizer, counting)) for _ in range(30)]
    print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f}")
    return losses


if __name__ == "__main__":
    main()
