"""Sweeps, the choice of rates, and the statistics of pairs."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from scipy import stats

from examples import problems, tuning
from examples.compare import SHOWN
from examples.pretrain import counts
from examples.pretrain.data import load
from examples.pretrain.step import METRICS, init_state, make_step
from examples.statistics import effect, runs_to_decide
from examples.sweep import Problem, Run, Sweep, count_spikes
from examples.tuning import best_rate, outside, recipe, tune


def losses(params, batch, key):
    noise = 0.0 if key is None else jax.random.normal(key)
    return jnp.sum((params["w"] - batch) ** 2, axis=-1) + noise, jnp.zeros([])


def batches(seed, steps):
    return np.random.default_rng(seed).normal(size=(steps, 4, 3)).astype(np.float32)


PROBLEM = Problem(
    about={"model": "a bowl"},
    init=lambda key: {"w": jax.random.normal(key, (3,))},
    losses=losses,
    measure=lambda params, batch: {"loss": losses(params, batch, None)[0]},
    validation=np.zeros((2, 3), np.float32),
    batches=batches,
)


def sgd(rate):
    return optax.sgd(rate), optax.constant_schedule(rate)


def sweep(make=sgd, problem=PROBLEM, steps=6):
    return Sweep(problem, make, steps=steps, every=3)


def test_a_run_is_the_training_step_on_the_seeds_batches():
    (run,) = sweep().run([({"rate": 0.1}, 7)])
    step = make_step(losses, *sgd(0.1), seed=7, accumulate=1, dropout=False)
    state = init_state(PROBLEM.init(jax.random.key(7)), optax.sgd(0.1))
    for index, batch in enumerate(batches(7, 6)):
        state, metrics = step(state, batch)
        named = dict(zip(METRICS, metrics.tolist(), strict=True))
        np.testing.assert_allclose(run.losses[index], named["loss"], rtol=1e-6)
        np.testing.assert_allclose(run.largest[index], named["update_max"], rtol=1e-6)
    assert len(run.measured["loss"]) == 3  # at 0, 3 and 6 steps
    np.testing.assert_allclose(
        run.measured["loss"][-1], np.sum(np.square(state.params["w"])), rtol=1e-6
    )


def test_a_run_does_not_depend_on_what_is_trained_beside_it():
    alone = sweep().run([({"rate": 0.1}, 3)])[0]
    among = sweep().run([({"rate": 0.01 * (i + 1)}, i) for i in range(9)] + [({"rate": 0.1}, 3)])
    assert among[-1] == alone
    assert among[0] != alone


def test_a_loss_that_draws_random_numbers_draws_them_by_seed():
    random = sweep(problem=dataclasses.replace(PROBLEM, random=True))
    a, other, again = random.run([({"rate": 0.0}, seed) for seed in (0, 1, 0)])
    assert a == again != other
    assert len({round(loss, 5) for loss in a.losses}) == 6  # of every step another


def test_numbers_and_seeds_share_a_program():
    traces = 0

    def make(rate, momentum):
        nonlocal traces
        traces += 1
        return optax.sgd(rate, momentum), optax.constant_schedule(rate)

    one = sweep(make)
    numbers = [({"rate": 0.1, "momentum": m}, s) for m in (0.5, 0.9) for s in range(8)]
    one.run(numbers[:8])
    traced = traces
    found = one.run(numbers[8:])
    assert traces == traced and traced <= 2
    assert found[0].numbers == {"rate": 0.1, "momentum": 0.9}


def test_what_is_reported_adds_up_to_all_steps():
    told = []
    sweep().run([({"rate": 0.1}, seed) for seed in range(11)], told.append)
    assert sum(told) == 66


def test_a_run_that_diverges_does_not_touch_the_others():
    bad, good = sweep(steps=12).run([({"rate": 1e30}, 0), ({"rate": 0.1}, 0)])
    assert not math.isfinite(bad.measured["loss"][-1]) or bad.measured["loss"][-1] > 1e6
    assert good == sweep(steps=12).run([({"rate": 0.1}, 0)])[0]


def test_the_language_problem_has_the_weights_and_batches_of_a_training_run(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(f"line {i}: {i * i}\n" for i in range(3000)))
    problem = problems.language("llama-nano", str(path), batch_size=4)
    shape = problems.SHAPES["llama-nano"]
    weights = nnx.split(counts.build(shape, seed=5), nnx.Param)[1]
    for a, b in zip(
        jax.tree.leaves(problem.init(jax.random.key(5))), jax.tree.leaves(weights), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    data = load(
        str(path), tokenizer="bytes", vocab=256, sequence_length=64, validation_sequences=64
    )
    iterator = data.batches(4, seed=5)
    expected = np.stack([next(iterator) for _ in range(3)])
    np.testing.assert_array_equal(problem.batches(5, 3), expected)
    np.testing.assert_array_equal(problem.validation, data.validation)


class Parabola:
    """Stands for a sweep: the final loss is lowest at a rate."""

    def __init__(self, lowest, nan_above=math.inf):
        self.lowest, self.nan_above = lowest, nan_above

    def run(self, runs, report):
        for numbers, seed in runs:
            rate = numbers["rate"]
            loss = (math.log10(rate) - math.log10(self.lowest)) ** 2 + 0.001 * seed
            loss = math.nan if rate > self.nan_above else loss
            yield Run(numbers, seed, [], [], {"loss": [9.0, loss]})


@pytest.mark.parametrize(
    ("lowest", "moved", "best"),
    [(3e-3, 0, 3e-3), (1e-2, 1, 1e-2), (1e-1, 3, 1e-1), (1e-4, 3, 1e-4), (10.0, 3, 3e-1)],
)
def test_a_grid_moves_until_its_best_rate_is_inside(lowest, moved, best):
    tuned, moves = tune(Parabola(lowest), (1e-3, 3e-3, 1e-2), (0, 1), 3, lambda *_: None)
    assert (moves, best_rate(tuned)) == (moved, best)
    assert len(tuned) == 3 + moved and list(tuned) == sorted(tuned)
    assert all(len(losses) == 2 for losses in tuned.values())
    assert (outside(tuned) is None) == (best == lowest and min(tuned) < best < max(tuned))


def test_a_rate_that_diverges_is_never_the_best():
    sweep = Parabola(1e-1, nan_above=5e-3)
    tuned, _ = tune(sweep, (1e-3, 3e-3, 1e-2), (0, 1), 3, lambda *_: None)
    assert best_rate(tuned) == 3e-3
    assert best_rate({1e-3: [math.nan, 1.0], 3e-3: [50.0, 60.0]}) == 3e-3


def test_every_optimizer_begins_with_a_grid_of_one_size_on_one_ladder():
    for grid in (tuning.ADAMW, *tuning.GRIDS.values()):
        assert len(grid) == 3
        assert outside({rate: [float(-i)] for i, rate in enumerate(grid[:2])}) == grid[2]
        assert outside({rate: [float(i)] for i, rate in enumerate(grid[1:])}) == grid[0]


@pytest.mark.parametrize("optimizer", SHOWN)
def test_a_recipe_takes_the_same_share_of_the_weights_at_any_rate(optimizer):
    params = {"a_proj": {"kernel": jnp.ones((4, 4))}, "norm": {"scale": jnp.ones(4)}}
    nothing = jax.tree.map(jnp.zeros_like, params)

    @jax.jit
    def trained(rate):
        """Until the warm-up of 5 steps has reached the peak."""
        tx, schedule = recipe(optimizer, 100)(rate)

        def step(carry, _):
            updates, state = tx.update(nothing, *carry)
            return (state, optax.apply_updates(carry[1], updates)), updates

        (_, stepped), updates = jax.lax.scan(step, (tx.init(params), params), length=6)
        return stepped, jax.tree.map(lambda x: x[-1], updates), schedule(5)

    for rate in (1e-3, 1e-1):
        stepped, updates, peak = trained(rate)
        share = -updates["a_proj"]["kernel"] / (
            stepped["a_proj"]["kernel"] - updates["a_proj"]["kernel"]
        )
        np.testing.assert_allclose(peak, rate, rtol=1e-6)
        # STACEY's mirror step pulls the weights to where they were, by tau of 0.001 of the way.
        np.testing.assert_allclose(share, tuning.DECAY, rtol=0.01)
        np.testing.assert_array_equal(stepped["norm"]["scale"], params["norm"]["scale"])


def test_an_effect_is_students_interval_of_the_pairs():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1.0, 1.0, 8), rng.normal(0.0, 1.0, 8)
    found = effect(a - b)
    expected = stats.ttest_rel(a, b)
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose((found.low, found.high), interval, rtol=1e-9)
    assert found.decided == (expected.pvalue < 0.05)


@pytest.mark.parametrize("mean", [0.3, 1.0, 3.0])
def test_the_number_that_would_decide_is_the_smallest(mean):
    values = mean + stats.zscore(np.random.default_rng(1).normal(size=8), ddof=1)

    def decides(count):  # with the same mean and spread
        return abs(mean) > stats.t.ppf(0.975, count - 1) / math.sqrt(count)

    found = runs_to_decide(values)
    assert found is not None and decides(found) and (found == 2 or not decides(found - 1))
    assert runs_to_decide(values - mean + 1e-4) is None
    assert runs_to_decide([1.0, math.nan]) is None


def test_spikes_are_counted_as_in_a_run():
    calm = [1 + 0.01 * (i % 5) for i in range(60)]
    assert count_spikes(calm) == 0
    assert count_spikes([*calm, 3.0, *calm, math.nan, *calm]) == 2
