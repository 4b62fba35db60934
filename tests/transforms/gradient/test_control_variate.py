"""Control variates, by hand: one formula."""

import jax.numpy as jnp
import numpy as np

from gradpow.transforms import control_variate
from tests.contract.case import Case, reference_gradients

CASE = Case(control_variate, {"weight": 0.4}, arguments=reference_gradients)


def test_its_mean_over_batches_is_the_full_gradient_and_at_the_anchor_it_is_exact():
    here, there = jnp.array([[1.0, 4.0], [3.0, -8.0]])
    tx = control_variate()
    at = {"reference_mean": there.mean(keepdims=True)}
    pairs = zip(here, there, strict=True)
    u = [tx.update(g[None], (), reference_grad=r[None], **at)[0] for g, r in pairs]
    np.testing.assert_allclose(sum(u) / 2, here.mean(keepdims=True))
    for r in there:
        np.testing.assert_array_equal(
            tx.update(r[None], (), reference_grad=r[None], **at)[0], at["reference_mean"]
        )
