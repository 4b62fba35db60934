"""What a compiled step costs on one device, read off its scheduled HLO.

`compiled.cost_analysis()` will not do on TPUs: it counts a whole operand for each slice of it that
is fetched ahead. Here each instruction is counted by what it reads from the device's main memory
and writes to it; what stays on the chip is free.
"""

import functools
import re
from typing import NamedTuple

from examples.pretrain.collectives import trip_count
from examples.pretrain.hlo import (
    COLLECTIVE,
    Array,
    Computations,
    Instruction,
    arrays,
    attribute,
    operands,
    parse,
)

# Instructions that only name a value, and those that in a loop's body compute nothing.
NAMES = {"parameter", "get-tuple-element", "tuple", "bitcast", "constant", "after-all"}
IDLE = NAMES | {
    "broadcast", "reshape", "copy", "iota", "transpose", "slice", "convert", "bitcast-convert",
}  # fmt: skip
SLICES = {"dynamic-slice", "dynamic-update-slice"}
TRANSCENDENTAL = {
    "exponential", "exponential-minus-one", "log", "log-plus-one", "power", "sqrt", "rsqrt",
    "cbrt", "tanh", "logistic",
}  # fmt: skip


class Cost(NamedTuple):
    """Bytes and operations of one device in one step."""

    read: int = 0  # from main memory
    written: int = 0
    passes: int = 0  # loops over arrays
    collectives: int = 0
    exchanged: int = 0  # bytes of the collectives' results
    transcendentals: int = 0
    operations: int = 0  # elementwise ones, transcendentals among them

    def plus(self, other: "Cost", times: int = 1) -> "Cost":
        return Cost(*(a + times * b for a, b in zip(self, other, strict=True)))


def cost(text: str, least: int) -> Cost:
    """Of a program's text; loops over arrays smaller than `least` elements are no passes."""
    computations, entry = parse(text)

    @functools.cache
    def of(name: str) -> Cost:
        total, types = Cost(), {i.name: i.result for i in computations[name]}
        for i in computations[name]:
            if i.opcode == "while":
                total = total.plus(of(attribute(i, "body")), trip_count(i, computations))
            elif i.opcode == "call":
                total = total.plus(of(attribute(i, "to_apply")))
            elif i.opcode == "conditional":  # the branch that moves more
                total = total.plus(max(map(of, branches(i)), key=lambda c: c.read + c.written))
            elif COLLECTIVE.fullmatch(i.opcode):
                exchanged = sum(a.bytes for a in arrays(i.result))
                total = total.plus(Cost(collectives=1, exchanged=exchanged))
            elif i.opcode not in NAMES and not i.opcode.endswith("-done"):
                total = total.plus(_moves(i, types, least, computations)).plus(
                    _work(i, computations)
                )
        return total

    return of(entry)


def _moves(i: Instruction, types: dict[str, str], least: int, computations: Computations) -> Cost:
    """What an instruction reads and writes, and whether it is a loop over an array."""
    if "ConcatBitcast" in i.rest:  # one name for slices that lie side by side
        return Cost()
    moves = i.opcode.endswith("-start")
    if moves:
        # A copy's type gives its result and then its source, a slice's its source and then its
        # result, of which alone the size counts.
        source, to, *_ = arrays(i.result)
        if i.opcode == "copy-start":
            source, to = to, source
        inputs, outputs = [source._replace(bytes=to.bytes)], [to]
    else:
        given = [arrays(types.get(name, "")) for name in operands(i)]
        outputs = arrays(i.result)
        inner = computations.get(attribute(i, "calls"), [i])
        inputs = [a for n, found in enumerate(given) for a in _read(inner, n, found)]
        outputs = given[1] if i.opcode == "dynamic-update-slice" else _written(inner, outputs)
    return Cost(
        read=sum(a.bytes for a in inputs if not a.on_chip),
        written=sum(a.bytes for a in outputs if not a.on_chip),
        passes=not moves and max((a.size for a in inputs + outputs), default=0) >= least,
    )


def _read(inner: list[Instruction], number: int, operand: list[Array]) -> list[Array]:
    """What is read of an operand: of one that only slices are taken of, or put into, those."""
    if inner[0].opcode in SLICES:  # no fusion
        names = operands(inner[0])[number : number + 1]
    else:
        names = [
            i.name for i in inner if i.opcode == "parameter" and i.rest.startswith(f"{number})")
        ]
    users = [i for i in inner if i.opcode != "parameter" and set(names) & set(operands(i))]
    if len(operand) != 1 or not users or any(
        i.opcode not in SLICES or operands(i)[0] not in names for i in users
    ):  # fmt: skip
        return operand
    taken = [arrays(i.result)[0].bytes for i in users if i.opcode == "dynamic-slice"]
    return [operand[0]._replace(bytes=min(operand[0].bytes, sum(taken)))]


def _written(inner: list[Instruction], results: list[Array]) -> list[Array]:
    """What is written of a result: where a slice is put into an operand, that slice."""
    root = inner[-1]
    if root.opcode != "dynamic-update-slice" or len(results) != 1:
        return results
    slices = [i for i in inner if i.name == operands(root)[1]]
    put = arrays(slices[0].result)[0].bytes if slices else results[0].bytes
    return [results[0]._replace(bytes=min(put, results[0].bytes))]


def branches(i: Instruction) -> list[str]:
    """The computations of a conditional."""
    listed = re.search(r"branch_computations=\{([^}]*)\}", i.rest)
    if listed:
        return re.findall(r"[\w.-]+", listed[1])
    return [attribute(i, f"{value}_computation") for value in ("true", "false")]


def _work(i: Instruction, computations: Computations) -> Cost:
    """Elementwise operations of an instruction, or of what a fusion is made of."""
    if called := attribute(i, "calls"):
        total = Cost()
        for inner in computations.get(called, ()):
            total = total.plus(_work(inner, computations))
        return total
    if i.opcode in IDLE or i.opcode.endswith(("-start", "-done")):
        return Cost()
    size = sum(a.size for a in arrays(i.result))
    return Cost(transcendentals=size * (i.opcode in TRANSCENDENTAL), operations=size)
