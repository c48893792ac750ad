"""The command that reports runs, sweeps and tables of papers."""

import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import tyro

from jmer.commands.named import parts_of, tell_unfinished
from jmer.commands.parsing import note_owner, parse
from jmer.errors import UsageError
from jmer.text import visible


@dataclasses.dataclass(frozen=True)
class ReportOptions:
    """Write the report of a run or a sweep again, set several runs side by side, or a
    paper's table beside them."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories; that of a sweep stands for its finished cells."""
    out: Path | None = None
    """Folder of the comparison (report.md, report.html, comparison.csv and
    comparison.tex) or of the table (default: print it only)."""
    table: str | None = None
    """Table of a paper, as `jmer list tables` names it: its rows, and the runs that are
    these rows."""
    other_data: bool = False
    """In a table, runs on other data than the paper's too; it says so of them."""

    def __post_init__(self) -> None:
        if not self.runs and self.table is None:
            raise UsageError("jmer report needs one or more run directories.")
        if self.other_data and self.table is None:
            raise UsageError("--other-data goes with --table NAME")


def report(words: list[str]) -> int:
    options = parse(ReportOptions, "jmer report", words)
    note_owner(options.runs)
    from jmer.papers import table
    from jmer.report import write_comparison, write_report, write_table
    from jmer.report.sweep import is_sweep, write_sweep
    from jmer.runs.folder import REPORT

    runs, unfinished = _sorted(options.runs)
    with tempfile.TemporaryDirectory() as temporary:
        out = options.out or Path(temporary)
        kept = options.out
        if options.table is not None:
            # Experiments bring JAX along, and a report by itself needs none.
            from jmer.sweep.readings import readings

            wanted = table(options.table)
            text = write_table(
                *(wanted, runs, out),
                other_data=options.other_data,
                read=readings(wanted),
            )
        elif len(options.runs) == 1 and is_sweep(options.runs[0]):
            text = write_sweep(options.runs[0], options.out)
            kept = options.out or options.runs[0]
        else:
            several = options.out is not None or len(runs) > 1 or unfinished
            if several:  # first, since what is there may stay
                text = write_comparison(runs, out, unfinished=unfinished)
            for folder in runs:
                write_report(folder)
            if not several:
                text = (runs[0] / f"{REPORT}.md").read_text(encoding="utf-8")
                kept = runs[0]
    text = visible(text)
    print(on_screen(text, kept) if sys.stdout.isatty() else text)
    return 0


def _sorted(folders: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Runs and the cells of sweeps: those that have results, and those that have none
    yet. Of one run alone, or of none that is finished, what is missing is an error."""
    runs, unfinished = list[Path](), list[Path]()
    for folder in folders:
        finished, rest = parts_of(folder)
        runs, unfinished = runs + finished, unfinished + rest
    if not runs or len(folders) == 1:
        return (runs or unfinished), []
    tell_unfinished(unfinished)
    return runs, unfinished


def on_screen(text: str, kept: Path | None) -> str:
    """What fits on the terminal, and where the rest is."""
    from jmer.report.render.terminal import screen
    from jmer.runs.folder import REPORT

    rest = "All of it: add --out FOLDER, or `| less`."
    if kept is not None:
        rest = f"All of it: {kept / REPORT}.html and .md"
    width, lines = shutil.get_terminal_size((80, 24))
    # The command stands above it, and the next prompt below.
    return screen(text, rest, width=width, height=min(max(lines - 2, 16), 30))
