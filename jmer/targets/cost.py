"""What a compiled program is expected to take: cycles, kernels and bytes, by part."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator

from jmer.targets.groups import grouped_multiplications
from jmer.targets.program_text import Computation, Instruction, Module
from jmer.targets.scopes import EPOCHS, EVALUATION, STEPS, most_turns
from jmer.targets.traffic import bytes_moved, is_free

COLLECTIVES = (
    *("all-reduce", "all-gather", "reduce-scatter", "all-to-all"),
    *("collective-permute", "collective-broadcast", "ragged-all-to-all"),
)


@dataclasses.dataclass(frozen=True)
class Loop:
    """A loop in a compiled program."""

    op_name: str
    turns: int | None
    """None if its bound is computed, and nothing says how large it can be."""


@dataclasses.dataclass(frozen=True)
class Placed:
    """An operation of a program, with the loops around it, from the outside in."""

    instruction: Instruction
    computation: Computation
    loops: tuple[Loop, ...]

    def within(self, scope: str) -> bool:
        """Whether it belongs to the body of the loop in that scope, which the compiler
        may have dissolved if it had one turn."""
        inside = re.compile(rf"\b{scope}\b[^/]*/while/body")
        loop = re.compile(rf"\b{scope}\b[^/]*/while$")
        return bool(inside.search(self.instruction.op_name)) or any(
            loop.search(each.op_name) or inside.search(each.op_name)
            for each in self.loops
        )

    def of(self, scope: str) -> bool:
        """Whether it, or a loop around it, stems from that scope."""
        word = re.compile(rf"\b{scope}\b")
        names = (self.instruction.op_name, *(loop.op_name for loop in self.loops))
        return any(word.search(name) for name in names)


@dataclasses.dataclass
class Cost:
    """A sum over operations, each as often as it runs."""

    cycles: int = 0
    kernels: int = 0
    bytes: int = 0
    grouped: int = 0
    """Multiplications of a GPU's convolutions in groups."""
    cycles_of: Counter[str] = dataclasses.field(default_factory=Counter)
    """By operation."""
    bytes_of: Counter[str] = dataclasses.field(default_factory=Counter)

    def add(self, placed: Placed, module: Module, times: int) -> None:
        instruction = placed.instruction
        if is_free(instruction):
            return
        moved = bytes_moved(module, placed.computation, instruction) * times
        cycles = instruction.cycles * times
        self.cycles += cycles
        self.kernels += times
        self.bytes += moved
        of_groups = grouped_multiplications(placed.computation, instruction)
        self.grouped += of_groups * times
        name = _described(instruction)
        self.cycles_of[name] += cycles
        self.bytes_of[name] += moved


@dataclasses.dataclass(frozen=True)
class Costs:
    """Those of one call of a training's program on one device."""

    step: Cost
    epoch: Cost
    """Of epochs, outside their steps."""
    evaluation: Cost
    once: Cost
    """The rest: what is done once a call, or for each chunk of tasks."""
    unknown: tuple[str, ...]
    """Loops that count as one turn, since nothing says how many they have."""

    @property
    def parts(self) -> tuple[Cost, ...]:
        return self.step, self.epoch, self.evaluation, self.once

    @property
    def cycles(self) -> int:
        return sum(each.cycles for each in self.parts)

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.parts)

    @property
    def kernels(self) -> int:
        return sum(each.kernels for each in self.parts)


def costs(module: Module, epochs: int) -> Costs:
    """Adds up a training's program whose calls train for so many epochs."""
    parts = {name: Cost() for name in ("step", "epoch", "evaluation", "once")}
    unknown = set()
    for placed in operations(module):
        times = 1
        for loop in placed.loops:
            if re.search(rf"\b{EPOCHS}\b[^/]*/while$", loop.op_name):
                times *= epochs
            elif loop.turns is None:
                unknown.add(loop.op_name)
            else:
                times *= loop.turns
        parts[_part(placed)].add(placed, module, times)
    return Costs(**parts, unknown=tuple(sorted(unknown)))


def collectives(module: Module) -> list[str]:
    """Names of the operations in which devices would talk to one another."""
    return sorted(
        {
            each.opcode.removesuffix("-start").removesuffix("-done")
            for computation in module.computations.values()
            for each in computation
            if each.opcode.startswith(COLLECTIVES)
        }
    )


def operations(module: Module) -> Iterator[Placed]:
    """All that runs, with the loops around it; fusions are one operation."""
    yield from _walk(module, module.entry, ())


def _part(placed: Placed) -> str:
    if placed.within(STEPS):
        return "step"
    if placed.within(EPOCHS):
        return "epoch"
    return "evaluation" if placed.of(EVALUATION) else "once"


def _walk(
    module: Module, computation: Computation, loops: tuple[Loop, ...]
) -> Iterator[Placed]:
    for each in computation:
        yield Placed(each, computation, loops)
        if each.opcode == "while":
            body = each.attribute("body")
            loop = Loop(each.op_name, _turns(module, computation, each))
            if body is not None:
                yield from _walk(module, module.computations[body], (*loops, loop))
        elif each.opcode in ("call", "conditional"):
            for name in each.called:
                yield from _walk(module, module.computations[name], loops)


def _turns(module: Module, around: Computation, loop: Instruction) -> int | None:
    """How often a loop runs: as its compiler, its condition or its scope says."""
    if found := re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.attributes):
        return int(found[1])
    bound = _bound(module, around, loop)
    if bound is not None:
        return bound
    own = loop.op_name.rsplit("/body/", 1)[-1]
    said = [most_turns(word) for word in re.findall(r"\w+", own)]
    return next((turns for turns in reversed(said) if turns is not None), None)


def _bound(module: Module, around: Computation, loop: Instruction) -> int | None:
    """The constant that a loop counts up to, from zero."""
    name = loop.attribute("condition")
    if name is None:
        return None
    condition = module.computations[name]
    last = condition.root
    sides = [condition.instructions.get(operand) for operand in last.operands]
    if last.opcode == "fusion" and last.called:
        last = module.computations[last.called[0]].root
    if last.opcode != "compare" or "direction=LT" not in last.attributes:
        return None
    for side in sides:
        if side is None:
            continue
        if side.opcode == "constant":
            return int(side.operands[0])
        index = side.attribute("index")
        start = around.instructions.get(loop.operands[0])
        if index and start is not None and start.opcode == "tuple":
            value = around.instructions.get(start.operands[int(index)])
            # The counter starts at a constant as well: zero.
            constant = value is not None and value.opcode == "constant"
            if value is not None and constant and int(value.operands[0]) > 0:
                return int(value.operands[0])
    return None


def _described(instruction: Instruction) -> str:
    """What an operation is, and where it comes from, for people."""
    words = instruction.op_name.split("/")
    origin = "/".join(word for word in words if word not in _PLUMBING)
    shape = max(instruction.results, key=lambda a: a.bytes, default=None)
    size = f" {shape.dtype}{list(shape.shape)}" if shape else ""
    kind = instruction.target or instruction.name.rstrip("0123456789.")
    return f"{kind}{size} {origin}".strip()


_PLUMBING = frozenset(
    ("jit(_advance_device)", "shard_map", "eval_jaxpr", "while", "body", "closed_call")
)
