"""Docstrings: every public name says what its neighbours say."""

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))
from checks import public_names  # noqa: E402

SECTIONS = ("Args", "Returns", "Raises", "Examples", "References")
# What has no maths, raises nothing or comes from no paper.
EXCEPTIONS = {
    "gradpow.chain": {"maths", "References"},
    "gradpow.presets.get": {"maths"},
    "gradpow.presets.decay_mask": {"maths", "Raises"},
    "gradpow.transformer_blocks": {"maths", "Raises"},
    "gradpow.hidden_matrices": {"maths", "Raises"},
    "gradpow.metrics.update_rms": {"Raises", "References"},
    "gradpow.metrics.largest_update": {"Raises"},
    "gradpow.metrics.sign_agreement": {"Raises"},
    "gradpow.metrics.effective_rate": {"Raises", "References"},
    "gradpow.metrics.relative_update": {"Raises", "References"},
}


@pytest.mark.parametrize("name", sorted(public_names()))
def test_a_docstring_has_maths_arguments_errors_an_example_and_its_source(name):
    module, _, attribute = name.rpartition(".")
    thing = getattr(sys.modules[module], attribute)
    if isinstance(thing, type):  # states and results: a sentence that names their fields
        assert thing.__doc__ and not thing.__doc__.startswith(attribute + "(")
    elif callable(thing):
        docstring = thing.__doc__ or ""
        found = {section for section in SECTIONS if f"\n    {section}:\n" in docstring}
        found |= {"maths"} if ".. math::" in docstring else set()
        assert found == {"maths", *SECTIONS} - EXCEPTIONS.get(name, set())
        assert ">>>" in docstring


def test_the_guide_to_faults_tells_all_that_the_last_long_hunt_tried():
    sources = [path.read_text() for path in sorted((ROOT / "tests").rglob("test_*.py"))]
    asked = {what for source in sources for what in re.findall(r'TRIED\["([^"]+?)"\] ', source)}
    tried = json.loads((ROOT / "docs" / "faults.json").read_text())["tried"]
    assert asked == set(tried) and min(tried.values()) > 500
