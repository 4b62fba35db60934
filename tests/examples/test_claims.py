"""The studies of the papers' claims, their verdicts, and the table of what was found."""

import dataclasses
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from examples.claims import __main__ as claims
from examples.claims import ams, gradpower, s3, stacey, verdicts
from examples.claims.lab import Claim, Lab
from examples.sweep import Problem


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def claim(differences, within=None):
    return Claim("a ends below b", "Table 1", "-1", "nats", list(differences), within)


@pytest.mark.parametrize(
    ("differences", "within", "expected"),
    [
        ([-1.0, -1.1, -0.9], None, "agrees"),
        ([1.0, 1.1, 0.9], None, "disagrees"),
        ([0.001, -0.001, 0.0005], 0.01, "agrees"),
        ([1.0, 1.1, 0.9], 0.01, "disagrees"),
        ([-1.0, -1.1, -0.9], 0.01, "disagrees"),
        ([-1.0, 1.0, 0.1], 0.01, "undecided"),
        ([-1.0, math.nan, -1.0], None, "undecided: some runs diverged"),
        ([0.0, 0.0, 0.0], None, "undecided: no pair differs"),
        ([1.0, -1.0, 0.0], None, "undecided; over 10,000 seeds would decide"),
    ],
)
def test_a_verdict_goes_by_sign_and_interval(differences, within, expected):
    assert verdicts.verdict(claim(differences, within)) == expected


def test_an_undecided_claim_says_how_many_seeds_would_decide():
    found = verdicts.verdict(claim([-1.0, 0.5, -1.0, 0.4]))
    assert found.startswith("undecided; about ") and int(found.split()[2]) > 4


def tiny(*_, **__):
    """A problem of the studies' kind that compiles at once."""

    def logits(params, batch):
        return batch["x"] @ params["head"]["kernel"] + params["head"]["bias"]

    def losses(params, batch, key):
        found = -jax.nn.log_softmax(logits(params, batch))[:, 0]
        return found, jnp.zeros([])

    def measure(params, batch):
        hits = (logits(params, batch).argmax(-1) == 0).astype(jnp.float32)
        loss, _ = losses(params, batch, None)
        return {"loss": loss, "accuracy": hits, "mse": loss}

    def batches(seed, steps):
        return {"x": np.random.default_rng(seed).normal(size=(steps, 4, 3)).astype(np.float32)}

    def init(key):
        return {"head": {"kernel": 0.1 * jax.random.normal(key, (3, 2)), "bias": jnp.zeros(2)}}

    return Problem({"batch": "4 rows"}, init, losses, measure, batches(0, 1)["x"][0], batches)


# One of language; `vae` trains on real images below.
QUICK = {"s3-ablation"}


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.hunt)
        for name in claims.STUDIES
    ],
)
def test_every_study_runs_for_ten_steps(name, monkeypatch):
    problem = tiny()
    problem = dataclasses.replace(problem, validation={"x": problem.validation})
    for module in (ams, gradpower, s3, stacey):
        for kind in ("language", "images"):
            if hasattr(module, kind):
                monkeypatch.setattr(module, kind, lambda *_, **__: problem)
    monkeypatch.setattr(gradpower, "_blockwise", gradpower._power_then_clip)  # no transformer
    if name == "muonpower":
        monkeypatch.setattr("examples.pretrain.optimizers.hidden_matrices", lambda path, leaf: None)
    planned = Lab(2, True, None)
    claims.STUDIES[name](planned)
    told = []
    lab = Lab(2, True, lambda said, steps: told.append(steps))
    claims.STUDIES[name](lab)
    assert sum(told) == planned.steps
    assert [c.text for c in lab.claims] == [c.text for c in planned.claims]
    assert all(len(c.differences) == 2 for c in lab.claims)
    assert all(math.isfinite(d) for c in lab.claims for d in c.differences)
    assert len({c.text for c in lab.claims}) == len(lab.claims)


def test_a_study_trains_real_images_and_writes_its_results(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Lab, "sweep", _short(Lab.sweep))
    claims.main(["vae", "--seeds", "2", "--out", str(tmp_path)])
    result = verdicts.read(tmp_path / "vae.json")
    assert result["problems"][0]["model"] == "vae-digits" and len(result["claims"]) == 8
    assert result["arms"]["Grams, betas 0.9, 0.99"]["steps"] == 4
    out = capsys.readouterr().out
    assert "Grams' squared error is below Adam's" in out and "wrote" in out
    with pytest.raises(SystemExit) as end:
        claims.main(["vae", "--out", str(tmp_path)])
    assert end.value.code == 2 and "--overwrite" in capsys.readouterr().err


def _short(sweep):
    return lambda self, problem, optimizer, steps, **fixed: sweep(
        self, problem, optimizer, 4, **fixed
    )


def test_an_unknown_study_gets_one_line(capsys):
    with pytest.raises(SystemExit) as end:
        claims.main(["adamw-is-best"])
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.count("\n") == 1 and "stacey-text" in error


def test_without_a_study_they_are_listed(capsys):
    claims.main([])
    assert capsys.readouterr().out.count("\n") == len(claims.STUDIES)


KEPT = sorted(verdicts.RESULTS.glob("*.json"))


def test_every_study_has_results_that_are_kept():
    assert {path.stem for path in KEPT} == set(claims.STUDIES)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_kept_results_are_what_the_study_claims(path):
    kept, planned = verdicts.read(path), Lab(8, False, None)
    claims.STUDIES[path.stem](planned)
    assert [c.text for c in kept["claims"]] == [c.text for c in planned.claims]
    assert [c.paper for c in kept["claims"]] == [c.paper for c in planned.claims]
    assert all(len(c.differences) == kept["seeds"] for c in kept["claims"])
    assert kept["seeds"] >= 8


def test_the_table_in_the_readme_is_that_of_the_kept_results():
    readme = (Path(claims.__file__).parents[1] / "README.md").read_text()
    kept = {name: verdicts.read(verdicts.RESULTS / f"{name}.json") for name in claims.STUDIES}
    assert verdicts.table(kept).strip() in readme
