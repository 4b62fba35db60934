"""From a claim's differences to a verdict, and from all results to one table."""

import math
from pathlib import Path
from typing import Any

from ..pretrain.files import read_json
from ..statistics import effect, runs_to_decide
from .lab import Claim

RESULTS = Path(__file__).parent / "results"


def verdict(claim: Claim) -> str:
    """By the sign of the mean paired difference, where its 95% interval leaves out 0.

    Where the paper says that there is no difference, it is to be small: within `claim.within`.
    """
    if not all(map(math.isfinite, claim.differences)):
        return "undecided: some runs diverged"
    if not any(claim.differences):
        return "undecided: no pair differs"
    found = effect(claim.differences)
    if claim.within is not None:
        if max(-found.low, found.high) <= claim.within:
            return "agrees"
        return "disagrees" if min(-found.low, found.high) < -claim.within else "undecided"
    if found.decided:
        return "agrees" if found.mean < 0 else "disagrees"
    needed = runs_to_decide(claim.differences)
    return f"undecided; {f'about {needed}' if needed else 'over 10,000'} seeds would decide"


def row(claim: Claim) -> str:
    ours = "diverged"
    if all(map(math.isfinite, claim.differences)):
        ours = f"{effect(claim.differences)} {claim.unit}"
    return f"| {claim.text} | {claim.source}: {claim.paper} | {ours} | {verdict(claim)} |"


def read(path: Path) -> dict[str, Any]:
    stored = read_json(path)
    return stored | {"claims": [Claim(**claim) for claim in stored["claims"]]}


def table(results: dict[str, dict[str, Any]]) -> str:
    """All studies' claims, in Markdown."""
    lines = []
    for name, result in results.items():
        problems = "; ".join(
            ", ".join(str(value) for key, value in problem.items() if key != "data")
            for problem in result["problems"]
        )
        lines += [
            f"**{result['title']}** (`{name}`; {problems}; {result['seeds']} seeds)",
            "",
            "| claim | paper | here: mean difference, 95% interval | verdict |",
            "|---|---|---|---|",
            *map(row, result["claims"]),
            "",
        ]
    return "\n".join(lines)
