"""SAM, ASAM and LookSAM beside a package, on one tensor, since its LookSAM parts them."""

import numpy as np
import optax
import pytest

import gradpow
from tests.contract.exact import assert_same_steps
from tests.contract.oracles import oracle
from tests.methods.variance_reduced.finite_sum import ORDER, RATE, THETA, gradient, run


def package_steps(name, **given):
    torch, module = oracle("torch"), oracle("pytorch_optimizer")
    theta = torch.nn.Parameter(torch.tensor(THETA))
    made = getattr(module, name)(
        [theta], torch.optim.SGD, lr=RATE, momentum=0.75, perturb_eps=0.0, **given
    )
    steps = []
    for j in ORDER:

        def closure(j=j):
            theta.grad = torch.tensor(gradient(theta.detach().numpy(), j))

        before = theta.detach().clone()
        closure()
        made.first_step()
        closure()
        made.second_step()
        steps.append((theta.detach() - before).numpy())
    return np.array(steps)


BASE = optax.sgd(RATE, momentum=0.75)
PAIRS = {
    "SAM": (gradpow.sam(BASE, 0.5), {"rho": 0.5}),
    # The package has no eta.
    "ASAM": (gradpow.asam(BASE, 0.5, 0.0), {"rho": 0.5, "adaptive": True}),
    "LookSAM": (gradpow.looksam(BASE, 0.5, 5), {"rho": 0.5, "k": 5}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_steps_of_pytorch_optimizer(name):
    tx, given = PAIRS[name]
    expected = package_steps("LookSAM" if name == "LookSAM" else "SAM", **given)
    # It sums squares of gradients in float32, and adds 1e-8 to the norm of LookSAM's small g_v.
    assert_same_steps(run(tx), expected, 1e-5 if name == "LookSAM" else 1e-6)
