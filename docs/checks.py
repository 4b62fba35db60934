"""What the build of the site holds itself to: every public name, and every link within the site."""

import importlib
import inspect
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

MODULES = (
    "gradpow",
    "gradpow.metrics",
    "gradpow.presets",
    "gradpow.schedules",
    "gradpow.theory",
    "gradpow.transforms",
)


def public_names() -> set[str]:
    names = set()
    for module in MODULES:
        for name, thing in vars(importlib.import_module(module)).items():
            ours = getattr(thing, "__module__", module).startswith(module)
            if ours and not name.startswith("_") and not inspect.ismodule(thing):
                names.add(f"{module}.{name}")
    return names


class Page(HTMLParser):
    """A page's anchors, and where it leads."""

    def __init__(self, path: Path):
        super().__init__()
        self.anchors, self.links = {""}, []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        self.links += [found[key] for key in ("href", "src") if found.get(key)]


def dead_links(site: Path) -> list[str]:
    files = (path for path in site.rglob("*.html") if "_static" not in path.parts)
    pages = {path.resolve(): Page(path) for path in files}
    dead = []
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


def setup(app):
    app.connect("build-finished", check, priority=900)  # after the extensions copied their files
    return {"parallel_read_safe": True}
