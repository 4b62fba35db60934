"""Linear minimization oracles against their formulas, by duality, and as balls of layers."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax.contrib import MuonDimensionNumbers

import gradpow
from gradpow.core import (
    NORMS,
    VECTOR_NORMS,
    Ball,
    Scalar,
    dual_norm,
    layer_balls,
    layer_role,
    matrix_norm,
    start_on_balls,
    unit_dual,
)
from gradpow.transforms import POLAR_EXPRESS, lmo
from tests.contract.case import Case
from tests.contract.trees import quick_jit


def applied(tx: optax.GradientTransformation, x: Any) -> Any:
    return quick_jit(tx.update)(x, optax.EmptyState())[0]


def rows(radius: Scalar) -> optax.GradientTransformation:
    return lmo("l1_to_rms", radius)


def spectral(radius: Scalar) -> optax.GradientTransformation:
    return lmo("rms_to_rms", radius)


CASE = Case(lmo, {"radius": 2.0, "p": 3.0}, {"norm": "lp"})
CASES = {
    "lmo_tree": Case(lmo, {"radius": 2.0, "p": 3.0}, {"norm": "lp", "over": "tree"}),
    "lmo_rows": Case(rows, {"radius": 2.0}, by_rows=True),
    # Products in another order, through the five steps of an iteration that expands.
    "lmo_spectral": Case(spectral, {"radius": 2.0}, sharded=1e-4),
}
SIZES = [1e-30, 1.0, 1e30]


def oracle(norm, g, p=3.0, k=2):
    """-lmo of a matrix (out, in), as the papers have it; of k places "conv" takes k^2 inputs."""
    n, m = g.shape
    u, _, vt = np.linalg.svd(g, full_matrices=False)
    q = p / (p - 1)
    columns = np.linalg.norm(g, axis=0, keepdims=True)
    rows = np.linalg.norm(g, axis=1, keepdims=True)
    return {
        "l2": lambda: g / np.linalg.norm(g),
        "lp": lambda: np.sign(g) * np.abs(g) ** (q - 1) / np.sum(np.abs(g) ** q) ** (1 / p),
        "linf": lambda: np.sign(g),
        "rms": lambda: g / np.sqrt(np.mean(g**2)),
        "l1_to_l2": lambda: g / columns,
        "l1_to_rms": lambda: np.sqrt(n) * g / columns,
        "l1_to_linf": lambda: np.sign(g),
        "mean_to_l2": lambda: g / (m * columns),
        "mean_to_rms": lambda: np.sqrt(n) * g / (m * columns),
        "mean_to_linf": lambda: np.sign(g) / m,
        "l2_to_l2": lambda: u @ vt,
        "l2_to_rms": lambda: np.sqrt(n) * u @ vt,
        "l2_to_linf": lambda: g / rows,
        "rms_to_l2": lambda: u @ vt / np.sqrt(m),
        "rms_to_rms": lambda: np.sqrt(n / m) * u @ vt,
        "rms_to_linf": lambda: g / (np.sqrt(m) * rows),
        "spectral": lambda: u @ vt,
        "rms_to_rms_max": lambda: max(1, np.sqrt(n / m)) * u @ vt,
        "conv": lambda: np.sqrt(n / (m / k**2)) * u @ vt / k**2,
    }[norm]()


@functools.cache
def results(shape, dtype):
    """Matrices and others, and by norm: oracle, its norm, the others' norm, the dual norm."""

    @quick_jit  # all norms in one program
    def of_all(x, others):
        found = {}
        for norm in NORMS:
            window = 4 if norm == "conv" and shape[0] % 4 == 0 else 1
            given = {"p": 3.0, "window": window}
            y = unit_dual(x, norm, **given)
            one, size = (matrix_norm(z, norm, **given) for z in (y, others))
            found[norm] = y, one, size, dual_norm(x, norm, **given)
        return found

    x, others = np.random.default_rng(0).standard_normal((2, *shape))
    stack = np.stack([*(size * np.float32(x) for size in SIZES), 0 * x, 0 * x + 1])
    others = np.broadcast_to(others, stack.shape)
    with jax.enable_x64(dtype is np.float64):
        found = jax.device_get(of_all(jnp.asarray(stack, dtype), jnp.asarray(others, dtype)))
    return stack, others, found


@pytest.mark.parametrize(
    ("shape", "dtype"), [((4, 6), np.float32), ((8, 3), np.float64), ((1, 5), np.float32)]
)
def test_each_is_its_formula_at_any_size_on_its_sphere_and_the_farthest_of_its_ball(shape, dtype):
    stack, others, found = results(shape, dtype)
    # Singular vectors in float32 are right to some of its roundings over the gaps between values.
    close = functools.partial(
        np.testing.assert_allclose, rtol=1e-5 if dtype is np.float32 else 1e-12
    )
    for norm, (y, one, size, dual) in found.items():
        assert y.dtype == dtype
        expected = np.stack(
            [oracle(norm, x.T, k=2 if shape[0] % 4 == 0 else 1).T for x in stack[:3]]
        )
        close(y[:3], expected, atol=close.keywords["rtol"] * np.abs(expected).max(), err_msg=norm)
        close(one[[0, 1, 2, 4]], 1, err_msg=norm)
        # Hoelder's inequality, with equality at the oracle's point.
        x, other = stack[1].astype(float), others[1]
        close(dual[1], np.sum(x * y[1]), err_msg=norm)
        assert np.all(np.sum(x * other) <= dual[1] * size[1]), norm
        # Zeros stay, and of rank 1 is what the constant is.
        assert not y[3].any() and not one[3].any() and not dual[3].any()
        assert np.isfinite(y[4]).all() and dual[4] > 0


def test_dual_norms_are_the_known_ones():
    stack, _, found = results((4, 6), np.float32)
    x = stack[1]
    known = {
        "spectral": np.linalg.svd(x, compute_uv=False).sum(),  # nuclear
        "linf": np.abs(x).sum(),
        "l2": np.linalg.norm(x),
        "rms": np.linalg.norm(x) * np.sqrt(24),
        "lp": np.sum(np.abs(x) ** 1.5) ** (1 / 1.5),
        "rms_to_rms": np.sqrt(6 / 4) * np.linalg.svd(x, compute_uv=False).sum(),
        "l1_to_rms": np.sqrt(6) * np.linalg.norm(x, axis=1).sum(),
        "mean_to_linf": np.abs(x).sum() / 4,
    }
    for norm, expected in known.items():
        np.testing.assert_allclose(found[norm][3][1], [[expected]], rtol=1e-5)


def test_slopes_are_finite_at_0_and_those_of_the_formula_elsewhere():
    norms = ("l2", "lp", "rms", "l1_to_rms", "rms_to_linf")

    @quick_jit
    def slopes(x, v):
        def of_all(x):
            return [unit_dual(x, norm, 3.0) for norm in norms]

        return jax.jvp(of_all, (0 * x,), (v,))[1], jax.jvp(of_all, (x,), (v,))[1]

    x, v = np.random.default_rng(0).standard_normal((2, 2, 3))
    with jax.enable_x64(True):
        at_zero, elsewhere = jax.device_get(slopes(jnp.asarray(x), jnp.asarray(v)))
    for norm, zero, slope in zip(norms, at_zero, elsewhere, strict=True):
        assert np.isfinite(zero).all()
        ahead, behind = (oracle(norm, (x + h * v).T).T for h in (1e-6, -1e-6))
        np.testing.assert_allclose(slope, (ahead - behind) / 2e-6, atol=1e-8)


@pytest.mark.parametrize("norm", VECTOR_NORMS)
def test_over_the_tree_all_leaves_are_one_vector(norm):
    tree = {"a": jnp.array([[3.0, -1.0], [0.0, 2.0]]), "b": jnp.array([-4.0]), "c": jnp.array(1.5)}
    tx = lmo(norm, 2.0, p=3.0, over="tree")
    actual = applied(tx, tree)
    whole = np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])[None]
    expected = 2 * oracle(norm, np.where(whole == 0, 1e-300, whole))[0]
    found = np.concatenate([np.ravel(x) for x in jax.tree.leaves(actual)])
    np.testing.assert_allclose(found, np.where(whole[0] == 0, 0, expected), rtol=1e-6)


def test_of_order_2_and_infinity_lp_is_l2_and_linf():
    x = jnp.array([[3.0, -4.0, 0.0]])
    for p, norm in ((2.0, "l2"), (jnp.inf, "linf")):
        np.testing.assert_allclose(unit_dual(x, "lp", p), unit_dual(x, norm), rtol=1e-6)


def test_axes_say_what_is_in_and_out_and_what_is_no_matrix_stays():
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, 3, 4)), jnp.float32)
    swapped = lmo(
        "rms_to_rms", iteration="svd", matrices=lambda path, leaf: MuonDimensionNumbers(2, 1)
    )
    y = applied(swapped, x)
    expected = np.stack([oracle("rms_to_rms", g) for g in np.asarray(x, float)])
    np.testing.assert_allclose(y, expected, atol=1e-5)
    tree = {"w": x[0], "b": x[0, 0]}
    found = applied(lmo("linf", matrices={"w": True, "b": None}), tree)
    np.testing.assert_array_equal(found["w"], np.sign(x[0]))
    np.testing.assert_array_equal(found["b"], x[0, 0])


def test_the_radius_may_follow_the_dual_norm():
    x = jnp.array([[3.0, -4.0]])
    for over in (None, "tree"):
        tx = lmo("l2", by_dual_norm=lambda dual: 2 * dual, over=over)
        np.testing.assert_allclose(applied(tx, x), 2 * x, rtol=1e-6)
    tx = lmo(lambda path, leaf: Ball("l2", 1.5), 2.0, by_dual_norm=lambda dual: dual)
    np.testing.assert_allclose(applied(tx, x), 9 * x, rtol=1e-6)


def test_iterations_find_the_factor_at_any_size():
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    stack = jnp.stack([size * x for size in SIZES])
    y = applied(lmo("spectral", iteration=POLAR_EXPRESS), stack)
    for found in y:  # to its own rounding, which grows with the condition, 3
        np.testing.assert_allclose(found, oracle("spectral", x.astype(float)), atol=1e-5)


def test_what_is_no_norm_is_refused():
    with pytest.raises(ValueError, match=r"norm must be .*rms_to_rms.* not 'nuclear'"):
        lmo("nuclear")
    with pytest.raises(ValueError, match=r"norm must be .* not 'rms_to_rms'"):
        lmo("rms_to_rms", over="tree")
    with pytest.raises(ValueError, match=r"over must be None"):
        lmo("l2", over="leaf")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"p must be in \(1, inf\]"):
        lmo("lp", p=1.0)


ROLES = {
    ("wte/embedding", (9, 4)): "embedding",
    ("patch_embedding/kernel", (2, 2, 3, 4)): "input",
    ("h/0/mlp/c_fc/kernel", (4, 8)): "hidden",
    ("layers/attn/query/kernel", (3, 4, 8)): "hidden",
    ("conv1/kernel", (3, 3, 2, 4)): "conv",
    ("lm_head/kernel", (4, 9)): "output",
    ("h/0/ln_1/scale", (4,)): "vector",
    ("layers/ln_1/scale", (3, 4)): "vector",
    ("h/0/mlp/c_fc/bias", (8,)): "vector",
}


def test_roles_go_by_names_and_their_axes_by_roles():
    axes = {"input": ((0, 1, 2), (3,)), "conv": ((0, 1, 2), (3,)), "embedding": ((0,), (1,))}
    ball = layer_balls({"hidden": 2.0, "output": 5.0})
    for (path, shape), role in ROLES.items():
        leaf = jnp.ones(shape)
        assert layer_role(path, leaf) == role, path
        found = ball(path, leaf)
        assert found.radius == (5.0 if role == "output" else 2.0)
        if role in axes:
            assert found.axes == MuonDimensionNumbers(*axes[role])
    assert ball("layers/ln_1/scale", jnp.ones((3, 4))).axes == MuonDimensionNumbers((), (1,))
    with pytest.raises(
        ValueError, match=r"the role 'hiden' of 'w' has no norm; the nearest is hid"
    ):
        layer_balls({"hidden": 1.0}, role=lambda path, leaf: "hiden")("w", jnp.ones((2, 2)))


def test_weights_start_on_their_balls():
    params = {path: jnp.ones(shape) for path, shape in ROLES}
    balls = layer_balls({"hidden": 2.0, "output": 5.0})

    @quick_jit
    def started(key, params):
        start, sizes = start_on_balls(key, params, balls), {}
        for (path, shape), role in ROLES.items():
            x = start[path].reshape(shape if role == "hidden" else (-1, shape[-1]))
            window = 9 if role == "conv" else 1
            sizes[path] = matrix_norm(x, balls(path, start[path]).norm, window=window)
        return start, sizes

    start, sizes = started(jax.random.key(0), params)
    for (path, _), role in ROLES.items():
        if role == "vector":
            np.testing.assert_array_equal(start[path], 1)
        else:
            np.testing.assert_allclose(sizes[path], balls(path, start[path]).radius, rtol=1e-5)
    assert not np.array_equal(start["wte/embedding"][0], start["wte/embedding"][1])
    table = gradpow.describe_split(params, layer_role)
    assert "hidden: 2 tensors" in table and "vector: 3 tensors" in table
