"""The comparison of a p that follows the noise with fixed ones: it runs, and is told as it was."""

import dataclasses
import json
import re

import numpy as np
import pytest

from examples import adaptive_power
from tests.examples.test_sweep import PROBLEM

BOWL = dataclasses.replace(PROBLEM, about={"model": "a bowl", "batch": "4 points"})


@pytest.mark.hunt
def test_a_study_has_every_arm_and_the_powers_of_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(adaptive_power, "SETTINGS", {"bowl": [(lambda: BOWL, 12)] * 3})
    monkeypatch.setattr(adaptive_power, "POWERS", (0.8, 1.2))
    adaptive_power.main(["--smoke", "--out", str(tmp_path)])
    result = json.loads((tmp_path / "results.json").read_text())
    assert (tmp_path / "adaptive-power.png").stat().st_size > 10_000
    record = result["records"][0]
    assert [*record["losses"]] == ["0.8", "1.2", "adaptive"]
    assert all(len(losses) == 2 for losses in record["losses"].values())
    # The curves' first p is the start; it stays within the fixed ones.
    p = np.array(record["p"])
    assert len(p) == 10 and p[0] == pytest.approx(1.2) and np.all((p >= 0.8) & (p < 1.2 + 1e-6))
    assert "| bowl | 4 points | " in capsys.readouterr().out


def test_the_kept_results_are_whole_and_no_better_than_what_is_said_of_them():
    kept = json.loads(adaptive_power.KEPT.read_text())
    assert len(kept["records"]) == sum(map(len, adaptive_power.SETTINGS.values()))
    for record in kept["records"]:
        assert all(len(losses) == kept["seeds"] for losses in record["losses"].values())
    rows = adaptive_power.table(kept["records"]).splitlines()[2:]
    # "At no batch size does it beat the best fixed p beyond chance": no interval lies below 0.
    highs = [float(re.search(r"p = \S+: \S+ \(\S+ to (\S+)\)", row)[1]) for row in rows]
    assert min(highs) > 0
