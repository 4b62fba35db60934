"""How far a quiet build is: a line for each figure that is drawn and each page whose code runs.

The build takes minutes. Without -q Sphinx itself says as much.
"""

import sys
from pathlib import Path

pages: list[str] = []


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def say_figure(gallery_conf, script):
    """The gallery calls it before each script."""
    if Path(script).suffix == ".py":
        say(f"figure {Path(script).stem}")


def note_pages(app, env, docnames):
    pages[:] = docnames


def say_page(app, docname, content):
    if app.quiet:
        say(f"page {pages.index(docname) + 1} of {len(pages)}: {docname}")


def setup(app):
    app.connect("env-before-read-docs", note_pages, priority=900)  # after all have added theirs
    app.connect("source-read", say_page)
    return {"parallel_read_safe": False}
