"""MuonClip against its loop and pytorch-optimizer's."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from gradpow.core import Scalar
from tests.contract.case import Case
from tests.contract.exact import assert_same_steps, at, make_problem
from tests.contract.oracles import oracle
from tests.transforms.matrix.test_orthogonalize import orthogonal_factor


def clipping(
    learning_rate: optax.ScalarOrSchedule,
    b: Scalar,
    rms: Scalar,
    tau: Scalar,
    alpha: Scalar,
    eps: Scalar,
    weight_decay: optax.ScalarOrSchedule,
) -> optax.GradientTransformationExtraArgs:
    """With logits of its own for what the contract calls its matrix, a head a column."""
    tx = gradpow.muon_clip(
        learning_rate, b, rms, tau, alpha, eps, weight_decay, roles={"matrix": "query"}.get
    )

    def update(updates, state, params=None, *, max_logits=None, **extra_args):
        del max_logits
        found = isinstance(updates, dict) and "matrix" in updates
        heads = jnp.shape(updates["matrix"])[-1] if found else 0
        logits = {"matrix": jnp.linspace(0.0, 400.0, heads, dtype=jnp.float32)} if found else {}
        return tx.update(updates, state, params, max_logits=logits, **extra_args)

    return optax.GradientTransformationExtraArgs(tx.init, update)


CASE = Case(
    clipping,
    {
        "learning_rate": 1e-2,
        "b": 0.9,
        "rms": 0.2,
        "tau": 100.0,
        "alpha": 0.5,
        "eps": 0.1,
        "weight_decay": 0.1,
    },
    sharded=1e-3,  # sums are made in another order, which the matrix products amplify
)
STEPS, HEADS = 20, 2
RNG = np.random.default_rng(0)
LOGITS = RNG.uniform(20, 200, (STEPS, HEADS))


def loop(theta0, gradients, logits, power, learning_rate, b=0.95, weight_decay=0.1, eps=1e-7):
    """Bai et al. (2025), Algorithm 1: rows of a matrix are its inputs, columns heads by heads."""
    theta, m, steps = theta0, np.zeros(theta0.shape), np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b * m + g
        o = orthogonal_factor(m, eps=eps) * np.sqrt(max(m.shape)) * 0.2
        after = theta - at(learning_rate, t) * (o + weight_decay * theta)
        gamma = np.minimum(1, 100 / logits[t])
        after = after * np.repeat(gamma**power, theta.shape[1] // HEADS)
        steps[t], theta = after - theta, after
    return steps


def problems():
    return {name: make_problem(seed, STEPS, (4, 6)) for seed, name in enumerate(("query", "key"))}


def steps_of(tx, dtype):
    params = {"attn": {name: jnp.asarray(p, dtype) for name, (p, _) in problems().items()}}
    grads = {"attn": {name: jnp.asarray(g, dtype) for name, (_, g) in problems().items()}}

    def step(carry, given):
        params, state = carry
        grad, logits = given
        updates, state = tx.update(grad, state, params, max_logits={"attn": logits})
        return (optax.apply_updates(params, updates), state), updates

    @jax.jit
    def run(params, grads, logits):
        return jax.lax.scan(step, (params, tx.init(params)), (grads, logits))[1]["attn"]

    return run(params, grads, jnp.asarray(LOGITS, dtype))


def rate(count):
    return 2.0**-6 * (1 - count / 256)


def test_steps_are_those_of_the_loop():
    for dtype, tolerance in ((np.float32, 1e-4), (np.float64, 1e-12)):
        # Newton-Schulz multiplies rounding by up to 485.
        with jax.enable_x64(dtype is np.float64):
            found = steps_of(gradpow.muon_clip(rate, alpha=0.25), dtype)
        for name, power in (("query", 0.25), ("key", 0.75)):
            theta0, grads = problems()[name]
            expected = loop(theta0, grads, LOGITS, power, rate)
            assert_same_steps(found[name], expected, tolerance)


def test_steps_are_those_of_pytorch_optimizer(monkeypatch):
    torch, package = oracle("torch"), oracle("pytorch_optimizer")
    matrix = importlib.import_module("pytorch_optimizer.optimizer.utils.matrix")
    iteration = matrix.zero_power_via_newton_schulz_5
    *others, _ = iteration.__defaults__
    monkeypatch.setattr(iteration, "__defaults__", (*others, torch.float64))  # not bfloat16
    thetas, groups = {}, []
    for name, (theta0, _) in problems().items():
        thetas[name] = torch.nn.Parameter(torch.tensor(theta0.T.copy()))
        groups.append(
            {"params": [thetas[name]], "use_muon": True, "attention_name": "attn", "qk_clip": name}
        )
    theirs = package.MuonClip(groups, lr=0.02, weight_decay=0.1)
    expected = {name: np.empty((STEPS, 4, 6)) for name in thetas}
    for t in range(STEPS):
        before = {name: theta.detach().clone() for name, theta in thetas.items()}
        for name, theta in thetas.items():
            theta.grad = torch.tensor(problems()[name][1][t].T.copy())
        theirs.step(attention_max_logits={"attn": torch.tensor(LOGITS[t])})
        for name, theta in thetas.items():
            expected[name][t] = (theta.detach() - before[name]).numpy().T
    with jax.enable_x64(True):
        found = steps_of(gradpow.muon_clip(0.02, eps=0.0), np.float64)  # eps is a floor there
    # It keeps logits in float32.
    assert_same_steps(found, expected, 1e-6)


def test_without_attention_it_is_muon_whose_momentum_does_not_look_ahead():
    params = {"mlp": {"kernel": jnp.eye(2)}}
    tx = gradpow.muon_clip(0.1)
    plain = optax.contrib.muon(0.1, nesterov=False, consistent_rms=0.2, weight_decay=0.1)
    found, _ = tx.update(params, tx.init(params), params, max_logits={})
    expected, _ = plain.update(params, plain.init(params), params)
    np.testing.assert_allclose(found["mlp"]["kernel"], expected["mlp"]["kernel"], rtol=1e-5)
