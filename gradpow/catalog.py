"""Every method by name: `get` makes one, `find` and `atlas` say what each is, needs and keeps.

Names, families and sources are read from the files of `gradpow.methods` and `gradpow.wrappers`;
what a method needs and keeps was measured, by `python -m tests.contract.measured`.
"""

import difflib
import functools
import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Callable, Collection
from importlib import resources
from types import ModuleType
from typing import Any

import optax

from gradpow import methods, transforms, wrappers
from gradpow.entries import Atlas, Entry, Source

__all__ = ["Atlas", "Entry", "Source", "atlas", "find", "get"]


def get(name: str, *args: Any, **hyper: Any) -> optax.GradientTransformationExtraArgs:
    """Makes a method by its name, or by what its paper calls it.

    Args:
      name: as in :func:`gradpow.atlas`; capitals, spaces and hyphens do not matter.
      *args: handed to the method: a learning rate, or the optimizer to wrap.
      **hyper: its hyper-parameters.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`, which takes any extra argument.

    Raises:
      ValueError: if there is no such method, with the nearest names.

    Examples:
      >>> import gradpow, optax
      >>> tx = gradpow.get("s3", 1e-2, p=2)
      >>> tx = gradpow.get("AdamWPower", 1e-3)
      >>> tx = gradpow.get("cautious", optax.sgd(1e-2, momentum=0.9))
      >>> gradpow.get("tigre", 1e-3)
      Traceback (most recent call last):
        ...
      ValueError: there is no method 'tigre'; the nearest is tiger. All: gradpow.atlas()
    """
    return optax.with_extra_args_support(_named(name).factory(*args, **hyper))


def find(
    family: str | None = None,
    needs: str | Collection[str] | None = None,
    text: str | None = None,
) -> Atlas:
    """The methods that fulfil every condition given.

    Args:
      family: a folder of ``gradpow/methods``, such as "sign", or "wrappers".
      needs: what the update must need beside the gradient: a name such as "params" or several of
        them, or an empty tuple for the methods that need nothing.
      text: what name, family, papers or the first line of the docstring must contain, in any case.

    Returns:
      A :class:`gradpow.Atlas`.

    Raises:
      ValueError: if there is no such family or need, with those there are.

    Examples:
      >>> import gradpow
      >>> [entry.name for entry in gradpow.find(family="sign")]
      ['lion', 'tiger']
      >>> [entry.name for entry in gradpow.find(family="powered", needs=())]
      ['adagradpower', 'lp_descent', 's3', 'sgdpower']
    """
    entries = list(_entries().values())
    if family is not None:
        _known("family", [family], {entry.family for entry in entries})
        entries = [entry for entry in entries if entry.family == family]
    if needs is not None:
        wanted = {needs} if isinstance(needs, str) else set(needs)
        _known("needs", wanted, {need for entry in _entries().values() for need in entry.needs})
        entries = [e for e in entries if (wanted <= set(e.needs) if wanted else not e.needs)]
    if text is not None:
        entries = [entry for entry in entries if text.lower() in _searched(entry)]
    return Atlas(entries)


def atlas() -> Atlas:
    """All methods, with their papers and what each needs, keeps and sums.

    Returns:
      A :class:`gradpow.Atlas`: a tuple of :class:`gradpow.Entry` that prints itself as a table.

    Examples:
      >>> import gradpow
      >>> print(str(gradpow.atlas()).splitlines()[0].split())
      ['name', 'family', 'paper', 'needs', 'bytes', 'sums', 'over']
    """
    return find()


def links() -> dict[str, tuple[str, tuple[Source, ...], Callable[..., Any]]]:
    """The transformations by name: place in a step, sources, factory."""
    return {
        module.__name__.rpartition(".")[2]: (place, _card(module)[1], _factory(module))
        for place, module in _modules(transforms)
    }


def _named(name: str) -> Entry:
    names = {_plain(key): e for e in _entries().values() for key in (*e.titles, e.name)}
    if found := names.get(_plain(name)):
        return found
    near = difflib.get_close_matches(_plain(name), names, n=3)
    nearest = ", ".join(dict.fromkeys(names[key].name for key in near))
    said = f"the nearest {'are' if ',' in nearest else 'is'} {nearest}. " if near else ""
    raise ValueError(f"there is no method {name!r}; {said}All: gradpow.atlas()")


def _plain(name: str) -> str:
    return re.sub(r"\W|_", "", name.lower())


def _known(what: str, given: Collection[str], known: Collection[str]) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"{what} is one of {', '.join(sorted(known))}, not {unknown[0]!r}")


def _searched(entry: Entry) -> str:
    said = (inspect.getdoc(entry.factory) or "").partition("\n")[0]
    papers = (f"{source.label} {source.title}" for source in entry.sources)
    return " ".join([entry.name, entry.family, *entry.titles, *papers, said]).lower()


@functools.cache
def _entries() -> dict[str, Entry]:
    measured = _shipped()["methods"]
    modules = [*_modules(methods), *(("wrappers", m) for m in _submodules(wrappers))]
    entries = {}
    for family, module in modules:
        factory, (titles, sources) = _factory(module), _card(module)
        facts = measured.get(factory.__name__, {"needs": [], "bytes": 0.0, "sums": "nothing"})
        entries[factory.__name__] = Entry(
            name=factory.__name__,
            family=family,
            titles=titles,
            sources=sources,
            needs=tuple(facts["needs"]),
            bytes=facts["bytes"],
            sums=facts["sums"],
            factory=factory,
        )
    return entries


def _modules(package: ModuleType) -> list[tuple[str, ModuleType]]:
    """The files of a package's folders, each with its folder's name."""
    return [
        (folder.__name__.rpartition(".")[2], module)
        for folder in _submodules(package)
        for module in _submodules(folder)
    ]


def _submodules(package: ModuleType) -> list[ModuleType]:
    found = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    return [importlib.import_module(info.name) for info in found]


def _factory(module: ModuleType) -> Callable[..., Any]:
    """A file is named after what it makes."""
    return getattr(module, module.__name__.rpartition(".")[2])


def _card(module: ModuleType) -> tuple[tuple[str, ...], tuple[Source, ...]]:
    """Titles and sources from `Name (Other Name): Label (Year), place; Label (Year), place.`"""
    card = (module.__doc__ or "").partition("\n")[0].removesuffix(".")
    name, _, sources = card.partition(": ")
    titles = tuple(part.strip() for part in re.split(r"[(),]", name) if part.strip())
    papers, found = _shipped()["sources"], []
    for source in sources.split("; "):
        label, place = re.fullmatch(r"(.*?\(\d{4}\w?\))(?:, (.*))?", source).groups()  # pyright: ignore[reportOptionalMemberAccess]
        found.append(Source(label, place or "", **papers[label]))
    return titles, tuple(found)


@functools.cache
def _shipped() -> dict[str, Any]:
    return json.loads((resources.files("gradpow") / "catalog.json").read_text())
