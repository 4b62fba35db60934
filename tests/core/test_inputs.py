"""One training loop for every optimizer: what it hands on is right, and costs nothing unused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from tests.contract.trees import quick_jit


def loss_fn(params, x):
    return jnp.mean((jnp.tanh(x @ params["w"]) @ params["v"]) ** 2)


PARAMS = {"w": jnp.linspace(-1.0, 1.0, 64).reshape(8, 8), "v": jnp.ones((8, 2))}
X = jnp.linspace(-1.0, 2.0, 512).reshape(64, 8)


def flops(tx, around=None):
    make = gradpow.inputs(loss_fn, around=around)

    def step(params, state, x):
        _, grads, extra = make(params, x)
        updates, state = optax.with_extra_args_support(tx).update(grads, state, params, **extra)
        return optax.apply_updates(params, updates), state

    compiled = quick_jit(step).lower(PARAMS, tx.init(PARAMS), X).compile()
    return compiled.cost_analysis()["flops"]


def test_functions_that_are_not_asked_for_cost_nothing_and_a_second_gradient_one_more():
    adamw = flops(optax.adamw(1e-3))
    gradient = quick_jit(jax.grad(loss_fn)).lower(PARAMS, X).compile().cost_analysis()["flops"]
    small = sum(p.size for p in PARAMS.values())
    approximate = flops(gradpow.mars(optax.adamw(1e-3), provider=gradpow.lagged_gradient))
    exact = flops(gradpow.mars(optax.adamw(1e-3)))
    # Corrections and clipping are some operations a parameter.
    assert 0 <= approximate - adamw < 15 * small
    assert 0.99 * gradient <= exact - approximate < gradient + 15 * small


def test_the_gradient_at_the_parameters_is_the_gradient_that_came():
    value, grads, extra = gradpow.inputs(loss_fn)(PARAMS, X)
    np.testing.assert_allclose(extra["value"], value)
    np.testing.assert_allclose(extra["value_fn"](PARAMS), value)
    jax.tree.map(np.testing.assert_array_equal, extra["grad_fn"](PARAMS), grads)


def test_the_curvature_product_is_that_of_the_hessian():
    v = jax.tree.map(lambda x: jnp.sin(jnp.arange(x.size)).reshape(x.shape), PARAMS)
    _, _, extra = gradpow.inputs(loss_fn)(PARAMS, X)
    h = 2.0**-7

    def moved(sign):
        return extra["grad_fn"](jax.tree.map(lambda p, d: p + sign * h * d, PARAMS, v))

    expected = jax.tree.map(lambda a, b: (a - b) / (2 * h), moved(1), moved(-1))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=2e-3 * np.abs(b).max()),
        extra["curvature_product"](v),
        expected,
    )


def test_what_is_around_acts_on_every_gradient_alike():
    def halved(value_and_grad):
        def f(params):
            value, grads = value_and_grad(params)
            return value, jax.tree.map(lambda g: g / 2, grads)

        return f

    _, grads, extra = gradpow.inputs(loss_fn, around=halved)(PARAMS, X)
    jax.tree.map(np.testing.assert_array_equal, extra["grad_fn"](PARAMS), grads)
    plain = jax.grad(loss_fn)(PARAMS, X)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b / 2), grads, plain)


def test_with_aux_the_value_is_the_pair_and_what_is_handed_on_the_loss():
    make = gradpow.inputs(lambda params, x: (loss_fn(params, x), "aux"), has_aux=True)
    (loss, aux), _, extra = make(PARAMS, X)
    assert aux == "aux"
    assert extra["value"] == loss == extra["value_fn"](PARAMS)


@pytest.mark.parametrize("name", ["lbfgs", "polyak_sgd", "sgd"])
def test_optaxs_own_optimizers_take_all_of_it(name):
    made = {"lbfgs": optax.lbfgs(), "polyak_sgd": optax.polyak_sgd(1e-2), "sgd": optax.sgd(1e-2)}
    tx = optax.with_extra_args_support(made[name])
    _, grads, extra = gradpow.inputs(loss_fn)(PARAMS, X)
    updates, _ = tx.update(grads, tx.init(PARAMS), PARAMS, **extra)
    assert loss_fn(optax.apply_updates(PARAMS, updates), X) < loss_fn(PARAMS, X)


def test_small_batches_accumulate_inside_of_the_gradient():
    """As MultiSteps cannot: both gradients are then of the same, whole batch."""

    def around(x):
        def wrap(value_and_grad):
            del value_and_grad

            def f(params):
                parts = [jax.value_and_grad(loss_fn)(params, part) for part in jnp.split(x, 4)]
                return jax.tree.map(lambda *p: sum(p) / 4, *parts)

            return f

        return wrap

    def run(make):
        tx, params = gradpow.sarah(0.5), PARAMS
        state = tx.init(params)
        for _ in range(3):
            _, grads, extra = make(params)
            updates, state = tx.update(grads, state, params, **extra)
            params = optax.apply_updates(params, updates)
        return params

    whole = run(lambda params: gradpow.inputs(loss_fn)(params, X))
    parts = run(lambda params: gradpow.inputs(loss_fn, around=around(X))(params, X))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), parts, whole)


def test_the_full_gradient_is_the_mean_over_batches():
    parts = jnp.split(X, 4)
    found = gradpow.full_gradient(jax.grad(loss_fn), PARAMS, parts)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        found,
        jax.grad(loss_fn)(PARAMS, X),
    )
    with pytest.raises(ValueError, match="at least one batch"):
        gradpow.full_gradient(jax.grad(loss_fn), PARAMS, [])
