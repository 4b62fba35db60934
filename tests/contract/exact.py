"""Equality with a float64 loop over 200 steps, in float32 and in float64.

An update crosses 0 again and again, so an error is measured against the root mean square of its
coordinate's reference updates over all steps. Of that scale 1e-5 is allowed in float32 and 1e-12 in
float64, where the measured errors are below 2e-6 and 1e-14; larger figures are explained where they
stand. The numbers that library and loop are given are rounded to the working type, since
float32(1.2) alone moves (1e-30)**1.2 by 3e-6; those left out are the defaults of both.

A loop is ``loop(theta0, gradients, **numbers)``, written from the paper in its order and names:

* theta0 and gradients are float64 arrays of shapes ``S`` and ``(T, *S)``, one tensor: means, norms
  and sizes are over all of it. It returns the T steps theta_t - theta_{t-1}, of shape ``(T, *S)``,
  computed as such, not by differencing theta, so that tiny ones keep their digits.
* Rates are floats or functions of the step count, which starts at 0 as in optax schedules. The
  papers count from 1, hence ``t + 1`` in bias corrections.
* 0/0 is 0, and agreement of two numbers is judged by their signs, never by their product, which
  may underflow.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.contract.trees import quick_jit, usual_jit

STEPS = 200
SHAPES = {"scalar": (), "vector": (29,), "matrix": (7, 9), "cube": (2, 3, 5)}
# Two to three shapes in each type: compiling a leaf costs as much as all else.
LEAVES = {np.float32: ("scalar", "matrix", "cube"), np.float64: ("vector", "matrix")}
DECAYED = {"scalar": True, "vector": False, "matrix": True, "cube": False}
in_both_types = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def rate(count):
    return 2.0**-6 * (1 - count / 256)  # exact in float32, so that both sides have the same rates


def decay(count):
    return 0.125 * (1 + count / 128)


CONSTANT = {"learning_rate": 0.01, "weight_decay": 0.1}
SCHEDULED = {"learning_rate": rate, "weight_decay": decay}
# 1 - b2**t cancels at b2 = 0.999, see `bias_correction`; 0.95 keeps the tests sharp.
ADAM = {"b1": 0.9, "b2": 0.95}


def settings(numbers: dict[str, dict[str, Any]]) -> Any:
    """Marks a test to run with each of the numbers, by their names."""
    return pytest.mark.parametrize("numbers", numbers.values(), ids=numbers)


def powered(x: Any, p: float) -> Any:
    """sign(x)|x|^p."""
    return np.sign(x) * np.abs(x) ** p


def counts(theta0: np.ndarray) -> np.ndarray:
    return np.arange(1, STEPS + 1).reshape(-1, *(1,) * theta0.ndim)


def bias_correction(eps: float, theta0: Any, expected: Any, numbers: dict[str, Any]) -> Any:
    """optax rounds b2**t before it takes 1 - b2**t, which is 0.001 at the first step."""
    return eps / (1 - numbers["b2"] ** counts(theta0)) * np.abs(expected)


def at(rate: Any, t: int) -> float:
    """The rate at step count t = 0, 1, ..., for a float or a function of the count; None is 0."""
    return 0.0 if rate is None else float(rate(t) if callable(rate) else rate)


def divide(n: Any, d: Any) -> Any:
    """n/d with 0/0 = 0."""
    both_zero = (n == 0) & (d == 0)
    return np.where(both_zero, 0.0, n / np.where(both_zero, 1.0, d))


def assert_steps_of_loop(
    factory: Callable[..., optax.GradientTransformation],
    loop: Callable[..., np.ndarray],
    dtype: Any,
    *,
    float32: float = 1e-5,
    rounding: Callable[..., Any] = lambda eps, theta0, expected, numbers: 0.0,
    other: dict[str, Any] | None = None,
    whole: bool = False,
    **numbers: Any,
) -> None:
    """The factory's optimizer takes the loop's steps, both made with the numbers.

    Where the numbers have a decay, two of the leaves do not decay, or all of them do in a whole.

    Args:
      factory: of the optimizer.
      loop: as above.
      dtype: of parameters and gradients.
      float32: the tolerance in float32, if it must be another.
      rounding: what is allowed beside it, of machine epsilon, theta_0, the loop's steps and the
        numbers.
      other: what the factory takes beside the numbers.
      whole: whether the loop is over all leaves in one vector, where sums are over the tree.
      **numbers: of both.
    """
    numbers = {
        name: float(dtype(value)) if isinstance(value, float) else value
        for name, value in numbers.items()
    }
    given = {**numbers, **(other or {})}
    if "weight_decay" in numbers and not whole:
        given["mask"] = lambda params: {leaf: DECAYED[leaf] for leaf in params}
    with jax.enable_x64(dtype is np.float64):
        # The rounding of float64 is no matter of the compiler's optimisations.
        jit = usual_once(loop) if dtype is np.float32 else quick_jit
        actual = updates_on_problems(lambda: factory(**given), dtype, jit)
    tolerance = float32 if dtype is np.float32 else 1e-12
    if whole:
        expected = loop(*in_one_vector([problem(leaf) for leaf in LEAVES[dtype]]), **numbers)
        _, actual = in_one_vector([((), actual[leaf]) for leaf in LEAVES[dtype]])
        return assert_same_steps(actual, expected, tolerance)
    for leaf in LEAVES[dtype]:
        assert actual[leaf].dtype == dtype
        theta0, gradients = problem(leaf)
        kept = numbers
        if "weight_decay" in numbers and not DECAYED[leaf]:
            kept = {**numbers, "weight_decay": 0.0}
        expected = loop(theta0, gradients, **kept)
        allowed = rounding(np.finfo(dtype).eps, theta0, expected, kept)
        assert_same_steps(actual[leaf], expected, tolerance, allowed)


def in_one_vector(problems: list[tuple[Any, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """The parameters of several problems, and their gradients or steps."""
    return (
        np.concatenate([np.ravel(theta0) for theta0, _ in problems]),
        np.concatenate([np.reshape(steps, (STEPS, -1)) for _, steps in problems], axis=1),
    )


_usual: set[Any] = set()


def usual_once(loop: Any) -> Any:
    """As users compile it, for the first of a loop's settings: that takes twice the time.

    All are optimised, and round by what LLVM fuses: not by `quick_jit`.
    """
    jit = jax.jit if loop in _usual else usual_jit
    _usual.add(loop)
    return jit


def updates_on_problems(
    make: Callable[[], optax.GradientTransformation], dtype: Any, jit: Any = quick_jit
) -> Any:
    """What the optimizer emits at each step of the problems, all leaves in one program."""
    theta0, gradients = (
        {leaf: jnp.asarray(problem(leaf)[i], dtype) for leaf in LEAVES[dtype]} for i in (0, 1)
    )
    return jax.device_get(updates_of(make(), theta0, gradients, jit=jit))


def updates_of(
    tx: optax.GradientTransformation,
    params: Any,
    grads: Any,
    jit: Any = quick_jit,
    **extra_args: Any,
) -> Any:
    """What tx emits at each step; they are applied to the params, and compiled as one loop."""
    tx = optax.with_extra_args_support(tx)

    def step(carry, grad):
        params, state = carry
        updates, state = tx.update(grad, state, params, **extra_args)
        return (optax.apply_updates(params, updates), state), updates

    def run(params, grads):
        return jax.lax.scan(step, (params, tx.init(params)), grads)[1]

    return jit(run)(params, grads)


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


@functools.cache
def problem(leaf: str) -> tuple[np.ndarray, np.ndarray]:
    """Parameters and gradients of a leaf."""
    return make_problem([*SHAPES].index(leaf), STEPS, SHAPES[leaf])


def make_problem(seed: int, steps: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Parameters and gradients, exact in float32, in which each hard case has coordinates.

    The coordinates of the flattened array are of seven kinds in turn, so seven elements show all
    of them and a scalar is of the first. No parameter is 0: magnitudes are 0.1 to 1, signs both.
    """
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    noise = rng.standard_normal((steps, size))
    gradients = np.zeros((steps, size))
    t = np.arange(steps)[:, None]
    # 0: normal noise
    gradients[:, 0::7] = noise[:, 0::7]
    # 1: changes sign at every step
    gradients[:, 1::7] = (-1.0) ** t * (0.1 + np.abs(noise[:, 1::7]))
    # 2: noise about a level that drifts from one random value to another
    first, last = rng.standard_normal((2, len(range(2, size, 7))))
    gradients[:, 2::7] = first + (last - first) * t / steps + 0.3 * noise[:, 2::7]
    # 3: normal noise that dies half way: exactly 0 from step T/2 on
    gradients[:, 3::7] = np.where(t < steps // 2, noise[:, 3::7], 0.0)
    # 4: always 0 (left as it is)
    # 5: noise of very different magnitudes, 1e-12 at the first such coordinate, 1e3 at the last
    gradients[:, 5::7] = np.geomspace(1e-12, 1e3, len(range(5, size, 7))) * noise[:, 5::7]
    # 6: sparse: 0 in about nine steps of ten
    sparse = rng.random((steps, len(range(6, size, 7)))) < 0.1
    gradients[:, 6::7] = np.where(sparse, noise[:, 6::7], 0.0)

    theta0 = rng.choice([-1.0, 1.0], size) * rng.uniform(0.1, 1.0, size)
    theta0 = theta0.astype(np.float32).astype(np.float64).reshape(shape)
    gradients = gradients.astype(np.float32).astype(np.float64).reshape((steps, *shape))
    return theta0, gradients
