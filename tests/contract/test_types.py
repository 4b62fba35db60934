"""Types of leaves: strict promotion, float8, integers, shapes alone. All is only traced."""

import jax
import jax.numpy as jnp
import optax
import pytest

from tests.contract.cases import CASES, LINKS, each
from tests.contract.trees import parameters

every_case = each(CASES)


def of_type(dtype):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, dtype), parameters())


def step(tx, params):
    return tx.update(params, tx.init(params), params)


def state_types(name, dtype):
    state = jax.eval_shape(CASES[name].in_chain().init, of_type(dtype))
    return jax.tree.map(lambda x: x.dtype, state)


@every_case
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_strict_promotion_allows_every_step_in_a_chain(name, dtype):
    params = of_type(dtype)
    with jax.numpy_dtype_promotion("strict"):
        tx = CASES[name].in_chain()
        updates, _ = jax.eval_shape(lambda params: step(tx, params), params)
    assert updates == params


@each(LINKS)
def test_strict_promotion_allows_every_link_outside_of_one(name):
    def update(params):
        tx = optax.with_extra_args_support(CASES[name].make())
        return tx.update(params, tx.init(params), params, grad=params)

    params = of_type(jnp.float32)
    with jax.numpy_dtype_promotion("strict"):
        updates, _ = jax.eval_shape(update, params)
    assert updates == params


def test_optaxs_adam_itself_does_not_bear_strict_promotion():
    """The day that it does, gradpow.chain need not ask for the standard one."""
    with (
        jax.numpy_dtype_promotion("strict"),
        pytest.raises(ValueError, match="no available implicit"),
    ):
        jax.eval_shape(lambda params: step(optax.adam(0.1), params), of_type(jnp.float32))


@every_case
def test_float8_is_taken_as_bfloat16_is(name):
    params, tx = of_type(jnp.float8_e4m3fn), CASES[name].in_chain()
    updates, _ = jax.eval_shape(lambda params: step(tx, params), params)
    assert updates == params
    assert state_types(name, jnp.float8_e4m3fn) == state_types(name, jnp.bfloat16)


@every_case
def test_integer_leaves_are_refused_by_their_path_with_the_remedy(name):
    params, tx = parameters(), CASES[name].in_chain()
    state = jax.eval_shape(tx.init, params)
    numbered = {**params, "deep": [jnp.arange(3)]}
    match = r"int32 at deep/0.*optax\.masked"
    with pytest.raises(ValueError, match=match):
        tx.init(numbered)
    with pytest.raises(ValueError, match=match):
        tx.update(numbered, state, numbered)


@every_case
def test_init_takes_shapes_alone_or_says_how_to_ask_for_them(name):
    params, tx = of_type(jnp.bfloat16), CASES[name].in_chain()
    shapes = jax.eval_shape(tx.init, params)
    try:
        state = tx.init(params)
    except TypeError as error:
        assert "jax.eval_shape(tx.init, params)" in str(error)
        assert name in NEED_VALUES or CASES[name].second
        return
    assert name not in NEED_VALUES
    assert jax.eval_shape(lambda: state) == shapes


# What starts at the parameters themselves.
NEED_VALUES = {"linear_coupling", "lp_mirror_step", "stacey", "norm_control", "adamwn"}
