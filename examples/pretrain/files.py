"""Files that are written whole or not at all: a killed process leaves the old one."""

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)
