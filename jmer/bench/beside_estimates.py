"""What compilers expected of programs beside what a real device took for them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jmer.bench.kept import TABLE_SHAPE
from jmer.bench.results import BENCHMARK_SHAPE, read_sort
from jmer.errors import JmerError
from jmer.files.shape import checked
from jmer.targets import machines
from jmer.text import visible

PROGRAM = ("batches", "dtype", "lowering", "chunk", "devices")
"""What makes two records of an experiment those of one program."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """A program that was estimated and measured, for a fold and epoch."""

    label: str
    estimated: float  # seconds, at the clock or bandwidth of the chip's maker
    measured: float  # seconds, the median

    @property
    def ratio(self) -> float:
        return self.measured / self.estimated


def pairs(table: Path, measurements: Sequence[Path]) -> list[Pair]:
    """The programs that are in a table of `jmer bench --target` and in measurements of
    `jmer bench`: of one experiment, laid out alike.

    Raises: JmerError if there is none, or a file is something else.
    """
    records = checked(read_sort("targets", table), TABLE_SHAPE, table)["targets"]
    found = []
    for file in measurements:
        content = checked(read_sort("cells", file), BENCHMARK_SHAPE, file)
        name = content.get("name")
        for cell in content["cells"]:
            for record in records:
                if record["experiment"] == name and _same(record, cell):
                    median = cell["seconds_per_fold_epoch"]["median"]
                    label = f"{name}, {record['target']}: {cell['label']}"
                    found.append(Pair(label, seconds(record), median))
    if not found:
        names = ", ".join(str(file) for file in measurements)
        raise JmerError(
            f"{table} and {names} have no program in common: of one experiment, with "
            f"the same {', '.join(PROGRAM)}. Measure with --chunks, --lowerings, "
            f"--dtypes and --devices as in the table."
        )
    return found


def seconds(record: Mapping[str, Any]) -> float:
    """What a fold and epoch would take if all devices kept to their compiler's word: a
    TPU's cycles at its clock; of a GPU, bytes at the bandwidth of its memory."""
    chip = machines.target(record["target"]).chip
    rate = chip.clock if record["rank_unit"] == "cycles" else chip.bandwidth
    return record["rank"] / rate / record["devices"]


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's: 1 if both have the same order, -1 if the opposite one; equal values
    share their ranks. nan for fewer than two different values."""
    ranks = [_ranks(np.asarray(values)) for values in (a, b)]
    spread = [r - r.mean() for r in ranks]
    norm = float(np.sqrt((spread[0] ** 2).sum() * (spread[1] ** 2).sum()))
    return float(spread[0] @ spread[1]) / norm if norm else float("nan")


def show(found: Sequence[Pair], console: Console) -> None:
    """A table for people, the smallest ratio first."""
    table = Table(
        "program", "ms estimated", "ms measured", "measured / estimated", box=None
    )
    for pair in sorted(found, key=lambda p: p.ratio):
        table.add_row(
            escape(visible(pair.label)),
            f"{pair.estimated * 1e3:.3g}",
            f"{pair.measured * 1e3:.3g}",
            f"{pair.ratio:.2f}",
        )
    console.print(table)
    ratios = np.array([pair.ratio for pair in found])
    order = rank_correlation(
        [pair.estimated for pair in found], [pair.measured for pair in found]
    )
    told = "not to be told of one" if np.isnan(order) else f"{order:.2f}"
    console.print(
        f"{len(found)} programs, ms a fold and epoch. Ratio: median "
        f"{np.median(ratios):.2f}, {ratios.min():.2f} to {ratios.max():.2f}; rank "
        f"correlation {told}."
    )


def _same(record: Mapping[str, Any], cell: Mapping[str, Any]) -> bool:
    return all(record.get(part) == cell.get(part) for part in PROGRAM)


def _ranks(values: np.ndarray) -> np.ndarray:
    """From 0; equal values have the mean of theirs."""
    below = (values[:, None] > values).sum(1)
    equal = (values[:, None] == values).sum(1)
    return below + (equal - 1) / 2
