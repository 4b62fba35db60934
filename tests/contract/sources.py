"""Ships the sources of references.bib, without which a method with a new one does not import."""

import json
from pathlib import Path
from typing import Any

from pybtex.database import parse_file

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "gradpow/catalog.json"


def sources() -> dict[str, Any]:
    """Title and link of each paper by its label, without TeX's braces."""
    entries = parse_file(ROOT / "references.bib").entries.values()
    return {
        entry.fields["label"]: {
            "title": entry.fields["title"].replace("{", "").replace("}", ""),
            "link": entry.fields["url"],
        }
        for entry in entries
    }


def ship(**parts: Any) -> None:
    """Writes these parts of the catalog, and leaves the others."""
    shipped = json.loads(SHIPPED.read_text()) | parts
    SHIPPED.write_text(json.dumps(shipped, indent=1) + "\n")
