"""What compilers said of programs for other machines, as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from jmer.text import duration


def show(records: Sequence[Mapping[str, Any]], console: Console) -> None:
    """A table for people; times and shares in it are the compilers' estimates."""
    table = Table(
        "target", "network", "tasks", "layout", "GB of", "fit", "kernels", "GB moved",
        "est. cycles", "of peak", "a fold-epoch", "all", "compiled", box=None,
    )  # fmt: skip
    for each in records:
        table.add_row(
            each["target"],
            each["network"],
            f"{each['tasks']} {each['batches']}",
            f"{each['devices']} x {each['chunk']} {each['lowering']} {each['dtype']}",
            f"{each['bytes_per_device'] / 1e9:.3g} "
            f"of {each['memory_per_device'] / 1e9:.3g}",
            f"{each['tasks_that_fit']:,}",
            f"{each['kernels']:,}",
            f"{each['bytes_moved_step'] / 1e9:.3g}",
            *_estimates(each),
            f"{each['compile_seconds']:.0f} s",
        )
    console.print(table)
    for each in records:
        name = f"{each['target']}, {each['network']}"
        if each["collectives"]:
            console.print(
                f"error: {name}: devices talk: {', '.join(each['collectives'])}"
            )
        if each["loops_of_unknown_length"]:
            console.print(
                f"{name}: counted as one turn, since their length is not known: "
                f"{', '.join(each['loops_of_unknown_length'])}"
            )
    if any(each["estimated_cycles_step"] is not None for each in records):
        console.print(
            "Cycles, shares and times are the compiler's estimates of a step, nothing "
            "was measured.",
            style="dim",
        )
    _show_dearest(records, console)


def _estimates(each: Mapping[str, Any]) -> tuple[str, str, str, str]:
    if each["estimated_cycles_step"] is None:
        return "", "", "", ""
    return (
        f"{each['estimated_cycles_step']:,}",
        f"{each['estimated_share_of_peak']:.1%}",
        f"{each['estimated_cycles_fold_epoch']:,}",
        duration(each["estimated_seconds_run"]),
    )


def _show_dearest(records: Sequence[Mapping[str, Any]], console: Console) -> None:
    table = Table("target", "network", "dearest operations of a step", "", box=None)
    for each in records:
        for place, one in enumerate(each["dearest"][:4]):
            known = "cycles" if "cycles" in one else "bytes"
            table.add_row(
                "" if place else each["target"],
                "" if place else each["network"],
                one["operation"],
                f"{one[known]:,} {known}",
            )
    console.print(table)
