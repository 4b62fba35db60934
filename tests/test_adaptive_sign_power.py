"""The power that follows the noise: against the theory, and in what must not move it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from examples.adaptive_sign_power import _limit_update, adaptive_sign_power
from gradpow import theory

SIZE = 20_000


def run(tx, mu, sigma, steps=60):
    """The states after each step on gradients uniform in mu +- sigma."""
    tx = gradpow.chain(tx)

    def step(state, key):
        noise = sigma * jax.random.uniform(key, (SIZE,), minval=-1.0)
        state = tx.update(mu + noise, state)[1]
        return state, state[0]._replace(mean=None)

    keys = jax.random.split(jax.random.key(0), steps)
    return jax.lax.scan(step, tx.init(jnp.zeros(SIZE)), keys)[1]


def test_the_traced_closed_form_is_the_theorys():
    p, mu, sigma = np.meshgrid(np.linspace(0.5, 3, 9), np.geomspace(1e-9, 1e3, 13),
                               [0, 1e-8, 1e-6, 1e-4, 1e-2, 1.0, 30.0])  # fmt: skip
    found = _limit_update(*(jnp.asarray(x, jnp.float32) for x in (p, mu, sigma)), 1e-8)
    # Rounding sigma and mu moves the difference of two nearly equal powers by 1e-4.
    np.testing.assert_allclose(found, theory.limit_update(p, mu, sigma), rtol=2e-3)


@pytest.mark.parametrize(("mu", "sigma"), [(1e-3, 3e-3), (1e-6, 1e-5), (1.0, 0.2), (0.0, 1e-4)])
def test_noise_and_signal_are_measured_in_the_units_of_the_gradient(mu, sigma):
    last = jax.tree.map(lambda x: x[-1], run(adaptive_sign_power(), mu, sigma))
    np.testing.assert_allclose(last.variance, sigma**2 / 3, rtol=0.05)
    # The signal is known to the scatter of a sum of so many squares.
    assert abs(last.signal - mu**2) < 0.02 * mu**2 + 0.01 * sigma**2


@pytest.mark.parametrize("sigma", [2e-6, 1e-5, 3e-5])
def test_under_heavy_noise_p_tends_to_the_theorys_best_power(sigma):
    tx = adaptive_sign_power(p=1.0, low=0.5, high=2.0, b=0.9)
    last = run(tx, sigma / 10, sigma).p[-1]
    assert abs(last - theory.best_power(sigma)) < 0.05


def test_p_falls_to_its_lower_bound_as_the_batch_grows():
    """A batch of B divides the noise by the square root of B."""
    ends = [
        run(adaptive_sign_power(b=0.9), 1e-3, 1e-2 / batch**0.5).p[-1] for batch in (1, 64, 1e4)
    ]
    assert ends == sorted(ends, reverse=True)
    np.testing.assert_allclose([ends[0], ends[-1]], [1.4, 0.8], atol=0.01 * 1.4)


def test_p_moves_smoothly_from_its_start_and_stays_within_its_bounds():
    b = 0.95
    p = run(adaptive_sign_power(p=1.2, low=1.1, high=1.3, b=b), 1e-3, 1e-2).p
    assert p[0] == np.float32(1.2)  # nothing is known from one gradient
    assert np.all((p >= np.float32(1.1)) & (p <= np.float32(1.3) + 1e-6))
    assert np.abs(np.diff(p)).max() <= (1 - b) * 0.2 + 1e-6


def test_the_first_powers_are_those_of_sign_power_with_the_state_before():
    tx = adaptive_sign_power(p=1.2, b=0.5)
    state, g = tx.init(jnp.zeros(3)), jnp.array([0.5, -2.0, 0.0])
    for _ in range(3):
        fixed = gradpow.transforms.sign_power(state.p)
        expected, _ = fixed.update(g, fixed.init(g))
        updates, state = tx.update(g, state)
        np.testing.assert_allclose(updates, expected, atol=1e-6 * np.max(np.abs(expected)))
    assert state.p < 1.2  # there is no noise


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_one_bad_coordinate_passes_through_and_neither_moves_p_nor_others_for_good(bad):
    tx = gradpow.chain(adaptive_sign_power(b=0.9))
    g = jnp.array([0.5, -2.0, 1.0])
    state = tx.init(g)
    for grad in (g, -g, g.at[1].set(bad), g, g):
        updates, state = tx.update(grad, state)
        assert np.isfinite(updates[jnp.array([0, 2])]).all()
        assert 0.8 <= state[0].p <= 1.4
    assert np.isfinite(updates).all()
    assert jnp.isfinite(state[0].square)


@pytest.mark.parametrize(
    ("number", "bad"),
    [(n, x) for n in ("p", "low", "high") for x in (0.0, np.nan, np.inf, "1")] + [("eps", -1e-9)],
)
def test_bad_powers_and_eps_are_refused_by_name(number, bad):
    with pytest.raises((ValueError, TypeError), match=rf"^{number} must be .*not {bad!r}"):
        adaptive_sign_power(**{number: bad})


def test_bounds_that_cross_are_refused():
    with pytest.raises(ValueError, match=r"low <= p <= high must hold, not low = 1\.3, p = 1\.2"):
        adaptive_sign_power(low=1.3)


def test_as_the_first_link_it_is_adampower_while_bounded_to_one_power():
    params, g = jnp.array([1.0, -2.0]), jnp.array([0.3, 0.1])
    ours = gradpow.chain(
        adaptive_sign_power(1.2, 1.2, 1.2),
        gradpow.chain(optax.adamw(1e-2, b2=0.95, weight_decay=0.1)),
    )
    theirs = gradpow.adampower(1e-2)
    states = ours.init(params), theirs.init(params)
    for _ in range(3):
        found, first = ours.update(g, states[0], params)
        expected, second = theirs.update(g, states[1], params)
        states = first, second
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.max(np.abs(expected)))
