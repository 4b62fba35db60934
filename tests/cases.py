"""The table of all transforms and optimizers that the contract and the sharding tests run over."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from gradpow import transforms as t


@dataclass(frozen=True)
class Case:
    """A factory, every number it takes (valid values, all effective), and its other arguments."""

    factory: Callable[..., optax.GradientTransformation]
    numbers: Mapping[str, float]
    other: Mapping[str, Any] = field(default_factory=dict)
    rates: tuple[str, ...] = ()  # the numbers that may be schedules
    needs_params: bool = False
    needs_grad: bool = False
    # Per optimizer and tensor: reductions that may become collectives under sharding.
    reduces: bool = False

    def make(self, **changes: Any) -> optax.GradientTransformation:
        return self.factory(**{**self.numbers, **self.other, **changes})


def _coupling(learning_rate, tau, alpha):
    return t.linear_coupling(optax.scale(-learning_rate), t.lp_mirror_step(alpha, 2.0), tau)


def _cautious(learning_rate, negative_scale, b3, zero_scale, floor):
    base = optax.sgd(learning_rate, momentum=0.9)
    return gradpow.cautious(base, negative_scale, b3, zero_scale, floor)


ADAM = {"b1": 0.9, "b2": 0.99, "eps": 1e-8, "eps_root": 1e-12}
DECAY = {"learning_rate": 1e-2, "weight_decay": 0.1}
RATES = ("learning_rate", "weight_decay")

TRANSFORMS = {
    "sign_power": Case(t.sign_power, {"p": 1.2}),
    "adaptive_sign_power": Case(
        t.adaptive_sign_power,
        {"b": 0.9},
        # The first power acts at init alone, bounds and eps where the noise is at their level.
        {"p": 1.2, "low": 0.8, "high": 1.4, "eps": 1e-8},
        reduces=True,
    ),
    "interpolated_momentum": Case(t.interpolated_momentum, {"b1": 0.9, "b2": 0.99}),
    "nesterov_pmoment": Case(t.nesterov_pmoment, {"b": 0.9, "p": 1.5}),
    "p_norm_scale": Case(t.p_norm_scale, {"b": 0.9, "p": 3.0, "eps": 1e-8}, needs_grad=True),
    "momentum_scaling": Case(
        t.momentum_scaling,
        {"negative_scale": -0.5, "b3": 0.5, "zero_scale": 0.9, "floor": 1e-3},
        needs_grad=True,
        reduces=True,
    ),
    "lp_steepest": Case(t.lp_steepest, {"p": 3.5, "eps": 1e-3}),
    "lp_steepest_scaled": Case(t.lp_steepest, {"p": 3.5}, {"scaled": True}, reduces=True),
    "lp_mirror_step": Case(t.lp_mirror_step, {"alpha": 0.1, "p": 3.5}, needs_params=True),
    "linear_coupling": Case(
        _coupling, {"learning_rate": 0.1, "tau": 0.5, "alpha": 0.1}, needs_params=True
    ),
    "decay_stepped_weights": Case(
        t.decay_stepped_weights, {"rate": 0.1}, rates=("rate",), needs_params=True
    ),
    "low_precision_state": Case(lambda: gradpow.low_precision_state(optax.scale_by_adam()), {}),
    "blockwise_learning_rate": Case(
        lambda ratio: gradpow.blockwise_learning_rate(lambda path: ratio), {"ratio": 0.5}
    ),
}

OPTIMIZERS = {
    "gradpower": Case(
        lambda p: gradpow.gradpower(optax.lion(1e-2), p), {"p": 1.2}, needs_params=True
    ),
    "adampower": Case(
        gradpow.adampower, {**DECAY, **ADAM, "p": 1.2}, rates=RATES, needs_params=True
    ),
    "adagradpower": Case(
        gradpow.adagradpower,
        {"learning_rate": 1e-2, "p": 1.2, "eps": 1e-8},
        rates=("learning_rate",),
    ),
    "sgdpower": Case(
        gradpow.sgdpower,
        {"learning_rate": 1e-2, "p": 0.8, "momentum": 0.9},
        rates=("learning_rate",),
    ),
    "muonpower": Case(
        gradpow.muonpower,
        {**DECAY, "b1": 0.9, "b2": 0.95, "p": 1.2, "beta": 0.9, "consistent_rms": 0.2, "eps": 1e-8},
        rates=RATES,
        needs_params=True,
        reduces=True,
    ),
    "s3": Case(
        gradpow.s3, {**DECAY, "b": 0.9, "p": 3.0, "eps": 1e-9}, rates=RATES, needs_params=True
    ),
    "stacey": Case(
        gradpow.stacey,
        {
            **DECAY,
            "p": 2.8,
            "mirror_p": 3.5,
            "b1": 0.9,
            "b2": 0.99,
            "alpha": 0.1,
            "tau": 0.1,
            "eps": 1e-6,
        },
        rates=RATES,
        needs_params=True,
    ),
    "lp_descent": Case(
        gradpow.lp_descent, {"learning_rate": 1e-2, "p": 3.0}, rates=("learning_rate",)
    ),
    "ams": Case(
        gradpow.ams,
        {**DECAY, **ADAM, "b3": 0.5, "negative_scale": -0.5, "floor": 1e-3},
        rates=RATES,
        needs_params=True,
        reduces=True,
    ),
    "grams": Case(gradpow.grams, {**DECAY, **ADAM}, rates=RATES, needs_params=True),
    "cautious": Case(
        _cautious,
        {
            "learning_rate": 1e-2,
            "negative_scale": -0.5,
            "b3": 0.5,
            "zero_scale": 0.9,
            "floor": 1e-3,
        },
        rates=("learning_rate",),
        reduces=True,
    ),
    "cautious_adam": Case(
        gradpow.cautious_adam,
        {**DECAY, **ADAM, "floor": 1e-3},
        rates=RATES,
        needs_params=True,
        reduces=True,
    ),
    "cautious_lion": Case(
        gradpow.cautious_lion,
        {**DECAY, "b1": 0.9, "b2": 0.99, "floor": 1e-3},
        rates=RATES,
        needs_params=True,
        reduces=True,
    ),
}

CASES = {**TRANSFORMS, **OPTIMIZERS}


# The ranges that the docstrings promise; those of rates are optax's, and not spelled out.
RANGES = {
    **dict.fromkeys(("b", "b1", "b2", "b3", "beta", "momentum"), "[0, 1)"),
    **dict.fromkeys(("eps", "eps_root", "alpha", "rate", *RATES), "[0, inf)"),
    **dict.fromkeys(("negative_scale", "zero_scale"), "(-inf, inf)"),
    "consistent_rms": "(0, inf)",
    "floor": "(0, 1]",
    "mirror_p": "[2, inf)",
    "tau": "[0, 1]",
}
RANGES_OF = {
    ("muonpower", "eps"): "(0, inf)",
    ("nesterov_pmoment", "p"): "[1, 100]",
    ("lp_mirror_step", "p"): "[2, inf)",
    **{(name, "p"): "[1, 100]" for name in ("p_norm_scale", "s3")},
    **{(name, "p"): "[2, inf]" for name in ("lp_steepest", "lp_steepest_scaled", "stacey")},
    ("lp_descent", "p"): "[2, inf]",
}


def interval(name, number):
    """The range of a number as (low, low is allowed, high, high is allowed), and as text."""
    text = RANGES_OF.get((name, number), RANGES.get(number, "(0, inf)"))
    low, high = map(float, text[1:-1].split(","))
    return (low, text[0] == "[", high, text[-1] == "]"), text


# Where p > 1 or a quotient below 1 takes the exact result itself out of float16.
LARGEST: dict[str, float] = {"sign_power": 9e3, "momentum_scaling": 3e4, "lp_steepest_scaled": 1e2}
LARGEST |= {"adaptive_sign_power": 2e3, "cautious": 1e36}  # its momentum is the sum of ten
# g^1.2 itself leaves float32 from 1.3e32 on, and Muon adds up a score of such momenta.
LARGEST |= dict.fromkeys(("gradpower", "adampower", "adagradpower"), 1e32) | {"muonpower": 1e30}


def in_chain(case: Case, **changes: Any) -> optax.GradientTransformation:
    """The case inside a gradpow chain, where transforms get their `grad`."""
    return gradpow.chain(case.make(**changes))


def parameters(dtype: Any = jnp.float32) -> dict[str, Any]:
    """A small tree: a matrix, a vector, a scalar."""
    return {
        "matrix": jnp.linspace(-1.0, 1.0, 12, dtype=dtype).reshape(3, 4),
        "vector": jnp.array([0.5, -0.25, 1.0, 2.0, -1.5], dtype),
        "scalar": jnp.array(0.75, dtype),
    }


def matrix() -> dict[str, jax.Array]:
    """The smallest tree that every case takes: one leaf, which Muon treats as hidden."""
    return {"matrix": parameters()["matrix"]}


def gradients(params: Any, steps: int, seed: int = 0) -> Any:
    """Normal gradients for some steps: like params, with a first axis for the steps."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda x: jnp.asarray(rng.normal(size=(steps, *jnp.shape(x))), x.dtype), params
    )


# Without LLVM's optimisations, which take a quarter of the time that small programs compile.
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def assert_close(actual: Any, expected: Any, tolerance: float) -> None:
    """Leaves differ by at most tolerance times the largest number of the expected leaf."""

    def check(actual, expected):
        actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
        assert np.isfinite(expected).all()
        scale = np.max(np.abs(expected), initial=0)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)

    jax.tree.map(check, actual, expected)


def all_finite(tree: Any) -> jax.Array:
    """Whether every inexact leaf is finite everywhere."""
    return jnp.array([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]).all()


def updates_of(tx: optax.GradientTransformation, params: Any, grads: Any, **extra_args: Any) -> Any:
    """What tx emits at each step; they are applied to the params, and compiled as one loop."""
    tx = optax.with_extra_args_support(tx)

    def step(carry, grad):
        params, state = carry
        updates, state = tx.update(grad, state, params, **extra_args)
        return (optax.apply_updates(params, updates), state), updates

    def run(params, grads):
        return jax.lax.scan(step, (params, tx.init(params)), grads)[1]

    return jax.jit(run)(params, grads)


def assert_same_steps(actual: Any, expected: Any, tolerance: float, floor: Any = 0.0) -> None:
    """Errors are at most tolerance times their coordinate's RMS over the first axis, plus floor.

    A step crosses 0 again and again, so that its error relative to itself means nothing.
    """

    def check(actual, expected):
        actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
        scale = np.sqrt(np.mean(expected**2, axis=0))
        excess = np.abs(actual - expected) - floor - tolerance * scale
        worst = np.max(excess / np.maximum(scale, 1e-300), initial=0)
        assert np.all(excess <= 0), f"beyond the tolerance by {worst:.1e} of the scale"

    jax.tree.map(check, actual, expected)
