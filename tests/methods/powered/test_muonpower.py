"""MuonPower against its loop: which leaves are hidden matrices, and what each part is alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax.contrib import MuonDimensionNumbers

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    CONSTANT,
    SCHEDULED,
    assert_same_steps,
    assert_steps_of_loop,
    in_both_types,
    powered,
    settings,
    updates_of,
)
from tests.contract.trees import gradients
from tests.methods.orthogonal.test_moonlight import hidden_matrix as moonlight_loop
from tests.methods.powered.test_adampower import loop as adampower

CASE = Case(
    gradpow.muonpower,
    {
        "learning_rate": 1e-2,
        "weight_decay": 0.1,
        "b1": 0.9,
        "b2": 0.95,
        "p": 1.2,
        "beta": 0.9,
        "consistent_rms": 0.2,
        "eps": 1e-8,
    },
    # g^1.2 leaves float32 from 1.3e32 on, and Muon adds up a score of such momenta.
    largest=1e30,
    sharded=1e-3,  # sums are made in another order, which the matrix products amplify
)
RATE = 0.01
# Both sides are the same operations on arrays of another shape, whose sums Newton-Schulz rounds
# in another order; it multiplies rounding by up to 3.4445**5 = 485.
ROUNDING = 1e-4
SHAPES = {
    "layers": {
        "attention": {"kernel": (4, 3), "bias": (3,)},
        "mlp": {"kernel": (3, 5)},
        "norm": {"scale": (1, 4)},
    },
    "embed": {"embedding": (6, 4)},
    "conv": {"kernel": (2, 2, 3)},
    "empty": {"kernel": (0, 4)},
    "lm_head": {"kernel": (4, 6)},
}
HIDDEN = {
    "layers": {
        "attention": {"kernel": True, "bias": False},
        "mlp": {"kernel": True},
        "norm": {"scale": None},
    },
    "embed": {"embedding": None},
    "conv": {"kernel": None},
    "empty": {"kernel": True},
    "lm_head": {"kernel": False},
}
PREFIX = {**HIDDEN, "embed": None, "lm_head": False}


def hidden_matrix(
    theta0, gradients, learning_rate, p=1.2, beta=0.95, eps=1e-8, consistent_rms=0.2, **decay
):
    """For one: Wang et al. (2025), Section 3.4, which takes Muon as Liu et al. (2025) have it."""
    return moonlight_loop(
        theta0, powered(gradients, p), learning_rate, beta, consistent_rms, eps, **decay
    )


def loop(theta0, gradients, beta=0.95, consistent_rms=0.2, b1=0.9, b2=0.95, **numbers):
    if theta0.ndim == 2:
        numbers = {**numbers, "beta": beta, "consistent_rms": consistent_rms}
        return hidden_matrix(theta0, gradients, **numbers)
    return adampower(theta0, gradients, b1=b1, b2=b2, **numbers)


@in_both_types
@settings(
    {
        "constant": CONSTANT,
        "scheduled": {
            **SCHEDULED, "p": 1.0, "beta": 0.8, "consistent_rms": 0.1, "b1": 0.8, "b2": 0.9
        },
    }
)  # fmt: skip
def test_steps_are_those_of_the_loop(numbers, dtype):
    # Newton-Schulz multiplies small singular values, and their rounding, by 3.4445**5 = 485.
    # Measured: 4e-5.
    assert_steps_of_loop(gradpow.muonpower, loop, dtype, float32=1e-4, **numbers)


def params_like(shapes):
    rng = np.random.default_rng(1)

    def normal(shape):
        return jnp.float32(rng.normal(size=shape))

    return jax.tree.map(normal, shapes, is_leaf=lambda x: isinstance(x, tuple))


def moonlight():
    """What muonpower does to one hidden matrix."""
    return gradpow.gradpower(gradpow.moonlight(RATE, eps=1e-8, hidden=lambda path, x: True), 1.2)


@pytest.fixture(scope="module")
def problem():
    params = params_like(SHAPES)
    return params, gradients(params, steps=5)


@pytest.fixture(scope="module")
def default_steps(problem):
    return updates_of(gradpow.muonpower(RATE), *problem)


def test_hidden_matrices_go_to_muon_and_all_else_to_adampower(problem, default_steps):
    params, grads = problem
    adampower = updates_of(gradpow.adampower(RATE), params, grads)

    def steps_of(hidden, param, grad, adampower):
        if not hidden or not param.size:
            return adampower
        return updates_of(moonlight(), param, grad)

    expected = jax.tree.map(steps_of, HIDDEN, params, grads, adampower, is_leaf=lambda x: x is None)
    assert_same_steps(default_steps, expected, ROUNDING)


@pytest.mark.parametrize(
    "hidden",
    [lambda path, leaf: path.startswith("layers") and path.endswith("kernel"), HIDDEN, PREFIX],
    ids=["function", "tree", "prefix"],
)
def test_hidden_may_be_a_function_a_tree_or_a_prefix(hidden, problem, default_steps):
    actual = updates_of(gradpow.muonpower(RATE, hidden=hidden), *problem)
    assert_same_steps(actual, default_steps, ROUNDING)


def test_each_layer_of_a_stack_is_orthogonalized_alone():
    params = params_like({"stack": (3, 4, 6)})
    grads = gradients(params, steps=5)
    tx = gradpow.muonpower(RATE, hidden={"stack": MuonDimensionNumbers(1, 2)})
    actual = updates_of(tx, params, grads)["stack"]
    per_layer = jax.vmap(lambda x, g: updates_of(moonlight(), x, g), (0, 1), 1)
    assert_same_steps(actual, per_layer(params["stack"], grads["stack"]), ROUNDING)


def test_axes_on_the_same_side_are_taken_together():
    """An attention kernel of shape (model, heads, head) is a matrix of shape (model, all heads)."""
    params = params_like({"query": (6, 2, 4)})
    grads = gradients(params, steps=5)
    tx = gradpow.muonpower(RATE, hidden=lambda path, x: MuonDimensionNumbers(0, (1, 2)))
    actual = updates_of(tx, params, grads)["query"]
    expected = updates_of(
        moonlight(), params["query"].reshape(6, 8), grads["query"].reshape(5, 6, 8)
    )
    assert_same_steps(actual, expected.reshape(5, 6, 2, 4), ROUNDING)


@pytest.mark.parametrize("shape", [(2, 3, 4), (3,), ()])
@pytest.mark.parametrize("hidden", [lambda path, leaf: True, {"odd": True}, True])
def test_hidden_true_for_what_is_no_matrix_is_refused(shape, hidden):
    params = {"odd": jnp.ones(shape)}
    with pytest.raises(ValueError, match=r"'(odd)?' is called a matrix.*MuonDimensionNumbers"):
        gradpow.muonpower(RATE, hidden=hidden).init(params)


def test_empty_leaves_go_to_adamw_whatever_hidden_says():
    params = {"full": jnp.ones((2, 3)), "empty": jnp.ones((0, 3))}
    state = gradpow.muonpower(RATE, hidden=lambda path, leaf: True).init(params)
    momentum = optax.tree.get(state[1][0].inner_states["rest"], "mu")
    assert momentum["empty"].shape == (0, 3)
    assert isinstance(momentum["full"], optax.MaskedNode)


def test_an_empty_leaf_below_a_prefix_is_no_matter():
    params = {"layers": {"full": jnp.ones((2, 3)), "empty": jnp.ones((0, 3))}}
    grads = gradients(params, steps=2)
    actual = updates_of(gradpow.muonpower(RATE, hidden={"layers": True}), params, grads)
    expected = updates_of(gradpow.muonpower(RATE), params, grads)
    assert_same_steps(actual, expected, ROUNDING)


def test_the_mask_decides_the_decay_of_both_parts():
    params = params_like({"kernel": (3, 4), "plain": (3, 4), "bias": (4,), "scale": (4,)})
    grads = gradients(params, steps=3)
    mask = {"kernel": True, "plain": False, "bias": True, "scale": False}
    decayed, undecayed, masked = (
        updates_of(gradpow.muonpower(RATE, weight_decay=decay, mask=m), params, grads)
        for decay, m in ((0.5, None), (0.0, None), (0.5, mask))
    )
    expected = {leaf: (decayed if mask[leaf] else undecayed)[leaf] for leaf in params}
    assert_same_steps(masked, expected, ROUNDING)
    assert jnp.all(decayed["bias"] != undecayed["bias"])


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("layers/0/attention/query/kernel", True),
        ("multi_head_attention/out/kernel", True),
        ("layers/0/mlp/kernel/value", True),
        ("token_embed/embedding", False),
        ("wte/embedding", False),
        ("lm_head/kernel", False),
        ("layers/0/norm/kernel", False),
        ("ln_1/scale", False),
        ("mlp/bias", False),
    ],
)
def test_the_default_knows_hidden_matrices_by_their_paths(path, hidden):
    assert bool(gradpow.hidden_matrices(path, jnp.ones((2, 2)))) is hidden
    assert not gradpow.hidden_matrices(path, jnp.ones(2))
