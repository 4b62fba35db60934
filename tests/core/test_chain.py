"""gradpow.chain: the gradient it hands on, the types it works in, and the traps around both."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow import transforms as t
from tests.contract.exact import assert_same_steps, updates_of
from tests.contract.trees import gradients, parameters

ROUNDING = 5e-6  # the same operations, compiled in another program; measured: below 1e-6


def stateless(f):
    def update(updates, state, params=None, **extra_args):
        return f(updates, **extra_args), state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)


GRAD = stateless(lambda updates, *, grad: grad)
TIMES_VALUE = stateless(lambda updates, *, value, grad: updates * value)
READERS = {"p_norm_scale": t.p_norm_scale(0.9, 3.0), "momentum_scaling": t.momentum_scaling(0.5)}
each_reader = pytest.mark.parametrize("reader", READERS.values(), ids=READERS)


def once(tx, grads, params=None, **extra_args):
    """The first update; the gradients serve as parameters where these do not matter."""
    params = grads if params is None else params
    return tx.update(grads, tx.init(params), params, **extra_args)[0]


# The gradient


def test_every_link_gets_the_gradient_that_entered_the_chain():
    tx = gradpow.chain(optax.scale(2.0), GRAD, optax.scale(10.0))
    assert once(tx, {"w": jnp.array(3.0)}) == {"w": 30.0}


def test_an_outer_gradient_does_not_leak_in():
    assert once(gradpow.chain(GRAD), jnp.array(3.0), grad=jnp.array(7.0)) == 3.0


def test_other_extra_arguments_pass():
    tx = gradpow.chain(TIMES_VALUE, gradpow.chain(TIMES_VALUE))
    assert once(tx, jnp.array(3.0), value=2.0) == 12.0


def test_a_nested_chain_starts_a_gradient_of_its_own():
    nested = gradpow.chain(optax.scale(3.0), GRAD)
    assert once(gradpow.chain(optax.scale(2.0), nested), jnp.array(1.0)) == 2.0


def test_after_a_nested_chain_the_outer_gradient_is_back():
    nested = gradpow.chain(optax.scale(3.0))
    assert once(gradpow.chain(optax.scale(2.0), nested, GRAD), jnp.array(1.0)) == 1.0


def test_what_the_reader_must_see_too_goes_before_a_nested_chain():
    power, momentum, scale = t.sign_power(1.2), t.nesterov_pmoment(0.95), t.p_norm_scale(0.95, 3.0)
    params = jnp.zeros(100)
    grads = gradients(params, steps=12)
    powered = jnp.sign(grads) * jnp.abs(grads) ** 1.2
    nested = updates_of(gradpow.chain(power, gradpow.chain(momentum, scale)), params, grads)
    assert_same_steps(nested, -updates_of(gradpow.s3(1.0), params, powered), ROUNDING)

    # Flat, it divides the powered gradient's momentum by the norm of the gradient as it was.
    flat = updates_of(gradpow.chain(power, momentum, scale), params, grads)
    ones = stateless(lambda updates, *, grad: jnp.ones_like(updates))
    inverse_norm = updates_of(gradpow.chain(ones, scale), params, grads)
    assert_same_steps(flat, updates_of(momentum, params, powered) * inverse_norm, ROUNDING)
    assert jnp.linalg.norm(flat - nested) > 0.05 * jnp.linalg.norm(nested)  # here 0.12


def test_a_reader_inside_gradpower_sees_the_powered_gradient():
    links = (t.nesterov_pmoment(0.95), t.p_norm_scale(0.95, 3.0))
    params = jnp.zeros(20)
    grads = gradients(params, steps=12)
    nested = gradpow.chain(t.sign_power(1.2), gradpow.chain(*links))
    actual = updates_of(gradpow.gradpower(optax.chain(*links), 1.2), params, grads)
    assert_same_steps(actual, updates_of(nested, params, grads), ROUNDING)


@each_reader
def test_optax_chain_serves_if_grad_is_passed(reader):
    grad = jnp.array([1.0, -2.0, 3.0])
    links = (optax.trace(0.9), reader)
    actual = once(optax.chain(*links), grad, grad=grad)
    np.testing.assert_array_equal(actual, once(gradpow.chain(*links), grad))


@each_reader
def test_without_a_gradient_the_reader_names_both_remedies(reader):
    with pytest.raises(ValueError, match=r"gradpow\.chain.*update\(\.\.\., grad=grads\)"):
        once(optax.chain(optax.trace(0.9), reader), jnp.ones(2))


def partition(reader, **kwargs):
    labels = {"matrix": "read", "vector": "left", "scalar": "left"}
    return optax.partition({"read": reader, "left": optax.identity()}, labels, **kwargs)


def masked(reader, **kwargs):
    return optax.masked(reader, {"matrix": True, "vector": False, "scalar": False}, **kwargs)


@each_reader
@pytest.mark.parametrize("wrap", [masked, partition])
def test_a_masked_reader_needs_mask_compatible_extra_args(wrap, reader):
    params = parameters()
    grads = gradients(params, steps=3)
    average = t.interpolated_momentum(0.9, 0.9)
    with pytest.raises(ValueError, match="mask_compatible_extra_args=True"):
        once(gradpow.chain(average, wrap(reader)), params)

    tx = gradpow.chain(average, wrap(reader, mask_compatible_extra_args=True))
    read, left = (
        updates_of(gradpow.chain(*links), params, grads)
        for links in ((average, reader), (average,))
    )
    expected = {**left, "matrix": read["matrix"]}
    assert_same_steps(updates_of(tx, params, grads), expected, ROUNDING)


@each_reader
def test_multisteps_goes_around_the_chain_and_never_inside(reader):
    params = {"w": jnp.zeros(9)}
    grads = jax.tree.map(lambda g: jnp.round(8 * g), gradients(params, steps=6))  # exact means
    chained = gradpow.chain(optax.trace(0.9), reader)
    actual = updates_of(optax.MultiSteps(chained, 2).gradient_transformation(), params, grads)
    means = {"w": (grads["w"][::2] + grads["w"][1::2]) / 2}
    expected = updates_of(chained, params, means)["w"]
    assert_same_steps(actual["w"][1::2], expected, ROUNDING)
    assert not jnp.any(actual["w"][::2])

    inside = optax.MultiSteps(reader, 2).gradient_transformation()
    with pytest.raises(ValueError, match="MultiSteps drops it: wrap the whole chain"):
        once(gradpow.chain(inside), params)


def test_a_chain_needs_links():
    with pytest.raises(ValueError, match=r"at least one.*optax\.identity"):
        gradpow.chain()


# The types

TYPES = ("float16", "bfloat16", "float32", "float64")


@pytest.mark.parametrize("params_type", TYPES)
@pytest.mark.parametrize("grads_type", TYPES)
def test_updates_have_the_gradients_type_and_states_at_least_float32(params_type, grads_type):
    tx = gradpow.chain(t.interpolated_momentum(0.5, 0.75), optax.add_decayed_weights(0.5))
    with jax.enable_x64(True):
        params = jnp.array([1.0, -2.0], params_type)
        grad = jnp.array([0.5, 4.0], grads_type)
        state = tx.init(params)
        updates, new_state = tx.update(grad, state, params)
    assert updates.dtype == grads_type
    np.testing.assert_array_equal(np.float64(updates), [0.25 + 0.5, 2.0 - 1.0])
    wide = "float64" if params_type == "float64" else "float32"
    assert state[0].m.dtype == new_state[0].m.dtype == wide
    np.testing.assert_array_equal(new_state[0].m, [0.125, 1.0])


def test_a_link_sees_narrow_gradients_and_params_in_float32():
    seen = []

    def update(updates, state, params=None, *, grad):
        seen.extend(x.dtype for x in (updates, params, grad))
        return updates, state

    tx = gradpow.chain(optax.GradientTransformationExtraArgs(optax.init_empty_state, update))
    assert once(tx, jnp.ones(2, jnp.bfloat16)).dtype == jnp.bfloat16
    assert seen == [jnp.float32] * 3


def test_states_keep_their_type_when_gradients_are_wider_than_params():
    with jax.enable_x64(True):
        params = parameters(jnp.float32)
        grads = gradients(parameters(jnp.float64), steps=3)
        for tx in (gradpow.s3(0.1), gradpow.stacey(0.1), gradpow.ams(0.1, b3=0.5)):
            # The scan inside would refuse a state that changed its type.
            updates = updates_of(tx, params, grads)
            assert {x.dtype for x in jax.tree.leaves(updates)} == {jnp.dtype("float64")}
            floats = {x.dtype for x in jax.tree.leaves(tx.init(params)) if x.ndim}
            assert floats == {jnp.dtype("float32")}


def test_complex_leaves_are_refused_with_the_remedy_and_the_remedy_works():
    tx = gradpow.adampower(0.1)
    params = {"c": jnp.array([1 + 2j, -3j]), "r": jnp.array([1.0, 2.0])}
    with pytest.raises(TypeError, match=r"optax\.contrib\.split_real_and_imaginary"):
        tx.init(params)
    real = {"c": params["r"], "r": params["r"]}
    with pytest.raises(TypeError, match=r"optax\.contrib\.split_real_and_imaginary"):
        tx.update(params, tx.init(real), real)

    grads = {"c": jnp.array([0.5 - 1j, 2 + 0j]), "r": jnp.array([1.0, -1.0])}
    updates = once(optax.contrib.split_real_and_imaginary(tx), grads, params)
    parts = {"re": jnp.real, "im": jnp.imag}
    apart = once(tx, *({k: f(x["c"]) for k, f in parts.items()} for x in (grads, params)))
    np.testing.assert_allclose(updates["c"], apart["re"] + 1j * apart["im"], rtol=ROUNDING)


def test_integers_and_float0_are_refused_and_left_alone_by_the_mask_that_is_named():
    params = {"w": jnp.ones(2, jnp.bfloat16), "n": jnp.array([1, 2])}
    grads = jax.grad(lambda p: jnp.sum(p["w"]), allow_int=True)(params)
    with pytest.raises(ValueError, match=r"int32 at n.*optax\.masked"):
        gradpow.s3(1.0).init(params)
    tx = optax.masked(gradpow.s3(1.0), {"w": True, "n": False})
    with pytest.raises(ValueError, match=r"float0 at n.*optax\.masked"):
        gradpow.s3(1.0).update(grads, tx.init(params).inner_state, params)
    for update in (tx.update, jax.jit(tx.update)):
        updates, _ = update(grads, tx.init(params), params)
        assert updates["n"].dtype == jax.dtypes.float0
        assert updates["w"].dtype == jnp.bfloat16
        updates, _ = update({**grads, "n": params["n"]}, tx.init(params), params)
        assert updates["n"].dtype == params["n"].dtype
        np.testing.assert_array_equal(updates["n"], params["n"])


@pytest.mark.parametrize(
    "leaf",
    [True, np.array([True]), 3, "adamw", jax.nn.relu],
    ids=["flag", "array", "int", "str", "function"],
)
def test_what_is_no_real_number_is_refused_by_its_path(leaf):
    with pytest.raises(ValueError, match=r"not .* at deep/0.*optax\.masked"):
        gradpow.s3(1.0).init({"w": jnp.ones(2), "deep": [leaf]})


@pytest.mark.parametrize("tree", [{}, (), {"a": None, "b": [None, {}]}])
def test_none_leaves_and_empty_trees_pass(tree):
    tx = gradpow.chain(gradpow.adampower(0.1), gradpow.cautious_adam(0.1))
    assert once(tx, tree) == tree
    with_leaf = once(tx, {"tree": tree, "w": jnp.ones(2)})
    assert with_leaf["tree"] == tree
    assert with_leaf["w"].shape == (2,)


# What the types are good for


def test_a_bfloat16_average_stalls_and_the_chain_does_not():
    average = t.interpolated_momentum(0.999, 0.999)
    params, grads = jnp.zeros([], jnp.bfloat16), jnp.ones(3000, jnp.bfloat16)
    plain = updates_of(average, params, grads)
    assert plain[-1] == plain[1000] < 0.6
    chained = updates_of(gradpow.chain(average), params, grads)
    exact = 1 - 0.999 ** np.arange(1, 3001)
    np.testing.assert_allclose(np.float64(chained), exact, rtol=2**-8)  # rounded at the end alone


def test_small_float16_gradients_break_optax_adam_and_not_adampower():
    grads = jnp.full((3, 2), 1e-4, jnp.float16)
    params = jnp.zeros(2, jnp.float16)
    assert not jnp.any(jnp.isfinite(updates_of(optax.adam(1e-3), params, grads)))
    ours = updates_of(gradpow.adampower(1e-3, p=1.0), params, grads)
    np.testing.assert_allclose(np.float32(ours), -1e-3, rtol=2e-3)  # float16's spacing, and eps


def test_injected_hyperparameters_need_a_type_of_their_own_under_bfloat16():
    """In the params' type b2 = 0.999 is 1: refused where it can be seen, else NaN."""
    params, grads = jnp.ones(2, jnp.bfloat16), jnp.ones((3, 2), jnp.bfloat16)

    def inject(**kwargs):
        return optax.inject_hyperparams(gradpow.adampower, **kwargs)(1e-3, b2=0.999)

    with pytest.raises(ValueError, match=r"b2 must be in \[0, 1\)"):
        inject().init(params)
    assert jnp.all(jnp.isnan(updates_of(inject(), params, grads)))
    right = updates_of(inject(hyperparam_dtype=jnp.float32), params, grads)
    expected = updates_of(gradpow.adampower(1e-3, b2=0.999), params, grads)
    np.testing.assert_allclose(np.float32(right), np.float32(expected), rtol=2**-7)


def test_injected_hyperparameters_take_a_callable_mask_for_a_schedule_unless_told():
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    still = jax.tree.map(lambda x: jnp.zeros((1, *x.shape)), params)

    def matrices(params):
        return jax.tree.map(lambda x: x.ndim > 1, params)

    def decayed(**kwargs):
        inject = optax.inject_hyperparams(gradpow.adampower, hyperparam_dtype=jnp.float32, **kwargs)
        steps = updates_of(inject(0.1, weight_decay=0.5, mask=matrices), params, still)
        return jax.tree.map(lambda u: bool(jnp.any(u != 0)), steps)

    assert decayed() == {"kernel": False, "bias": False}
    assert decayed(static_args="mask") == {"kernel": True, "bias": False}
