"""What a compiled step costs on one device, read off its scheduled HLO.

`compiled.cost_analysis()` will not do on TPUs: it counts a whole operand for each slice of it that
is fetched ahead. Here each instruction is counted by what it reads from the device's main memory
and writes to it; what stays on the chip is free.
"""

import functools
from typing import NamedTuple

from examples.pretrain.collectives import trip_count
from examples.pretrain.hlo import (
    COLLECTIVE,
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
            elif COLLECTIVE.fullmatch(i.opcode):
                exchanged = sum(a.bytes for a in arrays(i.result))
                total = total.plus(Cost(collectives=1, exchanged=exchanged))
            elif i.opcode not in NAMES and not i.opcode.endswith("-done"):
                total = total.plus(_moves(i, types, least)).plus(_work(i, computations))
        return total

    return of(entry)


def _moves(i: Instruction, types: dict[str, str], least: int) -> Cost:
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
        inputs = [a for name in operands(i) for a in arrays(types.get(name, ""))]
        outputs = arrays(i.result)
    return Cost(
        read=sum(a.bytes for a in inputs if not a.on_chip),
        written=sum(a.bytes for a in outputs if not a.on_chip),
        passes=not moves and max((a.size for a in inputs + outputs), default=0) >= least,
    )


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
