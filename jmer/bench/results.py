"""Benchmarks as JSON, as a table, and one beside another."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jmer.bench.ceilings import Ceilings
from jmer.bench.timing import TimedProgram, memory_slope, spread
from jmer.errors import JmerError
from jmer.experiment import Experiment
from jmer.files import read_json
from jmer.files.shape import Shape, checked, each, fields, positive, text
from jmer.runs.environment import environment
from jmer.text import duration, visible

SCHEMA = 1
TOLERANCE = 1.1  # slower by more than this is a regression, if the spreads agree

SORTS = {
    "cells": "what jmer bench FILE --json OUT timed",
    "targets": "what compilers say (jmer bench FILE --target MACHINE)",
}
SPREAD = ("min", "median", "max")
TIMED = ("label", "seconds_per_fold_epoch")
BENCHMARK_SHAPE: Shape = fields(
    {
        "cells": each(
            fields(
                {
                    "label": text,
                    "seconds_per_fold_epoch": fields(
                        dict.fromkeys(SPREAD, positive), SPREAD
                    ),
                },
                TIMED,
            )
        )
    },
    ("cells",),
)
"""Of a file that is compared with another."""


def summary(
    name: str,
    experiment: Experiment,
    cells: Sequence[TimedProgram],
    peers: Mapping[str, Sequence[float]],
    ceilings: Ceilings,
) -> dict[str, Any]:
    """All that was measured, as JSON values."""
    return {
        "schema": SCHEMA,
        "name": name,
        **environment(),
        "network": experiment.model.name,
        "batch_size": experiment.batch_size,
        "epochs": experiment.epochs,
        "ceilings": {
            "flops": ceilings.flops,
            "flops_bfloat16": ceilings.flops_bfloat16,
            "bytes_per_second": ceilings.bytes,
        },
        "cells": [_cell(cell, experiment, peers, ceilings) for cell in cells],
        "peers": {
            name: {"seconds_per_fold_epoch": spread(seconds)}
            for name, seconds in peers.items()
        },
        "memory_bytes_per_task": memory_slope(cells),
        "peak_memory_bytes": _peak(),
    }


def _cell(
    cell: TimedProgram,
    experiment: Experiment,
    peers: Mapping[str, Sequence[float]],
    ceilings: Ceilings,
) -> dict[str, Any]:
    seconds = statistics.median(cell.seconds)
    best = ceilings.flops_bfloat16 if cell.dtype == "bfloat16" else ceilings.flops
    return {
        "label": cell.label,
        "folds": cell.pack,
        "devices": cell.layout.devices,
        "chunk": cell.layout.chunk,
        "lowering": cell.layout.lowering,
        "batches": cell.batches,
        "dtype": cell.dtype,
        "seconds_per_fold_epoch": spread(cell.seconds),
        "clips_per_second": cell.clips / seconds,
        "folds_per_hour": 3600 / (seconds * experiment.epochs),
        "full_protocol_seconds": seconds * experiment.epochs * cell.pack,
        "compile_seconds": cell.probe.compile_seconds,
        "bytes": cell.probe.bytes,
        "flops_per_second": cell.flops / seconds,
        "share_of_flops": cell.flops / seconds / best,
        "ratios": {
            name: spread([p / c for p, c in zip(times, cell.seconds, strict=True)])
            for name, times in peers.items()
        },
    }


def _peak() -> int | None:
    """The most memory that a device has held, where its runtime counts."""
    stats = jax.local_devices()[0].memory_stats() or {}
    return stats.get("peak_bytes_in_use")


def show(results: Mapping[str, Any], console: Console) -> None:
    """A table for people."""
    ceilings = results["ceilings"]
    console.print(
        f"{results['name']}: {results['device']['kind']}, jax "
        f"{results['versions']['jax']}; ceilings {ceilings['flops'] / 1e9:.0f} GFLOP/s "
        f"float32, {ceilings['flops_bfloat16'] / 1e9:.0f} bfloat16, "
        f"{ceilings['bytes_per_second'] / 1e9:.0f} GB/s copied"
    )
    table = Table(
        "folds", "batches", "layout", "ms a fold-epoch", "clips/s", "folds/h", "all",
        "compile", "MB", "GFLOP/s", "of ceiling", box=None,
    )  # fmt: skip
    for cell in results["cells"]:
        table.add_row(
            str(cell["folds"]),
            cell["batches"],
            f"{cell['devices']} x {cell['chunk']} {cell['lowering']} {cell['dtype']}",
            _range(cell["seconds_per_fold_epoch"], 1e3),
            f"{cell['clips_per_second']:,.0f}",
            f"{cell['folds_per_hour']:,.0f}",
            duration(cell["full_protocol_seconds"]),
            f"{cell['compile_seconds']:.1f} s",
            f"{cell['bytes'] / 1e6:.0f}",
            f"{cell['flops_per_second'] / 1e9:.1f}",
            f"{cell['share_of_flops']:.0%}",
        )
    console.print(table)
    if results["peers"]:
        _show_peers(results, console)
    if (slope := results["memory_bytes_per_task"]) is not None:
        console.print(f"memory: {slope / 1e6:.2f} MB for each further fold on a device")


def _show_peers(results: Mapping[str, Any], console: Console) -> None:
    table = Table("beside", "ms a fold-epoch", box=None)
    for number, _ in enumerate(results["cells"], start=1):
        table.add_column(f"times row {number}")
    for name, peer in results["peers"].items():
        ratios = (_range(cell["ratios"][name], 1) for cell in results["cells"])
        table.add_row(name, _range(peer["seconds_per_fold_epoch"], 1e3), *ratios)
    console.print(table)


def _range(values: Mapping[str, Any], unit: float) -> str:
    low, middle, high = (values[k] * unit for k in SPREAD)
    return f"{middle:.3g} [{low:.3g}..{high:.3g}]"


def compare(files: Sequence[Path], console: Console) -> list[str]:
    """Shows the programs that two files, old and new, have in common. Returns the
    labels of those that are slower than before by more than a tenth, and at their best
    slower than the old median.

    Raises: JmerError if they have none in common or are no benchmarks.
    """
    old, new = files
    before, after = _cells(old), _cells(new)
    common = [label for label in after if label in before]
    if not common:
        raise JmerError(f"{old} and {new} have no program in common.")
    table = Table("program", "ms before", "ms now", "now / before", "", box=None)
    slower = []
    for label in common:
        was, now = (cells[label]["seconds_per_fold_epoch"] for cells in (before, after))
        ratio = now["median"] / was["median"]
        worse = ratio > TOLERANCE and now["min"] > was["median"]
        if worse:
            slower.append(label)
        verdict = "slower" if worse else "faster" if ratio < 1 / TOLERANCE else ""
        table.add_row(
            escape(visible(label)),
            _range(was, 1e3),
            _range(now, 1e3),
            f"{ratio:.2f}",
            verdict,
        )
    console.print(table)
    return slower


def read_sort(sort: str, file: Path) -> Any:
    """What is in a file of `cells`, that were timed, or of `targets`, of which
    compilers spoke.

    Raises: JmerError if it is of the other sort, or cannot be read.
    """
    content = read_json(file)
    (other,) = SORTS.keys() - {sort}
    if isinstance(content, dict) and other in content and sort not in content:
        raise JmerError(f"{file} has {SORTS[other]}, and here goes {SORTS[sort]}.")
    return content


def _cells(file: Path) -> dict[str, Any]:
    content = read_sort("cells", file)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise JmerError(f"{file} is no benchmark of this version of jmer.")
    checked(content, BENCHMARK_SHAPE, file)
    return {cell["label"]: cell for cell in content["cells"]}
