"""What the build of the site holds itself to: every public name, and links that work, offline."""

import importlib
import inspect
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import gradpow

MODULES = (
    "gradpow",
    "gradpow.core",
    "gradpow.metrics",
    "gradpow.presets",
    "gradpow.schedules",
    "gradpow.theory",
    "gradpow.transforms",
)


def public_names() -> set[str]:
    """Each by its shortest name: what gradpow itself offers stands under no module of it."""
    names = set()
    for module in MODULES:
        held = vars(importlib.import_module(module))
        files = [thing for thing in held.values() if inspect.ismodule(thing)]
        said = {name for file in files for name in getattr(file, "__all__", ())}  # types too
        for name, thing in held.items():
            ours = name in said or getattr(thing, "__module__", module).startswith(module)
            shorter = module != "gradpow" and getattr(gradpow, name, None) is thing
            if ours and not (name.startswith("_") or inspect.ismodule(thing) or shorter):
                names.add(f"{module}.{name}")
    return names


class Page(HTMLParser):
    """A page's anchors, where it leads, and what a browser loads to show it."""

    def __init__(self, path: Path):
        super().__init__()
        self.anchors, self.links, self.loaded = {""}, [], []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        self.links += [found[key] for key in ("href", "src") if found.get(key)]
        self.loaded += [found["src"]] if found.get("src") else []
        self.loaded += [found["href"]] if tag == "link" and found.get("rel") == "stylesheet" else []


def pages_of(site: Path) -> dict[Path, Page]:
    files = (path for path in site.rglob("*.html") if "_static" not in path.parts)
    return {path.resolve(): Page(path) for path in files}


def from_the_network(site: Path) -> list[str]:
    """Scripts, styles and pictures that a page takes from another host."""
    return sorted(
        f"{path.relative_to(site.resolve())}: {address}"
        for path, page in pages_of(site).items()
        for address in page.loaded
        if urlsplit(address).netloc
    )


def dead_links(site: Path) -> list[str]:
    pages, dead = pages_of(site), []
    for path, page in pages.items():
        for link in page.links:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            there = target in pages and unquote(url.fragment) in pages[target].anchors
            if not there and (target in pages or not target.is_file()):
                dead.append(f"{path.relative_to(site.resolve())}: {link}")
    return sorted(dead)


def check(app, exception):
    if exception or app.builder.name != "html":
        return
    documented = {name for name, *_ in app.env.get_domain("py").get_objects()}
    if missing := sorted(public_names() - documented):
        raise RuntimeError(f"docs/api lacks {', '.join(missing)}")
    if dead := dead_links(Path(app.outdir)):
        raise RuntimeError("links that lead nowhere:\n" + "\n".join(dead))
    if loaded := from_the_network(Path(app.outdir)):
        raise RuntimeError("not without a network:\n" + "\n".join(loaded))


def setup(app):
    app.connect("build-finished", check, priority=900)  # after the extensions copied their files
    return {"parallel_read_safe": True}
