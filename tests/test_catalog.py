"""The catalog: what it says was measured, what it names is there, and what it is asked it finds."""

import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import optax
import pytest
from pybtex.database import parse_file

import gradpow
from gradpow import cards, catalog, methods, transforms, wrappers
from gradpow.__main__ import main
from tests.contract import measured, sources
from tests.contract.cases import METHODS, WRAPPERS, each

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gradpow"
SHIPPED = json.loads(sources.SHIPPED.read_text())
LABELS = {entry.fields["label"] for entry in parse_file(ROOT / "references.bib").entries.values()}
PLACES = ("transforms", "wrappers", "methods")
FILES = [
    path.relative_to(PACKAGE)
    for place in PLACES
    for path in sorted((PACKAGE / place).rglob("*.py"))
    if path.name != "__init__.py"
]
each_file = pytest.mark.parametrize("path", FILES, ids=str)
each_name = pytest.mark.parametrize("name", [entry.name for entry in gradpow.atlas()])


@each([*METHODS, *WRAPPERS])
def test_what_is_got_by_its_name_makes_steps_that_need_keep_and_sum_what_ships(name):
    again = "python -m tests.contract.measured"
    tx = measured.by_default(name, {**METHODS, **WRAPPERS}[name])
    shipped = SHIPPED["methods"].get(name)
    assert shipped, f"{name} was never measured: {again}"
    assert shipped["needs"] == measured.needs(tx), again
    assert shipped["bytes"] == measured.bytes_a_parameter(tx), again
    assert shipped["sums"] == measured.sums(tx), again


def test_what_ships_has_every_method_no_other_and_every_source():
    assert set(SHIPPED["methods"]) == {*METHODS, *WRAPPERS} == {e.name for e in gradpow.atlas()}
    assert SHIPPED["sources"] == sources.sources()


# Files


@each_file
def test_a_file_is_named_after_what_it_makes_and_has_a_twin(path):
    module = importlib.import_module(".".join(("gradpow", *path.with_suffix("").parts)))
    assert path.stem in module.__all__
    assert inspect.isfunction(getattr(module, path.stem))
    assert (ROOT / "tests" / path.parent / f"test_{path.name}").is_file()


@each_file
def test_a_file_opens_with_its_title_card_whose_papers_are_in_the_bibliography(path):
    card = (PACKAGE / path).read_text().partition("\n")[0]
    found = re.fullmatch(r'"""[^:]+: (.+)\."""', card)
    assert found, card
    for source in found[1].split("; "):
        label = re.match(r".*?\(\d{4}\w?\)", source)
        assert label and label[0] in LABELS, source


def test_every_twin_has_its_source():
    twins = (path for place in PLACES for path in (ROOT / "tests" / place).rglob("test_*.py"))
    for path in twins:
        twin = path.relative_to(ROOT / "tests")
        assert twin.parent / twin.name.removeprefix("test_") in FILES, path


def test_a_family_opens_with_what_its_members_share():
    for family in (PACKAGE / "methods").iterdir():
        if family.is_dir() and family.name != "__pycache__":
            said = (family / "__init__.py").read_text().split('"""')[1]
            assert len(said.strip().splitlines()) >= 3, family


def test_every_label_of_the_bibliography_is_used_somewhere():
    texts = [path.read_text() for path in PACKAGE.rglob("*.py")]
    texts += [path.read_text() for path in (ROOT / "docs").rglob("*.md")]
    unused = {label for label in LABELS if not any(label in text for text in texts)}
    assert not unused


# Names


@each_name
def test_a_method_s_name_is_a_function_and_never_a_folder(name):
    assert inspect.isfunction(getattr(gradpow, name))
    assert getattr(gradpow, name) is catalog._entries()[name].factory


def test_links_are_functions_of_transforms_and_never_folders():
    for card in cards.links():
        assert getattr(transforms, card.name) is card.factory


def test_what_is_combined_can_be_read_by_pyright(tmp_path):
    script = tmp_path / "uses.py"
    names = [f"gradpow.{entry.name}" for entry in gradpow.atlas()]
    names += [f"gradpow.transforms.{card.name}" for card in cards.links()]
    script.write_text("import gradpow\n\n" + "".join(f"reveal_type({n})\n" for n in names))
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)]}))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    run = subprocess.run([*command, str(script)], capture_output=True, text=True, cwd=tmp_path)
    if "No module named" in run.stderr:
        pytest.skip("pyright is not installed: pip install 'gradpow[dev]'")
    found = [d["message"] for d in json.loads(run.stdout)["generalDiagnostics"]]
    assert len(found) == len(names)
    assert [message for message in found if "->" not in message] == []


# get


def test_a_method_is_got_by_its_name_or_its_papers():
    params = {"w": 1.0}
    for name, same in (
        ("AdamWPower", "adampower"),
        ("SoftSignSGD", "s3"),
        ("C-Lion", "cautious_lion"),
    ):
        state = gradpow.get(name, 1e-3).init(params)
        assert state == getattr(gradpow, same)(1e-3).init(params)


def test_get_hands_on_every_argument():
    tx = gradpow.get("cautious", optax.sgd(1.0), negative_scale=0.5)
    updates, _ = tx.update({"w": 2.0}, tx.init({"w": 0.0}))
    assert updates == {"w": -2.0}
    with pytest.raises(ValueError, match="p must be"):
        gradpow.get("s3", 1e-3, p=0.5)


def test_what_is_got_takes_any_extra_argument():
    tx = gradpow.get("sgd", 1.0)
    assert tx.update({"w": 2.0}, tx.init({"w": 0.0}), nobody_knows_this=1)[0] == {"w": -2.0}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cautius", "the nearest are .*cautious"),
        ("tigre", "the nearest is tiger"),
        ("zzzzzzzz", r"there is no method 'zzzzzzzz'; All: gradpow\.atlas\(\)"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, said):
    with pytest.raises(ValueError, match=said):
        gradpow.get(name, 1e-3)


# find and atlas


def names_of(found):
    return {entry.name for entry in found}


def test_find_goes_by_family_needs_and_text():
    assert names_of(gradpow.find(family="sign")) >= {"lion", "tiger"}
    assert all(entry.family == "sign" for entry in gradpow.find(family="sign"))
    assert "adamw" in names_of(gradpow.find(needs="params"))
    assert "adam" not in names_of(gradpow.find(needs=["params"]))
    assert "adam" in names_of(gradpow.find(needs=()))
    assert not names_of(gradpow.find(needs=())) & names_of(gradpow.find(needs="params"))
    assert names_of(gradpow.find(text="softsign")) == {"s3"}
    assert names_of(gradpow.find("sign", "params", "su (2023)")) == {"tiger"}
    assert gradpow.find(text="nothing is called this") == ()


def test_find_names_what_there_is():
    with pytest.raises(ValueError, match=r"family is one of .*sign.*, not 'signs'"):
        gradpow.find(family="signs")
    with pytest.raises(ValueError, match=r"needs is one of .*params.*, not 'parameters'"):
        gradpow.find(needs="parameters")


def test_the_atlas_has_every_file_of_methods_and_wrappers():
    made = {path.stem for path in FILES if path.parts[0] != "transforms"}
    assert names_of(gradpow.atlas()) == made
    assert {entry.family for entry in gradpow.atlas()} == {
        path.parts[1] if path.parts[0] == "methods" else "wrappers"
        for path in FILES
        if path.parts[0] != "transforms"
    }
    assert methods.__doc__ and wrappers.__doc__


def test_the_atlas_prints_a_row_for_each_method_in_a_terminal_and_in_a_notebook():
    atlas = gradpow.atlas()
    head, *rows = repr(atlas).splitlines()
    assert [cell for cell in re.split(r"\s{2,}", head)] == list(atlas.HEADS)
    assert [row.split()[0] for row in rows] == [entry.name for entry in atlas]
    table = atlas._repr_html_()
    assert table.count("<tr>") == len(atlas) + 1
    for entry in atlas:
        assert f"<td>{entry.name}</td>" in table
        assert all(f'href="{source.link}"' in table for source in entry.sources)


def test_the_command_prints_the_atlas_or_what_is_found_or_an_error(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    command = [sys.executable, "-m", "gradpow"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert run.stdout == f"{gradpow.atlas()}\n"
    main(["softsign", "--family", "powered"])
    assert capsys.readouterr().out == f"{gradpow.find('powered', text='softsign')}\n"
    with pytest.raises(SystemExit):
        main(["--family", "signs"])
    assert "family is one of" in capsys.readouterr().err
