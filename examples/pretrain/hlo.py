"""The text of a compiled program: computations of instructions, some of which call others."""

import math
import re
from typing import NamedTuple

COLLECTIVE = re.compile(
    "(all-gather|all-reduce|reduce-scatter|all-to-all|ragged-all-to-all|collective-permute)(-start)?"
)
WIDTHS = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "f64": 8}
INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.-]+) = (.*?) ([a-z][\w-]*)\((.*)$")
HEADER = re.compile(r"^(ENTRY )?%?([\w.-]+) \(.*\{$")


class Instruction(NamedTuple):
    name: str
    result: str
    opcode: str
    rest: str  # operands and attributes


class Array(NamedTuple):
    dtype: str
    size: int  # elements
    bytes: int
    on_chip: bool


Computations = dict[str, list[Instruction]]


def parse(program: str) -> tuple[Computations, str]:
    """The computations of `compiled.as_text()`, and the name of the one that is entered."""
    computations: Computations = {}
    entry, current = "", []
    for line in program.splitlines():
        if header := HEADER.match(line):
            current = computations.setdefault(header[2], [])
            entry = header[2] if header[1] else entry
        elif found := INSTRUCTION.match(line):
            current.append(Instruction(*found.groups()))
    return computations, entry


def operands(instruction: Instruction) -> list[str]:
    return re.findall(r"%([\w.-]+)", instruction.rest.split("), ")[0])


def attribute(instruction: Instruction, name: str) -> str:
    found = re.search(rf"{name}=%?([\w.-]+)", instruction.rest)
    return found[1] if found else ""


def arrays(result: str) -> list[Array]:
    """Of the type of a value; memory space 5 is the host's, others beside 0 are on the chip."""
    found = []
    for dtype, shape, layout in re.findall(r"(\w+)\[([\d,]*)\](\{[^}]*\})?", result):
        size = math.prod(int(n) for n in shape.split(",") if n)
        on_chip = re.search(r"S\([^05]\)", layout) is not None
        found.append(Array(dtype, size, WIDTHS.get(dtype, 4) * size, on_chip))
    return found
