"""Convolutions in groups, which a GPU's library is slow at."""

import math
import re

from jmer.targets.program_text import Array, Computation, Instruction

_CONVOLUTION = re.compile(r"__cudnn\$conv(BackwardInput|BackwardFilter|.*Forward)")


def grouped_multiplications(where: Computation, instruction: Instruction) -> int:
    """Multiplications of a convolution of cuDNN that has several groups; else 0."""
    kind = _CONVOLUTION.match(instruction.target)
    groups = instruction.attribute("feature_group_count")
    if kind is None or groups is None or int(groups) < 2:
        return 0
    first, second = (_array(where, name) for name in instruction.operands[:2])
    result = instruction.results[0]
    match kind[1]:
        case "BackwardInput":
            outputs, kernel = first, second
        case "BackwardFilter":
            outputs, kernel = second, result
        case _:
            outputs, kernel = result, second
    # Each output is a sum over the window and the channels of its group.
    labels = re.search(r"dim_labels=\w+?_(\w+)->", instruction.attributes)
    if labels is None or outputs is None or kernel is None:
        return 0
    sides = zip(labels[1], kernel.shape, strict=True)
    return outputs.size * math.prod(n for label, n in sides if label != "o")


def _array(where: Computation, name: str) -> Array | None:
    found = where.instructions.get(name)
    return found.results[0] if found and found.results else None
