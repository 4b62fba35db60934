"""The provider of gradients at an anchor: before it is set, after, and however it is wrapped."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.transforms import control_variate
from tests.contract.case import Case, second_gradient

CASE = Case(
    gradpow.at_anchor,
    other={"inner": gradpow.chain(control_variate(), optax.sgd(1e-2, momentum=0.9))},
    second=True,
    arguments=second_gradient,
)


def grad_fn(theta):
    return jax.tree.map(lambda x: x**3, theta)


def test_before_the_first_anchor_gradients_pass_and_at_it_the_full_one_does():
    tx, params = gradpow.at_anchor(control_variate()), jnp.array([2.0])
    state = tx.init(params)
    np.testing.assert_array_equal(tx.update(jnp.array([7.0]), state, grad_fn=grad_fn)[0], [7])
    state = gradpow.set_anchor(state, params, jnp.array([5.0]))
    np.testing.assert_array_equal(tx.update(grad_fn(params), state, grad_fn=grad_fn)[0], [5])
    moved = tx.update(grad_fn(jnp.array([3.0])), state, grad_fn=grad_fn)[0]
    np.testing.assert_array_equal(moved, [27 - 8 + 5])


WRAPPED = {
    "chain": lambda tx: optax.chain(optax.identity(), tx),
    "inject_hyperparams": lambda tx: optax.inject_hyperparams(lambda rate: tx)(rate=0.1),
    "apply_if_finite": lambda tx: optax.apply_if_finite(tx, 2),
    "gradpow.chain": gradpow.chain,
}


@pytest.mark.parametrize("how", WRAPPED)
def test_an_anchor_is_set_however_deep_it_stands(how):
    tx = optax.with_extra_args_support(WRAPPED[how](gradpow.svrg(1.0)))
    params = {"w": jnp.array([2.0])}
    full = {"w": jnp.array([5.0])}

    @jax.jit
    def run(params, full):
        set_or_not = [
            jax.lax.cond(now, lambda s: gradpow.set_anchor(s, params, full), lambda s: s, state)
            for now, state in ((True, tx.init(params)), (False, tx.init(params)))
        ]
        return [tx.update(grad_fn(params), s, params, grad_fn=grad_fn)[0] for s in set_or_not]

    anchored, plain = run(params, full)
    assert (anchored["w"][0], plain["w"][0]) == (-5, -8)


def test_a_state_without_an_anchor_is_refused():
    with pytest.raises(ValueError, match=r"nothing in this state has an anchor.*gradpow\.svrg"):
        gradpow.set_anchor(optax.sgd(0.1, momentum=0.9).init(jnp.ones(2)), jnp.ones(2), jnp.ones(2))
