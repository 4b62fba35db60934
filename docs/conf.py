"""The site: `sphinx-build -W docs docs/_build` runs every example and draws every figure."""

import functools
import os
import re
import socket
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS)]
# The kernels of the executed pages inherit both.
os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{DOCS}"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from jupyter_cache.executors import utils as executors  # noqa: E402
from sources import led  # noqa: E402
from traitlets.config import Config  # noqa: E402

import gradpow  # noqa: E402

# Over TCP each page's kernel warns that anybody on this machine may listen.
SOCKETS = tempfile.TemporaryDirectory()
LOCAL = Config({"KernelManager": {"transport": "ipc", "ip": f"{SOCKETS.name}/kernel"}})
executors.executenb = functools.partial(executors.executenb, config=LOCAL)

project = "gradpow"
author = "the gradpow authors"
copyright = f"2026, {author}"
version = release = gradpow.__version__

extensions = [
    "checks",
    "myst_nb",
    "progress",
    "reference",
    "sources",
    "sphinx-mathjax-offline",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_build", "jupyter_execute", "figures/*.ipynb", "figures/*.py", "figures/*.md5"]
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb"}

html_theme = "sphinx_book_theme"
html_title = "gradpow"
html_static_path = ["_static"]
html_css_files = ["gradpow.css"]
html_theme_options = {"show_navbar_depth": 1, "show_toc_level": 2, "navbar_persistent": []}

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_merge_streams = True
nb_render_markdown_format = "myst"  # for tables; the default, CommonMark, has none
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_output_stderr = "error"

bibtex_bibfiles = ["../references.bib"]
bibtex_default_style = "labelled"
bibtex_reference_style = "label"

autodoc_typehints = "none"  # the docstrings say what each argument takes
napoleon_numpy_docstring = False
napoleon_use_param = False  # "b1, b2: as in optax.adamw" stays one line
napoleon_use_rtype = False


def reachable(host: str) -> bool:
    try:
        socket.create_connection((host, 443), timeout=5).close()
    except OSError:
        return False
    return True


# Names of other projects lead to their sites; without a network they stand as they are.
OTHERS = {
    "jax": "https://docs.jax.dev/en/latest",
    "optax": "https://optax.readthedocs.io/en/latest",
    "flax": "https://flax.readthedocs.io/en/stable",
}
intersphinx_mapping = {
    name: (url, None) for name, url in OTHERS.items() if reachable(urlsplit(url).netloc)
}
# Every name of gradpow must lead somewhere.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!gradpow\b).*")]

sphinx_gallery_conf = {
    "examples_dirs": "../examples/figures",
    "gallery_dirs": "figures",
    "filename_pattern": r"figures/(?!__)",
    "ignore_pattern": r"__",
    "image_srcset": ["2x"],
    "thumbnail_size": (960, 560),
    "show_signature": False,
    "write_computation_times": False,  # its page loads scripts from a network
    "download_all_examples": False,
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "reset_modules": ("matplotlib", "progress.say_figure"),
}


# Where a file of the repository is a page of the site.
PAGES = {
    ROOT / "README.md": DOCS / "index.md",
    ROOT / "CHANGELOG.md": DOCS / "changelog.md",
    ROOT / "CONTRIBUTING.md": DOCS / "contributing.md",
    ROOT / "examples/README.md": DOCS / "examples.md",
    ROOT / "examples/pretrain/README.md": DOCS / "pretraining.md",
    ROOT / "examples/pretrain/pods.md": DOCS / "pods.md",
}


def lead_links(text: str, base: Path, page: Path) -> str:
    """Links of a text that stands in `base`, for a page: to pages of the site, else to files."""

    def lead(match: re.Match) -> str:
        path, hash_, anchor = match[2].partition("#")
        target = (base / path).resolve()
        if not path or "://" in path or not target.exists():
            return match[0]
        if target.is_dir():  # nothing to download: the text alone
            return match[1]
        target = PAGES.get(target, target)
        return f"[{match[1]}]({os.path.relpath(target, page.parent)}{hash_}{anchor})"

    def picture(match: re.Match) -> str:
        path = os.path.relpath((base / match[1]).resolve(), page.parent)
        return f"![{match[2]}]({path})"

    text = re.sub(r'<img src="([^"]+)"[^>]* alt="([^"]*)">', picture, text)
    return re.sub(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)", lead, text)


def read_source(app, docname, content):
    page = Path(app.env.doc2path(docname))
    if page.suffix == ".md":
        content[0] = lead_links(content[0], page.parent, page)
    content[0] = led(content[0], page.suffix[1:], docname)


def read_included(app, relative_path, parent_docname, content):
    page = Path(app.env.doc2path(parent_docname))
    text = lead_links(content[0], (DOCS / relative_path).resolve().parent, page)
    content[0] = led(text, "md", str(relative_path))


def setup(app):
    app.connect("source-read", read_source)
    app.connect("include-read", read_included)
