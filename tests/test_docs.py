"""The reference of the site: every public name stands there, and says what its neighbours say."""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))
from checks import dead_links, public_names  # noqa: E402
from tables import STATES, states  # noqa: E402

DOCUMENTED = {
    name
    for path in (ROOT / "docs" / "api").glob("*.md")
    for name in re.findall(r"(?:autofunction|autoclass|py:data):: (\S+)", path.read_text())
}


def test_the_reference_has_every_public_name_once_and_no_other():
    assert public_names() == DOCUMENTED


def test_the_guide_to_faults_tells_all_that_the_last_long_hunt_tried():
    sources = [
        (ROOT / "tests/contract" / name).read_text() for name in ("test_faults.py", "test_links.py")
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
