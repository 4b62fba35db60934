"""What every program owes whoever runs it: a line for what is wrong, and a word now and then."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from examples import progress
from examples.pretrain.errors import UserError, shown_in_one_line

ROOT = Path(__file__).parents[2]


def run(*command, **environment):
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": ".", "XLA_FLAGS": ""} | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "command, said",
    [
        (["-m", "examples.compare"], 'examples.compare: tyro is not installed: pip install -e ".['),
        (["-m", "examples.vision"], "examples.vision: tyro is not installed: pip install"),
        (["-m", "benchmarks.cpu"], "benchmarks.cpu: tyro is not installed: pip install"),
        (["examples/quickstart.py"], "quickstart: tyro is not installed: pip install"),
    ],
)
def test_a_package_that_lacks_is_named_with_the_command_that_installs_it(tmp_path, command, said):
    absent = "raise ModuleNotFoundError('No module named tyro', name='tyro')"
    (tmp_path / "tyro.py").write_text(absent)
    ended = run(*command, PYTHONPATH=f"{tmp_path}{os.pathsep}.")
    assert ended.returncode == 1 and ended.stderr.startswith(said), ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.hunt
def test_programs_help_without_a_home_and_name_the_cache_when_they_need_one(tmp_path):
    """For a user whom the system does not know, as in many containers."""
    code = """
import pwd
pwd.getpwuid = {}.__getitem__
from examples import adaptive_power, claims, compare
from examples.claims import __main__ as claims
from examples.pretrain import train
from examples.vision.config import VisionConfig
for main, kind in ((train.main, {}), (train.main, {"kind": VisionConfig}), (compare.main, {}),
                   (claims.main, {}), (adaptive_power.main, {})):
    for arguments in ["--help"], ["--out", "OUT"]:
        try:
            main(arguments, **kind)
        except SystemExit as end:
            print(end.code)
""".replace("OUT", str(tmp_path / "out"))
    environment = {key: x for key, x in os.environ.items() if key not in ("HOME", "XDG_CACHE_HOME")}
    environment |= {"PYTHONPATH": ".", "XLA_FLAGS": "", "MPLCONFIGDIR": str(tmp_path)}
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    codes = [line for line in ended.stdout.splitlines() if line.isdigit()]
    assert codes == ["0", "2"] * 5, ended.stdout + ended.stderr
    lines = ended.stderr.splitlines()
    assert len(lines) == 5 and all(line.endswith("in: give --cache") for line in lines), lines


def test_what_a_terminal_cannot_show_ends_no_program(monkeypatch):
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="ascii"))
    with shown_in_one_line("sample"):
        print("caf\u00e9 \u6f22 \ufffd \udcff")
    sys.stdout.flush()
    assert shown.getvalue() == b"caf\\xe9 \\u6f22 \\ufffd \\udcff\n"


@pytest.mark.parametrize(
    "error, code, said",
    [
        (UserError("give --out"), 2, "program: give --out\n"),
        (OSError(28, "No space left", "a/b"), 2, "program: [Errno 28] No space left: 'a/b'\n"),
        (KeyboardInterrupt(), 130, "program: stopped\n"),
    ],
)
def test_what_ends_a_program_is_one_line(capsys, error, code, said):
    with pytest.raises(SystemExit) as end, shown_in_one_line("program"):
        raise error
    assert (end.value.code, capsys.readouterr().err) == (code, said)


def test_where_no_bar_can_be_drawn_long_work_says_a_line_now_and_then(monkeypatch):
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    console = Console(file=io.StringIO(), width=30)
    with progress.progress_bar(console) as bar:
        task = bar.add_task("compiling", total=80)
        for step in range(81):
            bar.update(task, completed=step, description=f"s3: rates {step:g} [of many]")
            now += 0.5
        bar.advance(task)
    lines = console.file.getvalue().splitlines()
    assert lines == [f"{x:3d}%  s3: rates {x * 4 // 5} [of many]" for x in (0, 25, 50, 75, 100)]


@pytest.mark.parametrize("terminal", [False, True])
def test_a_table_is_drawn_on_a_terminal_and_kept_as_it_is_elsewhere(terminal):
    markdown = "| way | loss |\n|---|---|\n| a long way to say it | 1.25 |\n\nOf seeds [0] to [5]."
    console = Console(file=io.StringIO(), width=20, force_terminal=terminal, color_system=None)
    progress.print_table(markdown, console)
    shown = console.file.getvalue()
    if not terminal:
        assert shown == markdown + "\n"
        return
    assert "|" not in shown and "1.25" in shown and "[0]" in shown
    assert max(map(len, shown.splitlines())) <= 20
