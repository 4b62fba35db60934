"""The structure of a state depends on no number's value: what is not wanted is None, not 0."""

import functools

import jax
import jax.numpy as jnp
import optax

import gradpow
from tests.contract.cases import CASES, each
from tests.contract.trees import as_arrays

SHAPES = {"matrix": (4, 8), "vector": (8,), "scalar": ()}
PARAMS = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in SHAPES.items()}
with_numbers = each([name for name in CASES if CASES[name].numbers])


def structure(tx):
    """Treedef, shapes and types of the state, which an update keeps."""
    state = jax.eval_shape(tx.init, PARAMS)
    assert jax.eval_shape(tx.update, PARAMS, state, PARAMS)[1] == state
    return state


@functools.cache
def usual(name):
    return structure(CASES[name].in_chain())


@with_numbers
def test_every_value_of_every_number_gives_the_same_state(name):
    case = CASES[name]
    for number, allowed in case.ranges.items():
        few = {0.0, 0.1, 1.0, 2.0, allowed.low, allowed.high}
        for value in [*filter(allowed.holds, few), jnp.float32(case.numbers[number])]:
            found = jax.eval_shape(case.in_chain(**{number: value}).init, PARAMS)
            assert found == usual(name), f"{number} = {value} changes the state of {name}"


@with_numbers
def test_traced_numbers_give_the_same_state(name):
    params = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), PARAMS)
    found = jax.eval_shape(
        lambda numbers: CASES[name].in_chain(**numbers).init(params), as_arrays(CASES[name].numbers)
    )
    assert found == usual(name)


@with_numbers
def test_injected_numbers_keep_the_state_inside_as_it_is(name):
    injected = gradpow.chain(CASES[name].injected())
    assert (structure(injected)[0].inner_state,) == usual(name)


@each([name for name in CASES if CASES[name].optional])
def test_without_an_optional_number_the_state_has_less_and_never_more(name):
    """None is what switches off; it is the one value that may change what is kept."""
    for number in CASES[name].optional:
        found = structure(CASES[name].in_chain(**{number: None}))
        assert len(jax.tree.leaves(found)) <= len(jax.tree.leaves(usual(name)))


def test_a_value_that_changes_the_state_is_seen():
    """As optax's own decay after a branch on its value would."""

    def by_value(weight_decay: float) -> optax.GradientTransformation:
        return optax.trace(0.9) if weight_decay else optax.identity()

    assert structure(by_value(0.1)) != structure(by_value(0.0))
