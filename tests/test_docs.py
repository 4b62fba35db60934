"""The reference of the site: every public name stands there, and says what its neighbours say."""

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))
from checks import dead_links, public_names  # noqa: E402
from tables import STATES, states  # noqa: E402

DOCUMENTED = {
    name
    for path in (ROOT / "docs" / "api").glob("*.md")
    for name in re.findall(r"(?:autofunction|autoclass|py:data):: (\S+)", path.read_text())
}
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


def test_the_reference_has_every_public_name_once_and_no_other():
    assert public_names() == DOCUMENTED


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
    sources = [
        (ROOT / "tests" / name).read_text() for name in ("test_faults.py", "test_contract.py")
    ]
    asked = set(re.findall(r'TRIED\["(.+?)"\]', "".join(sources)))
    tried = json.loads((ROOT / "docs" / "faults.json").read_text())["tried"]
    assert asked == set(tried) and min(tried.values()) > 500


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "one.html").write_text('<p id="here"><a href="two.html#there">two</a></p>')
    (tmp_path / "two.html").write_text('<a href="one.html#here">one</a><img src="no.png">')
    assert dead_links(tmp_path) == ["one.html: two.html#there", "two.html: no.png"]


def test_the_table_of_states_has_every_optimizer_and_says_what_each_field_is():
    documented = "\n".join(
        (ROOT / "docs" / "api" / f"{page}.md").read_text() for page in ("optimizers", "transforms")
    )
    names = set(re.findall(r"autofunction:: gradpow\.(?:transforms\.)?(\w+)", documented))
    assert names - {"hidden_matrices"} <= set(STATES)
    lines = [line.split(" | ") for line in states().splitlines()[2:]]
    assert all(line[1] == "keeps nothing" or line[4].strip(" |") for line in lines)
    # As in a state's docstring, and in the list of optax's fields.
    assert "| `adaptive_sign_power` | `.count` | scalar | int32 | gradients measured |" in states()
    assert "| `s3` | `[0].s` | as the parameter | float32 | phi_{1/p} of the moment |" in states()
    assert "|  | `[0].nu` | as the parameter | float32 | average of its squares |" in states()
