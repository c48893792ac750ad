"""What a compiler expects of a layout: enough to tell which of two is faster."""

import dataclasses
from typing import Literal

from jmer.targets.cost import Costs, costs
from jmer.targets.program_text import parse

LAUNCH = 5e6
"""Bytes that a GPU moves while it starts one kernel: two microseconds of 2.5 TB/s."""
GROUPED = 1.25
"""Bytes that it moves during a multiplication of a convolution in groups, of which an
H100 was seen to do 1.6e12 to 3.7e12 a second (`experiments/benchmarks/h100.md`)."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Of an epoch of all tasks on the fullest device, with its part of an evaluation;
    comparable among layouts of one machine only."""

    amount: float
    unit: Literal["cycles", "bytes"]
    """Cycles where the compiler says them, as those of TPUs do; else bytes moved, with
    what kernels take to start and convolutions in groups take longer."""


def estimate(
    text: str, *, share: float = 1.0, eval_every: int = 1, chunks: float = 1.0
) -> Estimate:
    """Of a compiled training with `share` of the steps of an epoch, which is run as
    often as there are `chunks`."""
    return of_costs(costs(parse(text), epochs=1), share, eval_every, chunks)


def of_costs(
    found: Costs, share: float = 1.0, eval_every: int = 1, chunks: float = 1.0
) -> Estimate:
    """That of the costs of a call of one epoch."""
    unit: Literal["cycles", "bytes"] = "cycles" if found.cycles else "bytes"
    step, epoch, evaluation = (_amount(found, part, unit) for part in _PARTS)
    amount = step / share + epoch + evaluation / eval_every
    return Estimate(amount * chunks, unit)


_PARTS = ("step", "epoch", "evaluation")


def _amount(found: Costs, part: str, unit: str) -> float:
    cost = getattr(found, part)
    if unit == "cycles":
        return cost.cycles
    return cost.bytes + LAUNCH * cost.kernels + GROUPED * cost.grouped
