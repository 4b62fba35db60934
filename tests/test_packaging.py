"""What is installed, what is public, and that the documents' commands and examples work."""

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import gradpow

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The names in a wheel built from a copy of the sources, so that no build folder is left."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "gradpow", source / "gradpow")
    (source / "transforms").symlink_to("gradpow/transforms")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"]
    built = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = (source / "dist").glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = [n for n in wheel.namelist() if ".dist-info/" not in n]
    on_disk = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "gradpow").rglob("*")
        if path.suffix in {".py", ".typed", ".json"}
    ]
    assert sorted(names) == sorted(on_disk)
    assert "gradpow/py.typed" in names
    assert not any(n.startswith("transforms") for n in names), "no top-level module `transforms`"


def test_the_wheel_needs_jax_and_optax_alone(wheel):
    (metadata,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    required = re.findall(
        r"^Requires-Dist: ([\w-]+)(?!.*extra ==)", wheel.read(metadata).decode(), re.M
    )
    assert sorted(required) == ["jax", "optax"]


def test_importing_gradpow_loads_no_optional_package():
    optional = ["flax", "chex", "matplotlib", "sklearn", "rich", "tyro", "hypothesis", "pytest"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({optional})); import gradpow; print('fine')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "fine\n", done.stderr


def test_the_link_at_the_top_leads_to_the_transforms_and_is_no_package():
    link = ROOT / "transforms"
    assert link.is_symlink() and link.resolve() == ROOT / "gradpow" / "transforms"
    done = subprocess.run(
        [sys.executable, "-c", "import transforms"], cwd=ROOT, capture_output=True, text=True
    )
    assert "import gradpow.transforms" in done.stderr


def test_the_version_is_the_same_everywhere():
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{gradpow.__version__}"' in pyproject
    assert f"\nversion: {gradpow.__version__}\n" in (ROOT / "CITATION.cff").read_text()


RUNS_CODE = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"}


def what_runs_code(source):
    """What in a source file could run code that it reads, by line."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in {"eval", "exec", "compile", "__import__", "torch.load", "yaml.load"}:
                yield node.lineno, called
            trusting = ("allow_pickle", "trust_remote_code")
            yield from (
                (node.lineno, key.arg)
                for key in node.keywords
                if key.arg in trusting and ast.unparse(key.value) != "False"
            )
        yield from ((node.lineno, n) for n in names if n.split(".")[0] in RUNS_CODE)


def test_nothing_that_is_read_can_run_code():
    for folder in ("gradpow", "examples", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            assert not list(what_runs_code(path.read_text())), path
    bad = "import pickle\nfrom dill import load\neval('1')\nnp.load(f, allow_pickle=True)\n"
    assert [line for line, _ in what_runs_code(bad)] == [1, 2, 3, 4]
