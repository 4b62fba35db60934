"""Scion against its loop and another's code, every layer in the norm that its role calls for."""

import functools
import importlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradpow
from gradpow.transforms import NS5
from tests.contract.case import Case
from tests.contract.exact import assert_same_steps, at, in_both_types, updates_of
from tests.contract.oracles import oracle, torch_steps


def hidden_or_output(path, leaf):
    return "hidden" if leaf.ndim > 1 else "output"


NUMBERS = {"learning_rate": 0.01, "radius": 2.0, "output_radius": 3.0, "b": 0.9}
# A norm without singular vectors, which need the whole matrix on each device.
CASE = Case(gradpow.scion, NUMBERS, {"role": hidden_or_output, "norms": {"hidden": "rms"}})

STEPS = 6
LAYERS = {  # by names: shape, role, and the norm in pytorch_optimizer, with its arguments
    "wte/embedding": ((5, 4), "embedding", ("COL", {"transpose": True})),
    "patch_embedding/kernel": ((8, 6), "input", ("SPECTRAL", {"max_scale": True})),
    "h/0/mlp/c_fc/kernel": ((4, 6), "hidden", ("SPECTRAL", {})),
    "h/0/mlp/c_proj/kernel": ((6, 4), "hidden", ("SPECTRAL", {})),
    "h/0/mlp/c_fc/bias": ((6,), "vector", ("BIAS", {})),
    "conv1/kernel": ((2, 2, 3, 4), "conv", ("SPECTRALCONV", {})),
    "lm_head/kernel": ((4, 5), "output", ("SIGN", {})),
    "shared/embedding": ((5, 4), "tied", ("SIGN", {})),
}


def role(path, leaf):
    return "tied" if "shared" in path else gradpow.core.layer_role(path, leaf)


def falling(count):
    return 0.125 * (1 - count / 16)


def torch_layout(x, role):
    """The axes of a stack of such leaves, which PyTorch has: out before in."""
    return {
        "conv": lambda: x.transpose(0, 4, 3, 1, 2),
        "embedding": lambda: x,
        "tied": lambda: x,
        "vector": lambda: x,
    }.get(role, lambda: x.swapaxes(-1, -2))()


def uphill(m, role):
    """-lmo of one weight in PyTorch's layout, by scion.py."""
    if role == "vector":
        return m / np.sqrt(np.mean(m**2))
    if role == "embedding":  # a row a word
        return m / np.sqrt(np.mean(m**2, axis=1, keepdims=True))
    if role in ("output", "tied"):
        return np.sign(m) / m.shape[1]
    u, _, vt = np.linalg.svd(m.reshape(len(m), -1), full_matrices=False)
    scale = np.sqrt(m.shape[0] / m.shape[1]) / np.prod(m.shape[2:])
    return max(scale, 1 if role == "input" else 0) * (u @ vt).reshape(m.shape)


def loop(theta, gradients, role, learning_rate, radius, output_radius, b, constrained):
    """Pethick et al. (2025), Algorithms 1 and 2."""
    m, steps = np.zeros(theta.shape), np.zeros(gradients.shape)
    rho = output_radius if role in ("output", "tied") else radius
    for t, g in enumerate(gradients):
        m = b * m + (1 - b) * g
        gamma = at(learning_rate, t)
        steps[t] = -gamma * rho * uphill(m, role) - (gamma * theta if constrained else 0)
        theta = theta + steps[t]
    return steps


@functools.cache
def problem():
    rng = np.random.default_rng(0)
    shapes = {path: shape for path, (shape, _, _) in LAYERS.items()}
    draws = {path: rng.standard_normal((1 + STEPS, *shape)) for path, shape in shapes.items()}
    rounded = {path: x.astype(np.float32).astype(float) for path, x in draws.items()}
    return {path: (x[0], x[1:]) for path, x in rounded.items()}


@functools.cache
def steps_in(dtype, constrained, iteration: Any = "svd"):
    theta0, gradients = (
        {path: jnp.asarray(pair[i], dtype) for path, pair in problem().items()} for i in (0, 1)
    )
    tx = gradpow.scion(
        falling, 2.0, 3.0, b=0.5, constrained=constrained, role=role, iteration=iteration
    )
    return jax.device_get(updates_of(tx, theta0, gradients))


@in_both_types
def test_steps_are_those_of_the_loop(dtype):
    constrained = dtype is np.float64
    with jax.enable_x64(dtype is np.float64):
        actual = steps_in(dtype, constrained)
    for path, (_, kind, _) in LAYERS.items():
        theta0, gradients = problem()[path]
        expected = loop(
            torch_layout(theta0[None], kind)[0], torch_layout(gradients, kind), kind,
            falling, 2.0, 3.0, 0.5, constrained,
        )  # fmt: skip
        # Singular vectors in float32 have its rounding over the gaps between singular values.
        tolerance = 5e-5 if dtype is np.float32 else 1e-12
        assert_same_steps(torch_layout(actual[path], kind), expected, tolerance)


def test_it_is_pytorch_optimizer_s(monkeypatch):
    """With the five steps of Newton and Schulz, which it takes in bfloat16 by default."""
    package = oracle("pytorch_optimizer")
    import torch

    scion: Any = importlib.import_module("pytorch_optimizer.optimizer.scion")
    exact = functools.partial(scion.zero_power_via_newton_schulz_5, dtype=torch.float64)
    monkeypatch.setattr(scion, "zero_power_via_newton_schulz_5", exact)
    with jax.enable_x64(True):
        actual = steps_in(np.float64, True, iteration=NS5)
    for path, (_, kind, (norm, arguments)) in LAYERS.items():
        theta0, gradients = problem()[path]
        theta0, gradients = torch_layout(theta0[None], kind), torch_layout(gradients, kind)
        numbers = {
            "momentum": 0.5,
            "constraint": True,
            "norm_type": scion.LMONorm[norm],
            "norm_kwargs": arguments,
            "scale": 3.0 if kind in ("output", "tied") else 2.0,
        }
        steps = torch_steps(
            lambda p, numbers=numbers: package.SCION(p, **numbers), theta0[0], gradients, lr=falling
        )
        # It adds 1e-8 to norms, and 1e-7 to those by which it divides before its iteration.
        assert_same_steps(torch_layout(actual[path], kind), steps, 1e-6)


def test_constrained_weights_stay_in_their_balls():
    tx = gradpow.scion(0.25, 2.0, output_radius=3.0, role=role, iteration="svd")
    theta: Any = {"lm_head/kernel": jnp.full((4, 5), 0.75), "h/kernel": 2 * jnp.eye(4)}
    noise = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    steps = updates_of(tx, theta, {"lm_head/kernel": noise, "h/kernel": noise[..., 1:]})
    for taken in range(1, 4):
        now = {path: x + steps[path][:taken].sum(0) for path, x in theta.items()}
        assert np.abs(now["lm_head/kernel"]).max() * 4 <= 3 * (1 + 1e-6)
        assert np.linalg.norm(now["h/kernel"], 2) <= 2 * (1 + 1e-6)


def test_another_norm_may_be_given_for_a_role():
    theta: Any = {"lm_head": {"kernel": jnp.array([[3.0, 1.0], [4.0, 1.0]])}}
    tx = gradpow.scion(1.0, output_radius=2.0, constrained=False, norms={"output": "l2_to_linf"})
    updates: Any = tx.update(theta, tx.init(theta))[0]
    np.testing.assert_allclose(updates["lm_head"]["kernel"][:, 0], [-1.2, -1.6], rtol=1e-6)
    with pytest.raises(ValueError, match=r"norm must be .* not 'l2_to_max'"):
        tx = gradpow.scion(1.0, norms={"output": "l2_to_max"})
        tx.update(theta, tx.init(theta), theta)
