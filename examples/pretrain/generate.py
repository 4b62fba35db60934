"""Continues token sequences with a model."""

import functools

import jax
import jax.numpy as jnp
from flax import nnx


def generate(
    model: nnx.Module,
    tokens: jax.Array,
    length: int,
    *,
    key: jax.Array,
    temperature: float = 1.0,
    top_k: int = 0,
    context: int,
) -> jax.Array:
    """From tokens [batch, position] to the same with `length` more.

    Every token is computed from the last `context` ones anew, without a cache of keys and values:
    that costs a whole forward pass a token, and keeps the models free of code for decoding.

    Args:
      model: from tokens to (logits, auxiliary loss), with `shape.vocab` tokens before the padding.
      tokens: at least one a sequence.
      length: tokens to add.
      key: of the choices.
      temperature: divides the logits; 0 takes the likeliest token.
      top_k: choose among the k likeliest; 0 for among all.
      context: the most tokens that the model sees at once.
    """
    graphdef, params = nnx.split(model)
    return _generate(graphdef, params, tokens, key, length, temperature, top_k, context)


@functools.partial(jax.jit, static_argnums=(0, 4, 5, 6, 7))
def _generate(graphdef, params, tokens, key, length, temperature, top_k, context):
    model = nnx.merge(graphdef, params)
    prompt = tokens.shape[1]
    window = min(context, prompt + length)

    def choose(logits, key):
        if temperature == 0:
            return logits.argmax(axis=-1)
        if top_k:
            least = jax.lax.top_k(logits, min(top_k, logits.shape[-1]))[0][:, -1:]
            logits = jnp.where(logits < least, -jnp.inf, logits)
        return jax.random.categorical(key, logits / temperature)

    def add(position, tokens):
        # Zeros follow the last token; the model is causal and does not see them.
        start = jnp.maximum(position - window, 0)
        seen = jax.lax.dynamic_slice_in_dim(tokens, start, window, axis=1)
        logits, _ = model(seen)
        last = jax.lax.dynamic_index_in_dim(logits, position - 1 - start, axis=1, keepdims=False)
        # Cut, since a temperature that levels the logits levels the mask of the padding too.
        new = choose(last[:, : model.shape.vocab], jax.random.fold_in(key, position))
        return tokens.at[:, position].set(new.astype(tokens.dtype))

    tokens = jnp.pad(tokens, ((0, 0), (0, length)))
    return jax.lax.fori_loop(prompt, prompt + length, add, tokens)
