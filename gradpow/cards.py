"""Title cards: the first line of each file says what papers call it, and which they are."""

import functools
import importlib
import json
import pkgutil
import re
from collections.abc import Callable
from importlib import resources
from types import ModuleType
from typing import Any, NamedTuple

from gradpow import methods, transforms, wrappers

__all__ = ["Card", "Source", "links", "makers"]


class Source(NamedTuple):
    """Where a method comes from: the label and place on its title card, the paper's title, a link.

    Args:
      label: authors and year, as in "Peng et al. (2025)".
      place: section, equation or algorithm there; may be empty.
      title: of the paper.
      link: to the paper.
    """

    label: str
    place: str
    title: str
    link: str


class Card(NamedTuple):
    """What a file of the package says of itself.

    Args:
      name: of the file, and of what it makes.
      folder: a family of methods, a place of links, or "wrappers".
      titles: what papers call it.
      sources: where it comes from, the first being what is followed.
      factory: the function of that name.
    """

    name: str
    folder: str
    titles: tuple[str, ...]
    sources: tuple[Source, ...]
    factory: Callable[..., Any]


def makers() -> list[Card]:
    """Every method by family, then the wrappers.

    Examples:
      >>> from gradpow.cards import makers
      >>> [card.name for card in makers() if "AdamWPower" in card.titles]
      ['adampower']
    """
    return [*_inside(methods), *(_card(module) for module in _submodules(wrappers))]


def links() -> list[Card]:
    """Every link by its place in a step.

    Examples:
      >>> from gradpow.cards import links
      >>> [card.folder for card in links() if card.name == "sign_power"]
      ['gradient']
    """
    return _inside(transforms)


def _inside(package: ModuleType) -> list[Card]:
    folders = _submodules(package)
    return [_card(module) for folder in folders for module in _submodules(folder)]


def _submodules(package: ModuleType) -> list[ModuleType]:
    found = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    return [importlib.import_module(info.name) for info in found]


def _card(module: ModuleType) -> Card:
    """From `Name (Other Name): Label (Year), place; Label (Year), place.`"""
    folder, name = module.__name__.split(".")[-2:]
    line = (module.__doc__ or "").partition("\n")[0].removesuffix(".")
    called, _, sources = line.partition(": ")
    return Card(
        name,
        folder,
        titles=tuple(part.strip() for part in re.split(r"[(),]", called) if part.strip()),
        sources=tuple(map(_source, sources.split("; "))),
        factory=getattr(module, name),
    )


def _source(said: str) -> Source:
    match = re.fullmatch(r"(.*?\(\d{4}\w?\))(?:, (.*))?", said)
    if match is None or match[1] not in shipped()["sources"]:
        raise ValueError(f"{said!r} does not begin with the label of an entry of references.bib")
    return Source(match[1], match[2] or "", **shipped()["sources"][match[1]])


@functools.cache
def shipped() -> dict[str, Any]:
    """What `python -m tests.contract.measured` found, of methods by name and papers by label."""
    return json.loads((resources.files("gradpow") / "catalog.json").read_text())
