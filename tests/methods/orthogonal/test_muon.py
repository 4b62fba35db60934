"""Muon against its loop, PyTorch's and optax's, and what goes to it and to the rest."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from gradpow.transforms import polar_express
from tests.contract.case import Case
from tests.contract.exact import (
    SCHEDULED,
    assert_same_steps,
    assert_steps_of_loop,
    at,
    in_both_types,
    make_problem,
    settings,
    updates_of,
)
from tests.contract.oracles import oracle, torch_steps
from tests.contract.trees import gradients, normal
from tests.methods.powered.test_adampower import loop as adampower
from tests.transforms.matrix.test_orthogonalize import orthogonal_factor

CASE = Case(
    gradpow.muon,
    {"learning_rate": 1e-2, "b": 0.9, "eps": 0.1, "weight_decay": 0.1},
    sharded=1e-3,  # sums are made in another order, which the matrix products amplify
)
# Newton-Schulz multiplies rounding by up to 3.4445**5 = 485.
ROUNDING = 1e-4


def hidden_matrix(theta0, gradients, learning_rate, b=0.95, eps=1e-7, weight_decay=0.0):
    """Jordan et al. (2024): muon_update of muon.py, whose rows are the outputs."""
    theta, m, steps = theta0, np.zeros(theta0.shape), np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = m + (1 - b) * (g - m)
        update = g + b * (m - g)
        update = orthogonal_factor(update, eps=eps)
        fan_in, fan_out = update.shape
        update = update * max(1, fan_out / fan_in) ** 0.5
        steps[t] = -at(learning_rate, t) * (update + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


def with_rest(of_matrix, decay=0.0):
    """A loop of hidden matrices, and AdamW for other leaves."""

    def loop(theta0, gradients, learning_rate, weight_decay=decay, **numbers):
        if theta0.ndim == 2:
            return of_matrix(theta0, gradients, learning_rate, weight_decay=weight_decay, **numbers)
        return adampower(theta0, gradients, learning_rate, 1.0, weight_decay=weight_decay)

    return loop


loop = with_rest(hidden_matrix)


@in_both_types
@settings({"scheduled": {**SCHEDULED, "b": 0.8, "eps": 0.1}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.muon, loop, dtype, float32=ROUNDING, **numbers)


def assert_steps_of_pytorch(monkeypatch, factory, adjust_lr_fn):
    """In float64: PyTorch's cast to bfloat16 is left out, and eps, which it takes for a floor."""
    torch = oracle("torch")
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda x: x.clone())
    theta0, grads = make_problem(0, 20, (4, 6))

    def make(params):
        return torch.optim.Muon(params, weight_decay=0.1, adjust_lr_fn=adjust_lr_fn)

    def turned(x):  # PyTorch's rows are outputs
        return np.swapaxes(x, -1, -2)

    expected = turned(torch_steps(make, turned(theta0), turned(grads), lr=0.02))
    tx = factory(0.02, eps=0.0, weight_decay=0.1)
    with jax.enable_x64(True):
        params, gs = {"kernel": jnp.asarray(theta0)}, {"kernel": jnp.asarray(grads)}
        actual = updates_of(tx, params, gs)["kernel"]
    # Steps are differences of parameters, which are rounded; 485 of it come through the iteration.
    assert_same_steps(actual, expected, 1e-11)


def test_steps_are_those_of_pytorch(monkeypatch):
    assert_steps_of_pytorch(monkeypatch, gradpow.muon, "original")


def test_optax_s_points_elsewhere_at_first_and_comes_near_later():
    params = {"kernel": normal({"x": (4, 6)}, 0)["x"]}
    grads = gradients(params, 30)
    ours = updates_of(gradpow.muon(0.1, eps=1e-8), params, grads)["kernel"]
    theirs = updates_of(optax.contrib.muon(0.1), params, grads)["kernel"]
    far = jnp.abs(ours - theirs).max(axis=(1, 2)) / 0.1
    assert far[0] < 1e-4 and far[1] > 1e-2 and far[-1] < far[1]


def test_all_but_hidden_matrices_goes_to_the_rest():
    params = {"mlp": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}, "embed": jnp.ones((4, 2))}
    grads = gradients(params, 3)
    tx = gradpow.muon(0.1, rest=optax.sgd(0.5))
    updates = updates_of(tx, params, grads)
    np.testing.assert_allclose(updates["embed"], -0.5 * grads["embed"], rtol=1e-6)
    np.testing.assert_allclose(updates["mlp"]["bias"], -0.5 * grads["mlp"]["bias"], rtol=1e-6)


def test_heads_and_stacks_are_taken_by_their_names():
    """A layer of a stack, and heads of a layer, have the steps of matrices by themselves."""
    x = normal({"x": (2, 6, 2, 4)}, 0)["x"]
    params = {"layers": {"attn": {"query": {"kernel": x}}}}
    grads = gradients(params, 3)
    stacked = updates_of(gradpow.muon(0.1), params, grads)["layers"]["attn"]["query"]["kernel"]
    plain = {f"layers_{i}": {"attn": {"query": {"kernel": x[i].reshape(6, 8)}}} for i in (0, 1)}
    g = grads["layers"]["attn"]["query"]["kernel"]
    alone = updates_of(
        gradpow.muon(0.1),
        plain,
        {f"layers_{i}": {"attn": {"query": {"kernel": g[:, i].reshape(3, 6, 8)}}} for i in (0, 1)},
    )
    expected = jnp.stack(jax.tree.leaves(alone), axis=1).reshape(3, 2, 6, 2, 4)
    assert_same_steps(stacked, expected, ROUNDING)


def test_another_iteration_makes_another_factor():
    params = {"kernel": jnp.diag(jnp.array([3.0, 0.1]))}
    tx = gradpow.muon(1.0, iteration=polar_express(8))
    updates, _ = tx.update(params, tx.init(params), params)
    np.testing.assert_allclose(updates["kernel"], -np.eye(2), atol=1e-4)
