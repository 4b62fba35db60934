"""What devices send each other in a step, read off the compiled program.

What a loop's body does counts as often as the loop turns, and an operation that the compiler has
cut into a chain of pieces counts once.
"""

import dataclasses
import math
import re
from collections import defaultdict

from .hlo import COLLECTIVE, Computations, Instruction, arrays, attribute, operands, parse

CALLED = re.compile(
    r"(?:calls|to_apply|body|true_computation|false_computation)=%?([\w.-]+)"
    r"|branch_computations=\{([^}]*)\}"
)


@dataclasses.dataclass(frozen=True)
class Collective:
    kind: str
    dtype: str
    size: int  # bytes of all operands or all results on a device, whichever is more
    group: int  # devices that take part together
    times: int  # a step

    @property
    def sent(self) -> float:
        """Bytes that a device sends in a step, each at most once around a ring of the group."""
        others = (self.group - 1) / self.group
        share = {"all-reduce": 2 * others, "collective-permute": 1.0}.get(self.kind, others)
        return share * self.size * self.times


def collectives(program: str) -> list[Collective]:
    """Those of an optimised program, `compiled.as_text()`; scalars are left out."""
    computations, entry = parse(program)
    times = _times(computations, entry)
    found: dict[str, Collective] = {}
    for name, instructions in computations.items():
        for i in instructions:
            collective = COLLECTIVE.fullmatch(i.opcode)
            if not collective or not times[name]:
                continue
            kind = collective[1]
            dtype, size = _moved(i)
            group = _group_size(i.rest)
            if kind == "reduce-scatter":
                size *= group
            if name.startswith("all-reduce-scatter"):  # a TPU's fusion of a sum and a slice of it
                kind = "reduce-scatter"
            # The first and the last piece of a chain run as often as the whole, those between in
            # the loops that they overlap with.
            chain = re.search(r"channel_id=(\d+).*chain_id=", i.rest)
            key = chain[1] if chain else f"{name} {i.name}"
            count = min(times[name], found[key].times) if key in found else times[name]
            if size > 4:
                found[key] = Collective(kind, dtype, size, group, count)
    return list(found.values())


def _times(computations: Computations, entry: str) -> dict[str, int]:
    """How often each computation runs."""
    times: dict[str, int] = defaultdict(int)

    def run(name: str, count: int) -> None:
        times[name] += count
        for i in computations.get(name, ()):
            turns = trip_count(i, computations) if i.opcode == "while" else 1
            for one, several in CALLED.findall(i.rest):
                for callee in [one] if one else re.findall(r"[\w.-]+", several):
                    run(callee, count * turns)

    run(entry, 1)
    return times


def trip_count(loop: Instruction, computations: Computations) -> int:
    """Of a loop that counts up from 0 to a constant, as scans and the compiler's own loops do."""
    if known := re.search(r'known_trip_count[":{ n]*(\d+)', loop.rest):
        return int(known[1])
    condition, body = (
        {i.name: i for i in computations[attribute(loop, name)]} for name in ("condition", "body")
    )
    compare = next((i for i in condition.values() if "direction=LT" in i.rest), None)
    if compare:
        counter, bound = (condition[operand] for operand in operands(compare))
        index = int(attribute(counter, "index"))
        *_, root = body.values()
        following = body[operands(root)[index]]
        steps = [_constant(body[o]) for o in operands(following)]
        step = next((step for step in steps if step), 1)
        if end := _constant(bound):
            return -(-end // step)
    raise ValueError(f"cannot tell how often {loop.name} turns")


def _constant(instruction: Instruction) -> int | None:
    found = re.match(r"(\d+)\)", instruction.rest)
    return int(found[1]) if found and instruction.opcode == "constant" else None


def _moved(instruction: Instruction) -> tuple[str, int]:
    """Type and bytes of the results, of which a combined operation has several.

    An operation that only starts gives operands, results and scalars that guide it; a sum that
    only starts gives its results alone.
    """
    sizes = [(array.bytes, array.dtype) for array in arrays(instruction.result)]
    if instruction.opcode.endswith("-start") and instruction.opcode != "all-reduce-start":
        sizes = [(size, dtype) for size, dtype in sizes if dtype != "u32" or size > 4]
        sizes = sizes[len(sizes) // 2 :]
    return max(sizes)[1], sum(size for size, _ in sizes)


def _group_size(rest: str) -> int:
    if listed := re.search(r"replica_groups=\{\{([\d,]+)\}", rest):
        return listed[1].count(",") + 1
    if iota := re.search(r"replica_groups=\[(\d+),(\d+)\]<=", rest):
        return int(iota[2])
    if mesh := re.search(r"replica_groups=mesh\[(.*?)\] \{(.*?)\}", rest):
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", mesh[1]))
        return math.prod(int(sizes[axis]) for axis in re.findall(r"'(\w+)'", mesh[2]))
    return 2  # a permutation's partners
