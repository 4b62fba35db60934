"""low_precision_state: the rounding is unbiased, its noise is sound, and training is as in float32.

Statistical bounds are multiples of a standard error, at fixed seeds: 5 of them are exceeded by
chance once in two million.
"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from sklearn.datasets import load_digits

import gradpow
from gradpow import low_precision_state
from gradpow.core import hash_words
from gradpow.core.rounding import _global_index
from gradpow.transforms import nesterov_pmoment, p_norm_scale
from tests.contract.case import Case

CASE = Case(low_precision_state, other={"inner": optax.scale_by_adam()})
SIGMAS = 5
# Its state is the last update: wrapped, the last update rounded.
KEEP = optax.GradientTransformation(optax.tree.zeros_like, lambda u, s, p=None: (u, u))


def rounded(x, seeds, steps):
    """x as the wrapper rounds it at every seed and step: float32, of shape (seeds, steps, ...)."""

    x = jnp.asarray(x)

    def of_seed(seed):
        tx = low_precision_state(KEEP, seed)

        def step(state, _):
            state = tx.update(x, state)[1]
            return state, state.inner.astype(jnp.float32)

        return jax.lax.scan(step, tx.init(x), length=steps)[1]

    return np.asarray(jax.jit(jax.vmap(of_seed))(jnp.arange(seeds, dtype=jnp.uint32)))


def bits(x):
    return np.asarray(x).view(np.uint16 if x.dtype == jnp.bfloat16 else np.uint32)


# The average that stalls


def averages(update, gradients, m):
    """The last of the averages m <- update(m, g)."""
    return jax.jit(lambda m: jax.lax.scan(lambda m, g: (update(m, g), None), m, gradients)[0])(m)


def ema_0999(wrap):
    tx = wrap(optax.ema(0.999, debias=False))
    return tx, lambda state, g: tx.update(g, state)[1]


def to_nearest(m, g):
    wide = 0.999 * m.astype(jnp.float32) + (1 - 0.999) * g
    return wide.astype(jnp.bfloat16)


def test_rounding_to_nearest_stalls_where_stochastic_rounding_tracks_float32():
    steps, coordinates = 3000, 4096
    ones = jnp.ones((steps, coordinates))
    exact = 1 - 0.999**steps  # 0.95
    plain = averages(to_nearest, ones, jnp.zeros(coordinates, jnp.bfloat16))
    # A thousandth of the way left is then below half a spacing of bfloat16.
    np.testing.assert_array_equal(plain.astype(jnp.float32), 0.25)
    tx, update = ema_0999(low_precision_state)
    m = averages(update, ones, tx.init(ones[0])).inner.ema
    m = np.asarray(m.astype(jnp.float32), np.float64)
    error = m.std() / np.sqrt(coordinates)
    assert error < 1e-3
    assert abs(m.mean() - exact) < SIGMAS * error


def test_averages_of_noisy_gradients_have_no_bias():
    rng = np.random.default_rng(0)
    gradients = jnp.asarray(0.1 + rng.standard_normal((2000, 1024)), jnp.float32)
    wide_tx, wide_update = ema_0999(lambda tx: tx)
    tx, update = ema_0999(low_precision_state)
    wide = averages(wide_update, gradients, wide_tx.init(gradients[0])).ema
    m = averages(update, gradients, tx.init(gradients[0])).inner.ema
    difference = np.asarray(m.astype(jnp.float32) - wide, np.float64)
    error = difference.std() / np.sqrt(difference.size)
    assert error < 1e-3
    assert abs(difference.mean()) < SIGMAS * error


# Rounding


@pytest.fixture(scope="module")
def values():
    """64 numbers of both signs with random mantissas, over all exponents."""
    rng = np.random.default_rng(0)
    x = np.ldexp(rng.uniform(1, 2, 64), np.linspace(-126, 126, 64).astype(int))
    return (x * rng.choice([-1, 1], 64)).astype(np.float32)


def test_rounding_is_unbiased_for_every_element(values):
    y = rounded(values, seeds=64, steps=256).reshape(-1, values.size).astype(np.float64)
    below = (bits(values) & 0xFFFF0000).view(np.float32).astype(np.float64)
    above = ((bits(values) & 0xFFFF0000) + 0x10000).view(np.float32).astype(np.float64)
    assert ((y == below) | (y == above)).all()
    fraction = (values - below) / (above - below)
    error = np.sqrt(fraction * (1 - fraction) / len(y))
    assert (np.abs((y == above).mean(axis=0) - fraction) < SIGMAS * error + 2**-16).all()


def test_rounding_is_unbiased_over_the_elements_of_one_array():
    x = np.full(2**16, 1 + 2**-9, np.float32)  # a quarter of the way between two neighbours
    up = rounded(x, seeds=1, steps=1) > 1
    assert abs(up.mean() - 0.25) < SIGMAS * np.sqrt(0.25 * 0.75 / x.size)


def test_bfloat16_values_infinities_and_nan_are_never_changed():
    wide = (np.arange(2**16, dtype=np.uint32) << 16).view(np.float32)
    state = jax.jit(low_precision_state(KEEP).update)(wide, low_precision_state(KEEP).init(wide))[1]
    nan = np.isnan(wide)
    np.testing.assert_array_equal(np.isnan(state.inner), nan)
    np.testing.assert_array_equal(bits(state.inner)[~nan], np.flatnonzero(~nan))


def test_nan_with_any_payload_stays_nan():
    nans = np.uint32([0x7F800001, 0x7FFFFFFF, 0xFF800001, 0xFFFFFFFF, 0x7FC00000]).view(np.float32)
    assert np.isnan(rounded(nans, seeds=8, steps=8)).all()


# The noise


@functools.partial(jax.jit, static_argnums=3)
def noise(seed, step, leaf, shape):
    """The 16 random bits of every element, as the wrapper draws them."""
    words = (jnp.asarray(word, jnp.uint32) for word in (seed, step, leaf))
    return hash_words(hash_words(*words), _global_index(shape)) >> 16


def test_the_noise_is_the_one_that_the_wrapper_uses():
    x = jnp.full((3, 5), 1 + 2**-9)
    tx = low_precision_state(KEEP, 7)
    state = tx.init({"a": x, "b": x})
    for _ in range(3):
        state = tx.update({"a": x, "b": x}, state)[1]
    for leaf, key in enumerate("ab"):
        up = state.inner[key] > 1
        np.testing.assert_array_equal(up, noise(7, 2, leaf, x.shape) >= 0xC000)


def test_the_noise_is_uniform():
    drawn = np.asarray(noise(0, 1, 2, (2**20,)))
    for part in (drawn >> 8, drawn & 0xFF, (drawn >> 4) & 0xFF):
        counts = np.bincount(part, minlength=256)
        expected = drawn.size / 256
        chi_square = np.sum((counts - expected) ** 2 / expected)
        # 255 degrees of freedom: mean 255 and variance 510, nearly normal.
        assert abs(chi_square - 255) < SIGMAS * np.sqrt(510)


def correlation(a, b):
    a, b = (np.ravel(np.asarray(x, np.float64)) for x in (a, b))
    return np.corrcoef(a, b)[0, 1]


def test_neighbouring_elements_have_independent_noise():
    drawn = np.asarray(noise(3, 1, 4, (512, 512)))
    for a, b in (
        (drawn[:, 1:], drawn[:, :-1]),
        (drawn[1:], drawn[:-1]),
        (drawn[:, 2:], drawn[:, :-2]),
        (drawn[:, 256:], drawn[:, :256]),
        (drawn[256:], drawn[:256]),
    ):
        assert abs(correlation(a, b)) < SIGMAS / np.sqrt(a.size)


def test_seeds_steps_and_leaves_have_independent_noise():
    n = 2**14
    grid = [(seed, step, leaf) for seed in (0, 1, 2) for step in range(4) for leaf in range(4)]
    drawn = np.array([noise(*words, (n,)) for words in grid], np.float64)
    off_diagonal = np.corrcoef(drawn)[np.triu_indices(len(grid), 1)]
    assert np.abs(off_diagonal).max() < (SIGMAS + 1) / np.sqrt(n)  # of a thousand pairs
    assert np.std(off_diagonal) < 1.2 / np.sqrt(n)


def test_every_input_bit_flips_every_noise_bit_half_of_the_time():
    n = 2**12
    words = jnp.asarray(np.random.default_rng(0).integers(2**32, size=(4, n), dtype=np.uint32))
    before = hash_words(hash_words(*words[:3]), words[3])
    for word in range(4):
        for bit in (0, 1, 7, 15, 16, 31):
            flipped = words.at[word].set(words[word] ^ jnp.uint32(1 << bit))
            change = np.asarray(before ^ hash_words(hash_words(*flipped[:3]), flipped[3]))
            flips = np.mean(change[:, None] >> np.arange(16, 32, dtype=np.uint32) & 1, axis=0)
            assert np.abs(flips - 0.5).max() < (SIGMAS + 1) * 0.5 / np.sqrt(n)


# What is rounded, and what is not


def test_float32_moments_become_bfloat16_and_all_else_stays():
    params = {"w": jnp.ones((4, 4)), "b": jnp.ones(4)}
    inner = optax.inject_hyperparams(optax.adamw, hyperparam_dtype=jnp.float32)(1e-3)
    tx = low_precision_state(inner)
    state = tx.init(params)
    after = tx.update(params, state, params)[1]
    for found in (state, after):
        adam = found.inner.inner_state[0]
        assert {x.dtype for x in jax.tree.leaves((adam.mu, adam.nu))} == {jnp.dtype("bfloat16")}
        assert adam.count.dtype == jnp.int32
        assert found.inner.hyperparams["b2"].dtype == jnp.float32
        assert found.seed.dtype == found.count.dtype == jnp.uint32
    np.testing.assert_array_equal(after.inner.hyperparams["b2"], np.float32(0.999))
    wide = jax.tree.map(lambda x: x.nbytes, inner.init(params).inner_state[0])
    narrow = jax.tree.map(lambda x: x.nbytes, state.inner.inner_state[0])
    assert jax.tree.map(lambda n: 2 * n, narrow.mu) == wide.mu
    assert jax.tree.map(lambda n: 2 * n, narrow.nu) == wide.nu


def test_moments_that_are_bfloat16_by_themselves_are_rounded_as_they_were():
    rng = np.random.default_rng(0)
    g = jnp.asarray(rng.standard_normal(256), jnp.float32)
    adam = optax.scale_by_adam(mu_dtype=jnp.bfloat16)
    states = []
    for seed in (0, 1):
        tx = low_precision_state(adam, seed)
        states.append(tx.update(g, tx.init(g))[1].inner)
    expected = adam.update(g, adam.init(g))[1]
    for state in states:
        np.testing.assert_array_equal(bits(state.mu), bits(expected.mu))
    assert (bits(states[0].nu) != bits(states[1].nu)).any()


# Where it is used

LAYOUTS = {
    "unsharded": P(),
    "fsdp": P(("data", "model"), None),
    "tensor": P(None, "model"),
    "both": P("data", "model"),
}


def train(tx, params, gradients):
    """All updates, and the last state."""

    def step(state, g):
        updates, state = tx.update(g, state, params)
        return state, updates

    return jax.lax.scan(step, tx.init(params), gradients)[::-1]


@pytest.fixture(scope="module")
def gradients():
    return jnp.asarray(np.random.default_rng(1).standard_normal((5, 16, 8)), jnp.float32)


def test_every_sharding_gives_the_same_bits_without_collectives(gradients):
    mesh = jax.make_mesh((2, 4), ("data", "model"), axis_types=2 * (jax.sharding.AxisType.Auto,))
    tx = low_precision_state(optax.scale_by_adam(), seed=5)
    results = []
    for spec in LAYOUTS.values():
        sharding = NamedSharding(mesh, spec)
        g = jax.device_put(gradients[0], sharding)
        state = tx.init(g)
        update = jax.jit(tx.update, donate_argnums=1).lower(g, state).compile()
        assert not re.search(r" (all-|reduce-scatter|collective-)[\w-]*\(", update.as_text())
        for g in gradients:
            state = update(jax.device_put(g, sharding), state)[1]
        assert state.inner.mu.sharding.is_equivalent_to(sharding, 2)
        results.append((bits(state.inner.mu), bits(state.inner.nu)))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(gradients):
    def bits_of(seed):
        tx = low_precision_state(optax.scale_by_adam(), seed)
        return train(tx, gradients[0], gradients)[1].inner.mu

    run = jax.jit(bits_of)
    first, again, other = (bits(run(jnp.uint32(seed))) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.1
    # A static seed and a swept one are the same as an argument.
    np.testing.assert_array_equal(bits(jax.jit(lambda: bits_of(3))()), first)
    np.testing.assert_array_equal(bits(jax.vmap(run)(jnp.uint32([4, 3]))), [other, first])


def test_equal_leaves_get_different_noise(gradients):
    g = {"a": gradients[0], "b": gradients[0]}
    tx = low_precision_state(optax.scale_by_adam())
    mu = tx.update(g, tx.init(g))[1].inner.mu
    assert (bits(mu["a"]) != bits(mu["b"])).mean() > 0.1


def test_it_passes_the_gradient_on_and_stays_within_rounding_of_s3(gradients):
    plain = gradpow.chain(nesterov_pmoment(0.9), p_norm_scale(0.9, 3))
    wrapped = gradpow.chain(
        low_precision_state(nesterov_pmoment(0.9)), low_precision_state(p_norm_scale(0.9, 3))
    )
    around = low_precision_state(plain)
    expected = jax.jit(functools.partial(train, plain))(gradients[0], gradients)[0]
    for tx in (wrapped, around):
        updates, state = jax.jit(functools.partial(train, tx))(gradients[0], gradients)
        moments = [x for x in jax.tree.leaves(state) if x.ndim]
        assert [x.dtype for x in moments] == 2 * [jnp.dtype("bfloat16")]
        # Five roundings of both states, each by less than a spacing, 2^-7.
        assert 0 < np.abs(updates - expected).max() < 5 * 2 * 2**-7


@pytest.mark.parametrize(
    "seed", [1.5, None, "seed", np.zeros(2, int), jnp.float32(1.5), jnp.zeros(2, jnp.uint32)]
)
def test_a_seed_that_is_no_integer_is_refused(seed):
    with pytest.raises(TypeError, match="seed must be an integer scalar"):
        low_precision_state(optax.scale_by_adam(), seed)


@pytest.mark.parametrize("seed", [-1, 2**32, np.int64(-1)])
def test_a_seed_beyond_32_bits_is_refused(seed):
    with pytest.raises(ValueError, match=rf"seed must be in .* not .*{seed}"):
        low_precision_state(optax.scale_by_adam(), seed)


@pytest.mark.parametrize("seed", [2**32 - 1, np.int64(7), np.uint32(2**31), jnp.int32(7)])
def test_any_32_bit_seed_is_taken(seed):
    assert low_precision_state(KEEP, seed).init(jnp.zeros(1)).seed == np.uint32(seed)


# A training run


def accuracies(wrap, seeds=5, steps=200):
    """Test accuracies of a small network on handwritten digits, Adam, all seeds at once."""
    images, labels = load_digits(return_X_y=True)
    images, labels = jnp.asarray(images / 16, jnp.float32), jnp.asarray(labels)
    train_size, batch = 1200, 64

    def logits(params, x):
        return jnp.tanh(x @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"]

    def loss(params, index):
        return optax.softmax_cross_entropy_with_integer_labels(
            logits(params, images[index]), labels[index]
        ).mean()

    def run(key):
        keys = jax.random.split(key, 3)
        params = {
            "w1": jax.random.normal(keys[0], (64, 32)) / 8,
            "b1": jnp.zeros(32),
            "w2": jax.random.normal(keys[1], (32, 10)) / 6,
            "b2": jnp.zeros(10),
        }
        tx = optax.chain(wrap(optax.scale_by_adam()), optax.scale(-3e-3))

        def step(carry, index):
            params, state = carry
            updates, state = tx.update(jax.grad(loss)(params, index), state)
            return (optax.apply_updates(params, updates), state), None

        order = jax.random.randint(keys[2], (steps, batch), 0, train_size)
        params = jax.lax.scan(step, (params, tx.init(params)), order)[0][0]
        return jnp.mean(logits(params, images[train_size:]).argmax(-1) == labels[train_size:])

    return np.asarray(jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), seeds)))


def test_training_on_digits_is_as_good_as_in_float32():
    wide, narrow = accuracies(lambda tx: tx), accuracies(low_precision_state)
    assert wide.min() > 0.85
    assert wide.min() <= narrow.mean() <= wide.max()
