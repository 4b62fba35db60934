"""README and the site: their tables, names, labels, links and commands are those of the code."""

import json
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

import gradpow
from gradpow import cards

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))
import gain  # noqa: E402
import reference  # noqa: E402
import sources  # noqa: E402
from checks import dead_links, from_the_network, public_names  # noqa: E402
from tables import filled, states  # noqa: E402

README = (ROOT / "README.md").read_text()
PROSE = re.compile(r"```.*?```|<!-- families -->.*<!-- /families -->|<[^>]*>|\]\([^)]*\)", re.S)


def test_the_readme_is_an_invitation():
    assert len(PROSE.sub("", README).split()) <= 700


def test_the_readme_examples_run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.S | re.M)
    assert blocks
    for block in blocks:
        exec(block, {})


def test_the_readme_has_the_families_of_the_code():
    assert filled(README) == README
    assert "`s3`" in README and filled(README.replace("`s3`", "`s4`")) == README


def test_the_readme_links_lead_to_files():
    for link, picture in re.findall(
        r"\]\((?!https?:|#)([^)]+)\)|src=\"(?!https?:)([^\"]+)\"", README
    ):
        path = (link or picture).split("#")[0]
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("mark", ["compare", "tests", "docs"])
def test_each_command_that_is_run_elsewhere_stands_in_one_place(mark):
    texts = README + (ROOT / "CONTRIBUTING.md").read_text()
    assert texts.count(f"<!-- {mark} -->\n```bash\npython3 -m venv .venv && ") == 1


def test_the_picture_shows_the_table():
    assert gain.drawn() == gain.differences() != {}


def documented() -> list[str]:
    """What the pages name themselves, and what they take from a package of gradpow."""
    text = "\n".join(path.read_text() for path in [*DOCS.glob("*.md"), *DOCS.glob("api/*.md")])
    text += "".join(reference.written(package) for package in reference.MARK.findall(text))
    return re.findall(r"(?:autofunction|autoclass|py:data):: (\S+)", text)


def test_the_reference_has_every_public_name_once_and_no_other():
    assert Counter(documented()) == Counter(public_names())


def test_each_method_stands_under_its_family_and_each_link_under_its_place():
    sections = {
        package: dict(
            re.findall(r"^## ([\w ]+)\n(.*?)(?=^## |\Z)", reference.written(package), re.M | re.S)
        )
        for package in ("methods", "transforms")
    }
    for entry in gradpow.atlas():
        if entry.family != "wrappers":
            section = sections["methods"][entry.family.replace("_", " ").capitalize()]
            assert f".. autofunction:: gradpow.{entry.name}\n" in section
    for card in cards.links():
        name, place = card.name, card.folder
        section = sections["transforms"][place.replace("_", " ").capitalize()]
        assert f".. autofunction:: gradpow.transforms.{name}\n" in section


def test_the_table_of_states_has_every_method_and_says_what_each_field_is():
    lines = [line.split(" | ") for line in states().splitlines()[2:]]
    named = {line[0].strip("|` ") for line in lines} - {""}
    assert named == {
        *(card.name for card in cards.links()),
        *(entry.name for entry in gradpow.atlas()),
        "monitored",
    }
    assert all(line[1] == "keeps nothing" or line[4].strip(" |") for line in lines)
    # As in a state's docstring, and in the list of optax's fields; what is optional is there.
    assert "| `s3` | `[0].s` | as the parameter | float32 | phi_{1/p} of the moment |" in states()
    assert "|  | `[0].nu` | as the parameter | float32 | average of its squares |" in states()
    assert (
        "|  | `[1].s` | as the parameter | float32 | the average whose signs decide |" in states()
    )


def test_a_label_leads_to_its_entry_and_an_unknown_one_is_named():
    said = "As Peng et al.\n(2025) and Wang et al. (2025b) say.\n"
    led = sources.led(said, "rst", "here")
    assert led == "As :cite:alp:`peng2025softsignsgd` and :cite:alp:`wang2025sharpness` say.\n"
    code = "```python\n# Nobody et al. (2025)\n```\n"
    assert sources.led(code + "Su (2023)", "md", "here") == code + "{cite:alp}`su2023tiger`"
    for label in ("Nobody et al. (2025)", "Some-One and Other (1999)", "Peng et al. (2019)"):
        with pytest.raises(Exception, match=re.escape(f"here names {label}")):
            sources.led(f"by {label}.", "md", "here")


def test_each_entry_of_the_bibliography_is_whole():
    assert len(set(sources.KEYS)) == len(sources.ENTRIES)
    for entry in sources.Labelled().format_entries(sources.ENTRIES.values()):
        said = str(entry.text)
        assert "http" in said and f" in {entry.key}" not in said, said  # "missing year in ..."


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "one.html").write_text('<p id="here"><a href="two.html#there">two</a></p>')
    (tmp_path / "two.html").write_text('<a href="one.html#here">one</a><img src="no.png">')
    assert dead_links(tmp_path) == ["one.html: two.html#there", "two.html: no.png"]


def test_what_a_page_takes_from_a_network_is_found(tmp_path):
    (tmp_path / "page.html").write_text(
        '<a href="https://a.org/">a</a><script src="https://b.org/b.js"></script>'
        '<link rel="stylesheet" href="//c.org/c.css"><script src="_static/d.js"></script>'
    )
    assert from_the_network(tmp_path) == [
        "page.html: //c.org/c.css",
        "page.html: https://b.org/b.js",
    ]


def test_the_guide_to_faults_tells_all_that_the_last_long_hunt_tried():
    sources = [path.read_text() for path in sorted((ROOT / "tests").rglob("test_*.py"))]
    asked = {what for source in sources for what in re.findall(r'TRIED\["([^"]+?)"\] ', source)}
    tried = json.loads((ROOT / "docs" / "faults.json").read_text())["tried"]
    assert asked == set(tried) and min(tried.values()) > 500
