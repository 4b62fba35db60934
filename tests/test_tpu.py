"""What the optimizers cost on a TPU, read off programs compiled ahead of time; no TPU is needed."""

import importlib.util

import pytest

import gradpow
from benchmarks import pods, trees
from benchmarks.methods import ELEMENTWISE, METHODS, in_pipeline
from examples.pretrain import absent
from gradpow import metrics
from tests.contract import measured
from tests.contract.cases import METHODS as CASES
from tests.contract.cases import each, hunting


@pytest.fixture(scope="module")
def mesh():
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("libtpu, the TPU compiler, is not installed: pip install 'gradpow[pods]'")
    return pods.mesh_of("v5e:4x4")


@pytest.mark.parametrize(
    ("target", "devices", "chips"),
    [("v4:2x2x1", 4, 4), ("v5e:16x16", 256, 256), ("v5p:2x2x1", 4, 4), ("tpu7x:2x2x1", 8, 4)],
)
def test_a_slice_has_the_devices_that_jax_shows_on_it(target, devices, chips, mesh):
    there = pods.mesh_of(target).devices.flat
    assert (len(there), absent.chips(there)) == (devices, chips)


def two_layers(mesh):
    """Of LLaMA 66M, whose other six are alike."""
    others = tuple(f"{layer}/" for layer in range(2, 8))
    return {k: leaf for k, leaf in trees.llama(mesh).items() if not k.startswith(others)}


FORMS = {"alone": lambda make: make(1e-3), "in a pipeline": in_pipeline}


@pytest.mark.parametrize("form", FORMS)
@each([], ELEMENTWISE)
def test_a_step_is_one_pass_over_each_leaf_without_temporaries_or_collectives(name, form, mesh):
    step = pods.measure(FORMS[form](ELEMENTWISE[name]), two_layers(mesh), mesh)
    assert step.leaves == 21
    # Scalars are the thousandth.
    assert step.traffic == pytest.approx(1, abs=1e-3)
    assert step.temporaries == pytest.approx(0, abs=1e-3)
    assert step.passes == 1
    assert step.cost.collectives == 0
    assert step.reserved < step.parameters / 100
    # All but the gradients is updated in place.
    assert step.donated == pytest.approx(4 * step.parameters + step.state, rel=1e-3)


def elementwise_families(default, sums):
    """Their methods by what they sum, of which only the default ones are no hunts."""
    families = ("adagrad", "adam", "agreement", "layerwise", "momentum", "sign")
    names = [e.name for e in gradpow.atlas() if e.family in families and e.sums in sums]
    names = [name for name in names if name != "full_matrix_adagrad"]  # a matrix for each tensor
    return hunting(default, names)


# Its moment of steps takes the old one, which the compiler reads twice and copies, whatever the
# order of the operations: two passes and a copy. The day that it is one, this says so.
SPLIT = {"adadelta": (12 / 7, 3)}


@elementwise_families(["adan"], ["nothing"])
def test_a_method_without_sums_is_one_pass_over_each_leaf(name, mesh):
    step = pods.measure(measured.by_default(name, CASES[name]), trees.huge(mesh), mesh)
    traffic, passes = SPLIT.get(name, (1, 1))
    assert step.traffic == pytest.approx(traffic, abs=1e-3)
    assert step.passes == passes
    assert step.cost.collectives == 0


# Projections sum over each channel first and over the tensor if those are too small, Adafactor
# rows and columns first and then what it has divided by them; LARS has a loop for either norm.
MORE = {"adamp": (2, 2), "sgdp": (2, 2), "adafactor": (4, 2), "lars": (3, 1)}


@elementwise_families(["lamb"], ["a tensor", "the tree"])
def test_a_method_with_sums_is_two_passes_and_one_small_all_reduce(name, mesh):
    step = pods.measure(measured.by_default(name, CASES[name]), trees.huge(mesh), mesh)
    passes, collectives = MORE.get(name, (2, 1))
    assert step.passes <= passes
    assert step.cost.collectives <= collectives
    assert step.cost.exchanged < step.parameters / 100


@pytest.mark.hunt
# Leaves that shared a traced function, not inlined, exchanged their parts here and nowhere else.
@pytest.mark.parametrize("name", ["adampower", "s3, p=3"])
def test_leaves_of_one_shape_exchange_nothing_on_tpu7x(name, mesh):
    there = pods.mesh_of("tpu7x:2x2x1")
    step = pods.measure(METHODS[name](1e-3), two_layers(there), there)
    assert step.cost.collectives == 0
    assert step.traffic == pytest.approx(1, abs=1e-3)


def test_moments_in_bfloat16_move_half_the_bytes(mesh):
    tx = gradpow.low_precision_state(gradpow.adampower(1e-3))
    step = pods.measure(tx, trees.huge(mesh), mesh)
    assert step.state == 2 * 2 * step.parameters
    assert step.traffic == pytest.approx(1, abs=1e-3)
    assert step.passes == 1
    assert step.reserved < step.parameters / 100
    assert step.donated == pytest.approx(4 * step.parameters + step.state, rel=1e-3)


# Bytes a parameter, and those of a mask. The first pass reads gradients and states and
# writes states and the mask; the second reads the mask, or the gradients once more where the update
# is made of them, and all else. A count of each leaf is summed over the devices.
SUMS = {
    "cautious_adam": (METHODS["cautious_adam"](1e-3), 38, 1, 2),
    "ams(-0.5)": (METHODS["ams(-0.5)"](1e-3), 38, 1, 2),
    "cautious_lion": (METHODS["cautious_lion"](1e-3), 28, 0, 2),
    "lp_descent, scaled": (gradpow.lp_descent(1e-3, 3.0, scaled=True), 16, 0, 1),
}


@each(["cautious_adam"], SUMS)
def test_a_sum_costs_a_second_pass_and_one_all_reduce_of_scalars(name, mesh):
    tx, bytes_per_parameter, mask, scalars = SUMS[name]
    step = pods.measure(tx, trees.huge(mesh), mesh)
    moved = step.cost.read + step.cost.written
    assert moved / step.parameters == pytest.approx(bytes_per_parameter, rel=1e-3)
    assert 4 * step.temporaries == pytest.approx(mask, abs=1e-3)
    assert step.passes == 2
    assert step.reserved < (mask + 0.01) * step.parameters
    assert (step.cost.collectives, step.cost.exchanged) == (1, 4 * scalars)


@pytest.mark.hunt
def test_all_metrics_together_cost_one_pass_over_what_they_measure(mesh):
    watched = {
        name: getattr(metrics, name)
        for name in (
            "update_rms", "largest_update", "sign_agreement", "effective_rate", "relative_update",
            "noise_to_signal", "eps_share",
        )
    }  # fmt: skip
    alone = METHODS["grams"](1e-3)
    steps = [
        pods.measure(tx, trees.huge(mesh), mesh)
        for tx in (alone, metrics.monitored(alone, watched))
    ]
    plain, monitored = ((s.cost.read + s.cost.written) / s.parameters for s in steps)
    # The updates are written, and they, gradient, parameters and two moments read, of 4 bytes each.
    assert monitored - plain == pytest.approx(24, rel=1e-3)
    assert steps[1].cost.collectives == 2  # of sums, and of the largest
