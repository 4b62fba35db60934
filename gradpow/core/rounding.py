"""Stochastic rounding whose randomness is a hash, the same for every sharding."""

import jax
import jax.numpy as jnp
from jax import lax

__all__ = ["hash_words", "round_stochastically"]


def round_stochastically(x: jax.Array, key: jax.Array) -> jax.Array:
    """x as bfloat16, by adding 16 random bits below its last kept bit and cutting them off.

    The same key gives the same bits under any sharding.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import hash_words, round_stochastically
      >>> round_stochastically(jnp.ones(2), hash_words(jnp.uint32(0)))
      Array([1, 1], dtype=bfloat16)
    """
    noise = hash_words(key, _global_index(x.shape)) >> 16
    bits = lax.bitcast_convert_type(x, jnp.uint32) + noise
    rounded = lax.bitcast_convert_type(bits & jnp.uint32(0xFFFF0000), jnp.float32)
    # The carry that rounds a finite number up would turn a NaN into something else.
    return jnp.where(jnp.isfinite(x), rounded, x).astype(jnp.bfloat16)


def _global_index(shape: tuple[int, ...]) -> jax.Array:
    """Row-major positions modulo 2^32, made of iotas, which every shard computes for itself."""
    index, stride = jnp.zeros(shape, jnp.uint32), 1
    for axis in reversed(range(len(shape))):
        index += lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride % 2**32)
        stride *= shape[axis]
    return index


def hash_words(*words: jax.Array) -> jax.Array:
    """Mixes words into 32 bits: xor-shift and multiply rounds, as in MurmurHash3's finalizer.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import hash_words
      >>> bool(hash_words(jnp.uint32(1)) == hash_words(jnp.uint32(2)))
      False
    """
    h = jnp.uint32(0x9E3779B9)
    for word in words:
        h = h ^ word
        h = (h ^ (h >> 16)) * jnp.uint32(0x85EBCA6B)
        h = (h ^ (h >> 13)) * jnp.uint32(0xC2B2AE35)
        h = h ^ (h >> 16)
    return h
