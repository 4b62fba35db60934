"""What docstrings owe: every argument said once, an example, the maths and a source that resolves.

Examples run with the tests, by --doctest-modules; tests/contract/test_numbers.py compares ranges.
"""

import inspect
import re
import statistics
from pathlib import Path

import pytest
from pybtex.database import parse_file

import gradpow
from gradpow import cards, core, metrics, schedules, theory
from tests.contract.test_numbers import arguments

LABELS = {
    entry.fields["label"]
    for entry in parse_file(Path(__file__).parents[1] / "references.bib").entries.values()
}
METHODS = {e.name: e.factory for e in gradpow.atlas() if e.family != "wrappers"}
WRAPPERS = {e.name: e.factory for e in gradpow.atlas() if e.family == "wrappers"}
LINKS = {card.name: card.factory for card in cards.links()}
FACTORIES = {**LINKS, **WRAPPERS, **METHODS}
OTHERS = {
    f"{module.__name__}.{name}": thing
    for module in (core, metrics, schedules, theory)
    for name, thing in vars(module).items()
    if inspect.isfunction(thing) and not name.startswith("_")
}
each_factory = pytest.mark.parametrize("name", FACTORIES)
as_in_optax = re.compile(r"as in :func:`optax\.\w+`")


def said(name):
    return inspect.getdoc(FACTORIES[name]) or ""


@each_factory
def test_every_argument_is_explained_once_in_order_and_no_other(name):
    taken = list(inspect.signature(FACTORIES[name]).parameters)
    assert sorted(arguments(FACTORIES[name])) == sorted(taken)


@pytest.mark.parametrize("name", METHODS)
def test_what_means_what_it_means_in_optax_is_named_in_one_line_together(name):
    shared = {text for text in arguments(METHODS[name]).values() if as_in_optax.match(text)}
    assert len(shared) <= 1


@each_factory
def test_the_maths_an_example_and_a_reference_are_there(name):
    text = said(name)
    assert ".. math::" in text
    assert re.search(r"^Examples:\n  >>>", text, re.M)
    assert re.search(r"^References:\n  \S", text, re.M)


@each_factory
def test_the_reference_names_labels_of_the_bibliography(name):
    reference = re.search(r"^References:\n(.*)\Z", said(name), re.M | re.S)
    labels = re.findall(r"(?:[A-Z][\w-]+|AMS authors)(?: and [A-Z]\w+| et al\.)? \(\d{4}\w?\)",
                        " ".join(reference[1].split()))  # fmt: skip
    assert labels and set(labels) <= LABELS


@each_factory
def test_errors_are_said_only_where_they_are_more_than_outside_its_range(name):
    raises = re.search(r"^Raises:\n(.*?)(?=^\S|\Z)", said(name), re.M | re.S)
    assert not raises or not re.search(r"outside (its|their) range|out of range", raises[1])


@pytest.mark.parametrize("name", METHODS)
def test_a_method_does_not_say_that_it_returns_an_optimizer(name):
    assert "Returns:" not in said(name)


def test_the_docstring_of_a_method_is_no_longer_than_it_is_worth():
    lengths = [sum(bool(line.strip()) for line in said(name).splitlines()) for name in METHODS]
    assert statistics.median(lengths) <= 20


@pytest.mark.parametrize("name", OTHERS)
def test_what_else_is_public_has_a_sentence_and_an_example(name):
    text = inspect.getdoc(OTHERS[name]) or ""
    assert text.partition("\n")[0].endswith((".", ":"))
    assert ">>>" in text, f"{name} has no example"
