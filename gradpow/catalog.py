"""Every method by name: `get` makes one, `find` and `atlas` say what each is, needs and keeps.

Names, families and sources are read from the files of `gradpow.methods` and `gradpow.wrappers`;
what a method needs and keeps was measured, by `python -m tests.contract.measured`.
"""

import difflib
import functools
import html
import inspect
import math
import re
import shutil
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import optax

from gradpow.cards import Source, makers, shipped

__all__ = ["Atlas", "Entry", "Source", "atlas", "find", "get"]


class Entry(NamedTuple):
    """A row of :func:`gradpow.atlas`.

    Args:
      name: the method's name in gradpow.
      family: its folder below ``gradpow/methods``, or "wrappers".
      titles: what papers call it.
      sources: where it comes from, the first being what is followed.
      needs: what its update needs beside the gradient, as it is made by default.
      bytes: of state, for each parameter of float32, as it is made by default.
      sums: over what a coordinate's step sums: "nothing", "a tensor" or "the tree".
      factory: the function of that name.
    """

    name: str
    family: str
    titles: tuple[str, ...]
    sources: tuple[Source, ...]
    needs: tuple[str, ...]
    bytes: float
    sums: str
    factory: Callable[..., optax.GradientTransformation]


class Atlas(tuple[Entry, ...]):
    """Methods as a table, which prints itself in a terminal and as HTML in a notebook.

    Examples:
      >>> import gradpow
      >>> found = gradpow.find(text="softsign")
      >>> len(found), found[0].name, found[0].bytes
      (1, 's3', 8.0)
    """

    HEADS = ("name", "family", "paper", "needs", "bytes", "sums over")

    def rows(self, linked: bool = False) -> list[tuple[str, ...]]:
        """The cells as text, with ``linked`` as HTML whose papers are links."""
        write = _linked if linked else _said
        return [
            (
                entry.name,
                entry.family,
                "; ".join(write(source) for source in entry.sources),
                ", ".join(entry.needs) or "gradients alone",
                f"{entry.bytes:.3g}",
                entry.sums,
            )
            for entry in self
        ]

    def __repr__(self) -> str:
        """The table, its papers cut off where a terminal is too narrow for them."""
        lines = [self.HEADS, *self.rows()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        paper = self.HEADS.index("paper")
        beyond = sum(widths) + 2 * (len(widths) - 1) - shutil.get_terminal_size((160, 24)).columns
        widths[paper] = max(widths[paper] - max(beyond, 0), len("paper"))

        def cell(text: str, width: int) -> str:
            return (text if len(text) <= width else text[: width - 1] + "…").ljust(width)

        return "\n".join("  ".join(map(cell, line, widths)).rstrip() for line in lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in self.HEADS)
        body = "\n".join(
            f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
            for row in self.rows(linked=True)
        )
        return f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"


def _said(source: Source) -> str:
    return f"{source.label}, {source.place}" if source.place else source.label


def _linked(source: Source) -> str:
    link, title = html.escape(source.link), html.escape(source.title)
    return f'<a href="{link}" title="{title}">{html.escape(_said(source))}</a>'


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


def _named(name: str) -> Entry:
    names = {_plain(key): e for e in _entries().values() for key in (*e.titles, e.name)}
    if found := names.get(_plain(name)):
        return found
    near = difflib.get_close_matches(_plain(name), names, n=3)
    nearest = ", ".join(dict.fromkeys(names[key].name for key in near))
    said = f"the nearest {'are' if ',' in nearest else 'is'} {nearest}. " if near else ""
    raise ValueError(f"there is no method {name!r}; {said}All: gradpow.atlas()")


def _plain(name: str) -> str:
    return re.sub(r"[^\w+]|_", "", name.lower())  # a plus distinguishes Adam+ from Adam


def _known(what: str, given: Collection[str], known: Collection[str]) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"{what} is one of {', '.join(sorted(known))}, not {unknown[0]!r}")


def _searched(entry: Entry) -> str:
    said = (inspect.getdoc(entry.factory) or "").partition("\n")[0]
    papers = (f"{source.label} {source.title}" for source in entry.sources)
    return " ".join([entry.name, entry.family, *entry.titles, *papers, said]).lower()


@functools.cache
def _entries() -> dict[str, Entry]:
    measured = shipped()["methods"]
    unmeasured = {"needs": [], "bytes": math.nan, "sums": "unknown"}
    entries = {}
    for card in makers():
        facts = measured.get(card.name, unmeasured)
        entries[card.name] = Entry(
            name=card.name,
            family=card.folder,
            titles=card.titles,
            sources=card.sources,
            needs=tuple(facts["needs"]),
            bytes=facts["bytes"],
            sums=facts["sums"],
            factory=card.factory,
        )
    return entries
