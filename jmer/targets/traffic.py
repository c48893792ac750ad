"""How much of their operands the operations of a compiled program read."""

from jmer.targets.program_text import Computation, Instruction, Module

FREE = frozenset(
    (
        *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while"),
        *("call", "conditional", "after-all", "partition-id", "replica-id"),
        *("opt-barrier", "add-dependency", "domain", "iota"),
    )
)
"""Operations that move nothing themselves."""
_FUSIONS = ("fusion", "fusion-start")
"""The second works beside others, and gives its operands back beside its result."""
_PICKING = ("dynamic-slice", "slice", "gather")
# Worked out for those elements alone that the next operation asks for.
_ON_DEMAND = frozenset(
    (
        *("bitcast", "reshape", "transpose", "convert", "copy", "broadcast", "reverse"),
        *("bitcast-convert", "negate", "abs", "add", "subtract", "multiply", "select"),
        *("and", "or", "xor", "compare", "divide", "maximum", "minimum", "concatenate"),
        *("shift-right-logical", "shift-left", "pad", "exponential", "clamp"),
    )
)


def is_free(instruction: Instruction) -> bool:
    """Whether an operation is none to the device: it moves and computes nothing, or was
    counted where it started."""
    return (
        instruction.opcode in FREE
        or instruction.opcode.endswith(("-done", "-update"))
        or instruction.target == "AllocateBuffer"
    )


def bytes_moved(module: Module, where: Computation, instruction: Instruction) -> int:
    """Bytes between the device's memory and an operation: what it reads, and what it
    writes. Arrays that lie beside the cores are left out."""
    if is_free(instruction):
        return 0
    if instruction.opcode in ("copy-start", "slice-start"):
        # The result names the operand, then what is made of it.
        made = instruction.results[min(1, len(instruction.results) - 1)]
        return made.bytes * (1 if made.near else 2)
    total = _written(module, where, instruction)
    for place, name in enumerate(instruction.operands):
        if (operand := where.instructions.get(name)) is not None:
            far = sum(a.bytes for a in operand.results if not a.near)
            part = bytes_read(module, instruction, place)
            total += far if part is None else min(far, part)
    return total


def reads_whole(
    module: Module, where: Computation, instruction: Instruction, size: int
) -> bool:
    """Whether an operation reads all of an operand of so many bytes or more."""
    if is_free(instruction):
        return False
    for place, name in enumerate(instruction.operands):
        operand = where.instructions.get(name)
        if operand is None or operand.bytes < size:
            continue
        part = bytes_read(module, instruction, place)
        if part is None or part >= operand.bytes:
            return True
    return False


def bytes_read(module: Module, instruction: Instruction, place: int) -> int | None:
    """Bytes of its operand number `place` that an operation reads; None for all."""
    if instruction.opcode in _PICKING:
        return instruction.bytes if place == 0 else None
    if instruction.opcode == "dynamic-update-slice":
        return 0 if place == 0 else None
    if instruction.opcode in _FUSIONS and instruction.called:
        inside = module.computations[instruction.called[0]]
        if place in inside.parameters:
            return _picked(module, inside, inside.parameters[place])
    return None


def _picked(module: Module, inside: Computation, value: Instruction) -> int | None:
    """Bytes of a value within a fusion that its users read; None for all."""
    # Once for each: the ways from a value to the result can be more than can be walked.
    if value.name not in inside.picked:
        inside.picked[value.name] = _picked_anew(module, inside, value)
    return inside.picked[value.name]


def _picked_anew(module: Module, inside: Computation, value: Instruction) -> int | None:
    total = 0
    if value.root:
        return None
    for user in inside.users(value.name):
        place = user.operands.index(value.name)
        part = bytes_read(module, user, place)
        if part is None and user.opcode in _ON_DEMAND:
            part = _picked(module, inside, user)
        if part is None:
            return None
        total += part
    return total


def _written(module: Module, where: Computation, instruction: Instruction) -> int:
    """Bytes that an operation writes: of an array changed in place, the new part."""
    last = instruction
    if instruction.opcode in _FUSIONS and instruction.called:
        where = module.computations[instruction.called[0]]
        last = where.root
    if last.opcode == "dynamic-update-slice":
        update = where.instructions.get(last.operands[1])
        if update is not None:
            return update.bytes
    results = (
        last.results if instruction.opcode == "fusion-start" else instruction.results
    )
    if instruction.opcode == "custom-call" and len(results) > 1:
        # A library's scratch memory is said to be a result, of untyped bytes.
        results = tuple(a for a in results if (a.dtype, len(a.shape)) != ("s8", 1))
    return sum(array.bytes for array in results if not array.near)
