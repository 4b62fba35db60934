"""Methods of other moments than Adam's beside PyTorch's and other packages'."""

import numpy as np
import pytest

import gradpow
from tests.contract.exact import assert_steps_of_loop, rate
from tests.contract.oracles import oracle, rounding, torch_steps

# The older packages call PyTorch as it was then.
pytestmark = pytest.mark.filterwarnings("ignore:This overload of add:UserWarning")


def optimizer(package, name):
    module = oracle(package)
    return getattr(module.optim if package == "torch" else module, name)


def assert_steps_of(factory, package, name, arguments, other=None, **numbers):
    """The steps are those of the package's optimizer with its arguments, which numbers make."""

    def loop(theta0, gradients, learning_rate, **numbers):
        made = optimizer(package, name)
        return torch_steps(
            lambda x: made(x, **arguments(**numbers)), theta0, gradients, lr=learning_rate
        )

    assert_steps_of_loop(
        factory, loop, np.float64, rounding=rounding, other=other, learning_rate=rate, **numbers
    )


def test_amsgrad_is_pytorch_s():
    def arguments(b1, b2, eps):
        return {"betas": (b1, b2), "eps": eps, "amsgrad": True}

    assert_steps_of(gradpow.amsgrad, "torch", "Adam", arguments, b1=0.8, b2=0.95, eps=1e-3)


def test_adamax_is_pytorch_s():
    def arguments(b1, b2):
        return {"betas": (b1, b2), "eps": 1e-300}  # without, 0/0 is NaN there

    assert_steps_of(gradpow.adamax, "torch", "Adamax", arguments, b1=0.8, b2=0.95)


def test_radam_is_pytorch_s():
    """Its eps stands beside the uncorrected root."""

    def arguments(b1, b2, eps):
        return {"betas": (b1, b2), "eps": eps}

    form = {"form": "torch"}
    assert_steps_of(gradpow.radam, "torch", "RAdam", arguments, form, b1=0.8, b2=0.95, eps=1e-300)


def test_yogi_is_torch_optimizer_s():
    def arguments(b1, b2, eps, initial):
        return {"betas": (b1, b2), "eps": eps, "initial_accumulator": initial}

    form = {"form": "tensorflow"}
    numbers = {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "initial": 1e-2}
    assert_steps_of(gradpow.yogi, "torch_optimizer", "Yogi", arguments, form, **numbers)


def test_adabelief_is_the_authors():
    def factory(eps, **numbers):
        return gradpow.adabelief(eps=eps, eps_root=eps, **numbers)

    def arguments(b1, b2, eps):
        off = {"rectify": False, "weight_decouple": False, "print_change_log": False}
        return {"betas": (b1, b2), "eps": eps, **off}

    numbers = {"b1": 0.8, "b2": 0.95, "eps": 1e-3}
    assert_steps_of(factory, "adabelief_pytorch", "AdaBelief", arguments, **numbers)


@pytest.mark.parametrize("name", ["adabound", "amsbound"])
def test_adabound_is_the_authors_whose_final_rate_follows_the_schedule(name):
    """It is given for the first rate there, and for each here."""

    def factory(final_rate, **numbers):
        def final(count):
            return final_rate * rate(count) / rate(0)

        return getattr(gradpow, name)(final_rate=final, **numbers)

    def arguments(b1, b2, final_rate, gamma, eps):
        bounds = {"lr": rate(0), "final_lr": final_rate, "gamma": gamma}
        return {"betas": (b1, b2), "eps": eps, "amsbound": name == "amsbound", **bounds}

    numbers = {"b1": 0.8, "b2": 0.95, "final_rate": 0.25, "gamma": 0.01, "eps": 1e-3}
    assert_steps_of(factory, "adabound", "AdaBound", arguments, **numbers)


def test_adafactor_is_torch_optimizer_s():
    """Its rate is the paper's, min(0.01, 1/t^(1/2))."""

    def factory(learning_rate, **numbers):
        return gradpow.adafactor(**numbers)

    def arguments(decay_rate, clipping_threshold, eps, min_scale):
        scales = {"decay_rate": -decay_rate, "clip_threshold": clipping_threshold}
        return {"eps2": (eps, min_scale), **scales}

    numbers = {"decay_rate": 0.75, "clipping_threshold": 0.5, "eps": 1e-8, "min_scale": 0.5}
    assert_steps_of(factory, "torch_optimizer", "Adafactor", arguments, **numbers)


def test_adagrad_is_pytorch_s():
    assert_steps_of(gradpow.adagrad, "torch", "Adagrad", lambda eps: {"eps": eps}, eps=1e-3)


def test_adadelta_is_pytorch_s():
    def arguments(rho, eps):
        return {"rho": rho, "eps": eps}

    assert_steps_of(gradpow.adadelta, "torch", "Adadelta", arguments, rho=0.8, eps=1e-3)


def test_rmsprop_is_pytorch_s():
    def arguments(decay, eps):
        return {"alpha": decay, "eps": eps}

    assert_steps_of(gradpow.rmsprop, "torch", "RMSprop", arguments, decay=0.8, eps=1e-3)
