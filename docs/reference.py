"""The reference, read from the code: a page names a package, and gets its families and names.

A page's mark <!-- reference: methods --> becomes, for each folder of `gradpow.methods`, what the
folder says of itself and what each of its files makes. Folders appear in no name.
"""

import importlib
import inspect
import pkgutil
import re
from types import ModuleType

from sphinx.pycode import ModuleAnalyzer

import gradpow

MARK = re.compile(r"<!-- reference: (\w+) -->")


def written(package: str) -> str:
    """Markdown: a section for each folder of a package, else for each of its files."""
    root = importlib.import_module(f"gradpow.{package}")
    sections = _submodules(root)
    if not sections:
        return _block(root, package)
    return "\n".join(f"{_opening(module)}\n\n{_block(module, package)}" for module in sections)


def names(package: str) -> list[str]:
    """What a page of the package documents."""
    return re.findall(r"^\.\. \S+:: (\S+)$", written(package), re.M)


def _block(module: ModuleType, package: str) -> str:
    files = _submodules(module) or [module]
    entries = "\n".join(entry for file in files for entry in _entries(file, package))
    return f"```{{eval-rst}}\n{entries}\n```\n"


def _submodules(module: ModuleType) -> list[ModuleType]:
    found = pkgutil.iter_modules(getattr(module, "__path__", []), f"{module.__name__}.")
    return [importlib.import_module(info.name) for info in found]


def _opening(module: ModuleType) -> str:
    """The folder's or file's name as a heading, and what it says of itself."""
    name = module.__name__.rpartition(".")[2].replace("_", " ").capitalize()
    text = re.sub(r":(\w+):`([^`]+)`", r"{\1}`\2`", inspect.getdoc(module) or "")
    text = re.sub(r"([*$<|])", r"\\\1", text)
    return f"## {name}\n\n{text}"


def _entries(module: ModuleType, package: str) -> list[str]:
    """A directive for each public name of a file, what the file is named after before all others.

    A name stands by its shortest form: in gradpow itself, if that offers it.
    """
    comments = ModuleAnalyzer.for_module(module.__name__).find_attr_docs()
    own = module.__name__.rpartition(".")[2]
    entries = []
    for name in sorted(module.__all__, key=lambda name: (name != own, name)):
        thing = getattr(module, name)
        prefix = "gradpow" if getattr(gradpow, name, None) is thing else f"gradpow.{package}"
        if inspect.isclass(thing):
            entries.append(f".. autoclass:: {prefix}.{name}")
        elif ("", name) in comments:  # a constant or a type, described below its line
            said = "\n   ".join(comments["", name])
            entries.append(f".. py:data:: {prefix}.{name}\n\n   {said}")
        else:
            entries.append(f".. autofunction:: {prefix}.{name}")
    return entries


def read_source(app, docname, content):
    content[0] = MARK.sub(lambda mark: written(mark[1]), content[0])


def setup(app):
    app.connect("source-read", read_source, priority=400)  # before labels are looked for
    return {"parallel_read_safe": True}
