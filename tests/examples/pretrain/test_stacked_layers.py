"""Optimizers of layers in a stack, which are updated like layers by themselves."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from examples.pretrain.optimizers import OPTIMIZERS
from tests.examples.names import one_of_a_kind
from tests.examples.pretrain.test_optimizers import make, step_of


def random_layers(count=2):
    rng = np.random.default_rng(0)
    shapes = {"mlp/up_proj/kernel": (6, 4), "input_layernorm/scale": (4,)}
    return [
        {key: jnp.asarray(rng.normal(size=shape), jnp.float32) for key, shape in shapes.items()}
        for _ in range(count)
    ]


SCALES = (0.1, 10.0)  # of the layers' gradients: a mean over the stack is no layer's mean
REST = {"norm/scale": jnp.full(4, 0.5)}


def layer_gradients(number):
    rng = np.random.default_rng(number + 1)
    return [
        {
            key: jnp.asarray(scale * rng.normal(size=x.shape), jnp.float32)
            for key, x in layer.items()
        }
        for scale, layer in zip(SCALES, random_layers(), strict=True)
    ]


def stack(layers):
    return {"layers": jax.tree.map(lambda *xs: jnp.stack(xs), *layers)}


def three_steps(tx, params, gradient):
    step, state = step_of(tx), tx.init(params)
    for number in range(3):
        params, state = step(gradient(number), state, params)
    return params


@functools.cache
def listed(optimizer):
    """The layers after three steps, by themselves, put in a stack then."""
    params = three_steps(
        make(optimizer, 0.01, clip=0.0),
        {"layers": dict(enumerate(random_layers())), **REST},
        lambda number: {"layers": dict(enumerate(layer_gradients(number))), **REST},
    )
    return stack(list(params["layers"].values())) | {"norm/scale": params["norm/scale"]}


def stacked(optimizer, wrapped=True):
    return three_steps(
        make(optimizer, 0.01, stacked=wrapped, clip=0.0),
        stack(random_layers()) | REST,
        lambda number: stack(layer_gradients(number)) | REST,
    )


@one_of_a_kind()
def test_layers_in_a_stack_are_updated_like_layers_by_themselves(optimizer):
    # Three float32 steps; Muon's products are summed in another order in a batch.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6),
        stacked(optimizer),
        listed(optimizer),
    )


# AdamP and SGDP act on a tensor only where its gradients are all but orthogonal to it.
@one_of_a_kind([k for k, o in OPTIMIZERS.items() if o.normalises and k not in ("adamp", "sgdp")])
def test_without_a_normaliser_a_layer_they_would_differ(optimizer):
    differences = jax.tree.map(
        lambda a, b: jnp.max(jnp.abs(a - b)), listed(optimizer), stacked(optimizer, wrapped=False)
    )
    assert max(jax.tree.leaves(differences)) > 1e-4
