"""QK-Clip: heads after the step against the rule and pytorch-optimizer's, in all layouts."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.core import Scalar
from tests.contract.case import Case
from tests.contract.trees import normal, quick_jit


def clipping(base: optax.GradientTransformation, tau: Scalar, alpha: Scalar):
    """Around base, with logits of its own for what the contract calls its matrix: a head a column.

    Some are above tau, and some below.
    """
    tx = gradpow.qk_clip(base, tau, alpha, {"matrix": "query"}.get)

    def update(updates, state, params=None, *, max_logits=None, **extra_args):
        del max_logits
        found = isinstance(updates, dict) and "matrix" in updates
        heads = jnp.shape(updates["matrix"])[-1] if found else 0
        logits = {"matrix": jnp.linspace(0.0, 400.0, heads, dtype=jnp.float32)} if found else {}
        return tx.update(updates, state, params, max_logits=logits, **extra_args)

    return optax.GradientTransformationExtraArgs(tx.init, update)


CASE = Case(clipping, {"tau": 100.0, "alpha": 0.5}, {"base": optax.sgd(1e-2)})
TAU = 100.0
LOGITS = jnp.array([50.0, 400.0])
GAMMA = np.array([1.0, 0.25])


def stepped(params, logits, **numbers):
    """What QK-Clip makes of the parameters after a step of SGD, and that step alone."""
    base = optax.sgd(0.1)
    tx = gradpow.qk_clip(base, **numbers)
    grads = jax.tree.map(jnp.cos, params)

    @quick_jit
    def step(params, logits):
        updates, _ = tx.update(grads, tx.init(params), params, max_logits=logits)
        return optax.apply_updates(params, updates)

    plain = optax.apply_updates(params, base.update(grads, base.init(params))[0])
    return step(params, logits), plain


def assert_clipped(path, found, plain, factor):
    np.testing.assert_allclose(found[path], plain[path] * factor, rtol=1e-5, err_msg=path)


def test_each_head_is_clipped_alone_and_all_else_left_alone():
    params = normal({"attn/query": (6, 2, 4), "attn/key": (6, 2, 4), "attn/out": (2, 4, 6)}, 0)
    found, plain = stepped(params, {"attn": LOGITS}, alpha=0.25)
    assert_clipped("attn/query", found, plain, GAMMA[:, None] ** 0.25)
    assert_clipped("attn/key", found, plain, GAMMA[:, None] ** 0.75)
    assert_clipped("attn/out", found, plain, 1.0)
    np.testing.assert_array_equal(found["attn/query"][:, 0], plain["attn/query"][:, 0])


def test_logits_after_the_clip_are_at_most_tau():
    params = normal({"attn/query": (6, 2, 4), "attn/key": (6, 2, 4)}, 0)
    x = normal({"x": (5, 6)}, 1)["x"]

    def logits(params):
        q, k = (jnp.einsum("tm,mhd->thd", x, params[f"attn/{n}"]) for n in ("query", "key"))
        return jnp.einsum("thd,shd->hts", q, k).max(axis=(1, 2)) / 2

    tx = gradpow.qk_clip(optax.set_to_zero(), tau=1.0)
    largest = logits(params)
    updates, _ = tx.update(params, tx.init(params), params, max_logits={"attn": largest})
    after = logits(optax.apply_updates(params, updates))
    np.testing.assert_allclose(after, np.minimum(largest, 1.0), rtol=1e-5)
    assert (largest > 1).any()


@pytest.mark.parametrize(
    ("shape", "factor"),
    [
        ((6, 8), np.repeat(GAMMA, 4) ** 0.5),
        ((6, 2, 4), GAMMA[:, None] ** 0.5),
        ((2, 8), np.repeat(GAMMA, 4) ** 0.5),  # two inputs, not two heads
    ],
)
def test_heads_may_lie_one_after_the_other(shape, factor):
    params = normal({"q": shape, "k": shape}, 0)
    found, plain = stepped(params, LOGITS)
    assert_clipped("q", found, plain, factor)
    assert_clipped("k", found, plain, factor)


def test_biases_go_with_their_kernels():
    params = {"q": normal({"kernel": (6, 2, 4), "bias": (2, 4)}, 0),
              "k": normal({"kernel": (6, 8), "bias": (8,)}, 1)}  # fmt: skip
    found, plain = stepped(params, LOGITS)
    assert_clipped("bias", found["q"], plain["q"], GAMMA[:, None] ** 0.5)
    assert_clipped("bias", found["k"], plain["k"], np.repeat(GAMMA, 4) ** 0.5)


def test_stacked_layers_have_logits_each():
    params = {"layers": {"attn": normal({"query": (3, 6, 2, 4), "key": (3, 6, 8)}, 0)}}
    logits = jnp.array([[50.0, 400.0], [100.0, 0.0], [-3.0, 1600.0]])
    gamma = np.array([[1.0, 0.25], [1.0, 1.0], [1.0, 0.0625]])
    found, plain = stepped(params, {"layers": {"attn": logits}})
    found, plain = found["layers"]["attn"], plain["layers"]["attn"]
    assert_clipped("query", found, plain, gamma[:, None, :, None] ** 0.5)
    assert_clipped("key", found, plain, np.repeat(gamma, 4, axis=1)[:, None] ** 0.5)


def test_queries_take_all_where_groups_share_a_key():
    params = normal({"q": (6, 4, 3), "k": (6, 2, 3)}, 0)
    found, plain = stepped(params, jnp.array([50.0, 400.0, 100.0, 200.0]))
    assert_clipped("q", found, plain, np.array([1.0, 0.25, 1.0, 0.5])[:, None])
    assert_clipped("k", found, plain, 1.0)


def test_latent_attention_has_parts_of_heads():
    """Content and rotated coordinates in one query, content and values in one key."""
    params = normal({"q_b": (6, 2, 5), "kv_b": (6, 2, 7), "k_rotary": (6, 2)}, 0)
    roles = {
        "q_b": [("query", slice(3)), ("rotary_query", slice(3, None))],
        "kv_b": [("key", slice(3))],
    }
    found, plain = stepped(params, LOGITS, roles=roles.get)
    root = GAMMA[:, None] ** 0.5
    content, ones = np.broadcast_to(root, (2, 3)), np.ones((2, 4))
    rotated = np.broadcast_to(GAMMA[:, None], (2, 2))
    assert_clipped("q_b", found, plain, np.concatenate([content, rotated], axis=1))
    assert_clipped("kv_b", found, plain, np.concatenate([content, ones], axis=1))
    assert_clipped("k_rotary", found, plain, 1.0)


@pytest.mark.parametrize(
    "logits",
    [
        {"layers/0/attn": LOGITS},
        {"layers": {"0": {"attn": LOGITS}}},
        {"layers": [{"attn": LOGITS, "mlp": None}, None], "embed": None},
    ],
    ids=["paths", "nested", "tree"],
)
def test_logits_are_found_by_path(logits):
    layer = {"attn": normal({"query": (6, 2, 4), "key": (6, 2, 4)}, 0), "mlp": jnp.ones((2, 2))}
    params = {"layers": [layer, layer], "embed": jnp.ones((3, 2))}
    found, plain = stepped(params, logits)
    factor = GAMMA[:, None] ** 0.5
    assert_clipped("query", found["layers"][0]["attn"], plain["layers"][0]["attn"], factor)
    assert_clipped("query", found["layers"][1]["attn"], plain["layers"][1]["attn"], 1.0)


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (None, r"qk_clip needs the largest logit .*max_logits="),
        ({"mlp": LOGITS}, "'mlp', but no query or key is known below it"),
        ({"attn": jnp.ones(5)}, r"shape \(5,\) does not fit 'attn/query' of shape \(6, 2, 4\)"),
        ({"attn": jnp.ones((3, 2))}, r"shape \(3, 2\) does not fit"),
    ],
)
def test_logits_that_do_not_fit_are_refused(logits, message):
    params = {"attn": {"query": jnp.ones((6, 2, 4))}, "mlp": jnp.ones((2, 2))}
    tx = gradpow.qk_clip(optax.sgd(0.1))
    with pytest.raises(ValueError, match=message):
        tx.update(params, tx.init(params), params, max_logits=logits)
