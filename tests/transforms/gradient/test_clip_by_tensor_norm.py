"""Clipping by the norm of a tensor against optax's of a tree of one."""

import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from gradpow.transforms import clip_by_tensor_norm
from tests.contract.case import Case
from tests.contract.exact import updates_of

CASE = Case(clip_by_tensor_norm, {"max_norm": 1.5})


def test_each_tensor_is_clipped_as_if_it_were_alone():
    grads = {"a": jnp.array([[3.0, 4.0], [0.3, 0.4]]), "b": jnp.array([[0.0, 0.0], [-6.0, 8.0]])}
    params = {"a": jnp.zeros(2), "b": jnp.zeros(2)}
    found = updates_of(gradpow.chain(clip_by_tensor_norm(1.0)), params, grads)
    for leaf in grads:
        alone = updates_of(optax.clip_by_global_norm(1.0), params[leaf], grads[leaf])
        np.testing.assert_allclose(found[leaf], alone, rtol=1e-6)
