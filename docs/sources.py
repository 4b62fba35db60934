"""Sources: a label such as "Peng et al. (2025)" leads to its entry in the bibliography.

Labels are those of references.bib. One that looks like a label but is none fails the build.
"""

import re
from pathlib import Path

import pybtex.plugin
from pybtex.database import parse_file
from pybtex.style.formatting.plain import Style
from pybtex.style.labels import BaseLabelStyle
from pybtex.style.sorting import BaseSortingStyle
from sphinx.errors import ExtensionError

ENTRIES = parse_file(Path(__file__).parent.parent / "references.bib").entries
KEYS = {entry.fields["label"]: key for key, entry in ENTRIES.items()}
NAME = r"[A-Z][\w'-]+"
KNOWN = [
    r"\s+".join(map(re.escape, label.split())) for label in sorted(KEYS, key=len, reverse=True)
]
LABEL = re.compile(
    rf"(?<![\w-])(?:{'|'.join(KNOWN)}|{NAME}(?:\s+et\s+al\.|\s+and\s+{NAME})\s+\(\d{{4}}\w?\))"
)
# The role that writes a label without brackets: its year has them already.
ROLES = {"md": "{{cite:alp}}`{}`", "rst": ":cite:alp:`{}`"}
# Code has no links: blocks, and what stands between backticks.
CODE = re.compile(r"^(```+|~~~+).*?^\1|(?<!`)(`+)(?!`)(?:(?!\n\n).)+?(?<!`)\2(?!`)", re.M | re.S)


def led(text: str, kind: str, where: str) -> str:
    """The text with each label as a role of Markdown or reStructuredText."""

    def lead(match: re.Match) -> str:
        label = " ".join(match[0].split())
        if label not in KEYS:
            raise ExtensionError(f"{where} names {label}, which references.bib has not")
        return ROLES[kind].format(KEYS[label])

    parts, end = [], 0
    for block in CODE.finditer(text):
        parts += [LABEL.sub(lead, text[end : block.start()]), block[0]]
        end = block.end()
    return "".join([*parts, LABEL.sub(lead, text[end:])])


class Labels(BaseLabelStyle):
    """Those of references.bib."""

    def format_labels(self, sorted_entries):
        return [entry.fields["label"] for entry in sorted_entries]


class ByLabel(BaseSortingStyle):
    def sorting_key(self, entry):
        return entry.fields["label"].lower()


class Labelled(Style):
    default_label_style, default_sorting_style = Labels, ByLabel


def read_docstring(app, what, name, thing, options, lines):
    lines[:] = led("\n".join(lines), "rst", name).split("\n")


def setup(app):
    pybtex.plugin.register_plugin("pybtex.style.formatting", "labelled", Labelled)
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", read_docstring)
    return {"parallel_read_safe": True}
