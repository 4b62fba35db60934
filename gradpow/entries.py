"""What the catalog knows of a method, and the table of many."""

import html
from collections.abc import Callable
from typing import NamedTuple

import optax

__all__ = ["Atlas", "Entry", "Source"]


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
        lines = [self.HEADS, *self.rows()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )

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
