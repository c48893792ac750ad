"""A compiled program's text (HLO), taken apart."""

import dataclasses
import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence

_BYTES = {
    **dict.fromkeys(("pred", "s8", "u8", "s4", "u4", "s2", "u2", "token"), 1),
    **dict.fromkeys(("s16", "u16", "f16", "bf16"), 2),
    **dict.fromkeys(("s32", "u32", "f32"), 4),
    **dict.fromkeys(("s64", "u64", "f64", "c64"), 8),
    "c128": 16,
}
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) (?:\(.*)?\{$")
_ARRAY = re.compile(
    r"\b(pred|token|bf16|[suf]\d+\w*|c64|c128)\[([\d,]*)\](\{[^}]*S\([1-9][^}]*\})?"
)
_LINE = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = ")
_OPCODE = re.compile(r"\s*([\w\-]+)\(")
_CALLED = re.compile(
    r"(?:body|condition|calls|to_apply|branch_computations|called_computations)="
    r"(?:\{([^}]*)\}|%?([\w.\-]+))"
)


@dataclasses.dataclass(frozen=True)
class Array:
    """The type of one array."""

    dtype: str
    shape: tuple[int, ...]
    near: bool = False
    """Whether it lies in a memory beside the cores, and not in the device's."""

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.size * _BYTES.get(self.dtype, 1)


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line."""

    name: str
    opcode: str
    results: tuple[Array, ...]
    operands: tuple[str, ...]
    attributes: str
    """All that stands behind the operands."""
    root: bool

    @property
    def op_name(self) -> str:
        """Where in the traced program it comes from; empty if nobody knows."""
        found = re.search(r'op_name="([^"]*)"', self.attributes)
        return found[1] if found else ""

    @property
    def cycles(self) -> int:
        """What a TPU's compiler expects it to take; 0 where it says nothing."""
        found = re.search(r'"estimated_cycles":"(\d+)"', self.attributes)
        return int(found[1]) if found else 0

    @property
    def target(self) -> str:
        """Of a custom call."""
        found = re.search(r'custom_call_target="([^"]*)"', self.attributes)
        return found[1] if found else ""

    @property
    def bytes(self) -> int:
        """Of its results."""
        return sum(array.bytes for array in self.results)

    def attribute(self, name: str) -> str | None:
        """The computation or number behind `name=`."""
        found = re.search(rf"\b{name}=%?([\w.\-]+)", self.attributes)
        return found[1] if found else None

    @property
    def called(self) -> tuple[str, ...]:
        """The computations it names."""
        names: list[str] = []
        for several, one in _CALLED.findall(self.attributes):
            names += re.findall(r"[\w.\-]+", several) if several else [one]
        return tuple(names)


@dataclasses.dataclass(frozen=True)
class Computation:
    """A list of instructions, by name and in order."""

    name: str
    instructions: Mapping[str, Instruction]

    def __iter__(self) -> Iterator[Instruction]:
        return iter(self.instructions.values())

    @functools.cached_property
    def root(self) -> Instruction:
        return next(each for each in self if each.root)

    @functools.cached_property
    def parameters(self) -> dict[int, Instruction]:
        """By number."""
        return {
            int(each.operands[0]): each for each in self if each.opcode == "parameter"
        }

    def users(self, name: str) -> Sequence[Instruction]:
        """The instructions that read the one of that name."""
        return self._users.get(name, ())

    @functools.cached_property
    def _users(self) -> dict[str, list[Instruction]]:
        found: dict[str, list[Instruction]] = {}
        for each in self:
            for name in dict.fromkeys(each.operands):
                found.setdefault(name, []).append(each)
        return found

    @functools.cached_property
    def picked(self) -> dict[str, int | None]:
        """Bytes of its values that others read, as far as that is known already."""
        return {}


@dataclasses.dataclass(frozen=True)
class Module:
    """A whole program."""

    computations: Mapping[str, Computation]
    entry: Computation


def parse(text: str) -> Module:
    """The program that a compiler's text says.

    Raises: ValueError if it has no entry.
    """
    computations: dict[str, Computation] = {}
    entry: str | None = None
    current: dict[str, Instruction] | None = None
    for line in text.splitlines():
        if current is None:
            head = _HEAD.match(line)
            if head and not line.startswith("HloModule"):
                current = {}
                computations[head[2]] = Computation(head[2], current)
                entry = head[2] if head[1] else entry
        elif line.startswith("}"):
            current = None
        elif (made := _instruction(line)) is not None:
            current[made.name] = made
    if entry is None:
        raise ValueError("no entry computation")
    return Module(computations, computations[entry])


def _instruction(line: str) -> Instruction | None:
    head = _LINE.match(line)
    if head is None:
        return None
    rest = line[head.end() :]
    # The type: one array, or several in parentheses; layouts have parentheses too.
    end = _closing(rest, 0) if rest.startswith("(") else rest.find(" ")
    opcode = _OPCODE.match(rest, end)
    if opcode is None:
        return None
    close = _closing(rest, opcode.end() - 1)
    inside = rest[opcode.end() : close - 1]
    operands = (
        (inside,)
        if opcode[1] in ("parameter", "constant")
        else tuple(re.findall(r"%([\w.\-]+)", inside))
    )
    types = tuple(
        Array(dtype, tuple(int(n) for n in shape.split(",") if n), bool(layout))
        for dtype, shape, layout in _ARRAY.findall(rest[:end])
    )
    return Instruction(head[2], opcode[1], types, operands, rest[close:], bool(head[1]))


def _closing(text: str, start: int) -> int:
    """The place behind the parenthesis that closes the one at `start`."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place + 1
    return len(text)
