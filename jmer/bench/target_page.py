"""A table of compiled programs as a page in Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jmer.files import write_text
from jmer.text import duration

HEAD = (
    *("experiment", "machine", "tasks", "layout", "GB a device", "tasks that fit"),
    *("kernels", "GB moved", "cycles", "of peak", "fold and epoch", "whole run"),
    "compiled",
)
DEAREST = 3
TABLE = "<!-- table -->"
"""Around the table, for pages that include it alone."""
PREFACE = """\
All figures are **estimates of compilers**: no such machine was at hand, and nothing
here was timed. Kernels, GB moved, cycles and the share of the matrix unit's peak are
those of one training step of all tasks side by side; a fold and epoch has its
evaluation in it, in cycles of a device; the whole run is on all its devices, at the
clock by which they reach their peak. Compilers for GPUs say no cycles. Compiling took
what it took on the machine that made this page.
"""


def write_page(file: Path, content: Mapping[str, Any]) -> None:
    """Writes what `Kept.finish` returns; again with the same content, the same page.

    Raises: JmerError if it cannot be written.
    """
    write_text(file, page(content))


def page(content: Mapping[str, Any]) -> str:
    """The page, with where its figures are from."""
    records: Sequence[Mapping[str, Any]] = content["targets"]
    rows = "\n".join(_row(cells) for cells in _rows(records))
    parts = [
        "# Programs for machines that are not here",
        PREFACE + "\n" + _origin(content["versions"], records),
        f"{TABLE}\n\n{_row(HEAD)}\n{_row(['---'] * len(HEAD))}\n{rows}\n\n{TABLE}",
        *_best(records),
        "## The dearest operations of a step",
        "\n".join(_dearest(records)),
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _origin(versions: Mapping[str, str], records: Sequence[Mapping[str, Any]]) -> str:
    """Date, versions and revision, of each that there is."""
    lines = []
    made = {(r["created"][:10], r["revision"], _makers(r, versions)) for r in records}
    for created, revision, makers in sorted(made, key=str):
        lines.append(f"- {created}, revision {revision or 'unknown'}, {makers}")
    return "\n".join(lines)


def _makers(record: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    """What made a record; earlier ones say only their compilers."""
    by = record.get("made_by", versions)
    compilers = (f"{name} {text}" for name, text in record["compilers"].items())
    return ", ".join((f"jmer {by['jmer']}", f"Python {by['python']}", *compilers))


def _rows(records: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    for each in records:
        layout = f"{each['devices']} x {each['chunk']} {each['lowering']}"
        estimated = each["estimated_cycles_step"] is not None
        yield [
            each["experiment"],
            each["target"],
            f"{each['tasks']:,} {each['batches']}",
            f"{layout} {each['dtype']}",
            f"{gigabytes(each['bytes_per_device'])} of "
            f"{gigabytes(each['memory_per_device'])}",
            f"{each['tasks_that_fit']:,}",
            f"{each['kernels']:,}",
            gigabytes(each["bytes_moved_step"]),
            f"{each['estimated_cycles_step']:,}" if estimated else "",
            f"{each['estimated_share_of_peak']:.1%}" if estimated else "",
            f"{each['estimated_cycles_fold_epoch']:,}" if estimated else "",
            duration(each["estimated_seconds_run"]) if estimated else "",
            f"{each['compile_seconds']:.0f} s",
        ]


def _best(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The layouts of each program that was compiled in several, the best first, by what
    the planner goes by."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for each in records:
        same = (*(each[name] for name in ("experiment", "target", "batches", "dtype")),)
        groups.setdefault(same, []).append(each)
    several = {same: found for same, found in groups.items() if len(found) > 1}
    if not several:
        return
    yield "## Layouts, the best first"
    lines = []
    for same, found in several.items():
        ordered = sorted(found, key=lambda r: r["rank"])
        shown = ", ".join(
            f"{r['devices']} x {r['chunk']} {r['lowering']} "
            f"{r['rank'] / ordered[0]['rank']:.2f}"
            for r in ordered
        )
        unit = ordered[0]["rank_unit"]
        lines.append(f"- {', '.join(same)}: {shown} (times the best's {unit})")
    yield "\n".join(lines)


def _dearest(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for each in records:
        yield f"- {each['experiment']}, {each['target']}"
        for one in each["dearest"][:DEAREST]:
            unit = "cycles" if "cycles" in one else "bytes"
            yield f"  - `{one['operation']}`: {one[unit]:,} {unit}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def gigabytes(size: float) -> str:
    """Bytes in GB, to three digits."""
    return f"{size / 1e9:.3g}"
