"""Reports of finished runs, as Markdown and as one HTML file that needs nothing."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from jmer.errors import JmerError
from jmer.files import write_text
from jmer.papers import PaperTable
from jmer.report import tables
from jmer.report.against import against_first, paired_tables
from jmer.report.comparison import (
    SCORES,
    comparison_page,
    kind_of_all,
    run_names,
    runs_table,
)
from jmer.report.methods import require_no_run
from jmer.report.one_run import run_page
from jmer.report.render import latex
from jmer.report.render.blocks import Section
from jmer.report.render.pages import write_page
from jmer.report.reproduction import Readings, reproduction_page
from jmer.report.variants import each_variant
from jmer.runs.folder import (
    COMPARISON_CSV,
    COMPARISON_TEX,
    REPORT,
    SCORES_CSV,
    SCORES_TEX,
)
from jmer.runs.run import read_run

__all__ = ["write_comparison", "write_report", "write_table"]


def write_report(run_dir: Path) -> None:
    """Writes the report of a run into its directory.

    That is `report.md`, `report.html`, `figures/*.png`, and the scores as `scores.csv`
    and `scores.tex`.

    Raises: JmerError if it is no finished run, or cannot be written.
    """
    run = read_run(run_dir)
    write_page(run_page(run), run_dir, REPORT)
    write_text(run_dir / SCORES_CSV, tables.scores_csv(run))
    scores = tables.scores_table(run)
    write_text(run_dir / SCORES_TEX, latex.render([(run.experiment["name"], scores)]))


def write_comparison(
    run_dirs: Sequence[Path],
    out: Path,
    *,
    names: Sequence[str] | None = None,
    title: str | None = None,
    more: tuple[Section, ...] = (),
    variants: bool = False,
    unfinished: Sequence[Path] = (),
    own: bool = False,
) -> str:
    """Writes the comparison of runs into `out`, and returns its Markdown.

    That is `report.md`, `report.html`, `comparison.csv` and `comparison.tex`, with a
    row per run and its paired differences from the first. `names` are those of the runs
    (default: of their experiments); sections of `more` follow the scores. With
    `variants` each variant of each run is compared, not the first of each alone. Runs
    that are `unfinished` are named, and left out. `out` is theirs, as the folder of a
    sweep is, or else (not `own`) what is there of something else stays.

    Raises: JmerError if one is no finished run, or if `out` is a run itself, whose
    own report would be lost; UsageError if it has files of these names that are of
    no comparison.
    """
    if not run_dirs:
        raise JmerError("there is no run to compare: name one or more run directories.")
    require_no_run(out)
    runs = [read_run(folder) for folder in run_dirs]
    kind_of_all(runs)
    names = run_names(runs) if names is None else names
    if len(set(names)) != len(run_dirs):
        raise JmerError(f"every run needs a name of its own, not {', '.join(names)}.")
    each = [(name, run) for name, run in zip(names, runs, strict=True)]
    if variants:
        each = [one for pair in each for one in each_variant(*pair)]
    against = against_first([n for n, _ in each], [run.shown for _, run in each])
    page = comparison_page(names, runs, against, each, unfinished)
    at = 1 + [section.title for section in page.sections].index(SCORES)
    sections = (*page.sections[:at], *more, *page.sections[at:])
    page = dataclasses.replace(page, title=title or page.title, sections=sections)
    shown = [("Scores", runs_table(names, runs))]
    shown += [
        (f"Paired differences from {each[0][0]}: {what}", table)
        for what, table in paired_tables(against)
    ]
    beside = {
        COMPARISON_CSV: tables.comparison_csv(each, against),
        COMPARISON_TEX: latex.render(shown),
    }
    by = None if own else "report"
    return write_page(page, out, REPORT, beside=beside, by=by)


def write_table(
    table: PaperTable,
    run_dirs: Sequence[Path],
    out: Path,
    *,
    other_data: bool = False,
    read: Readings | None = None,
) -> str:
    """Writes a paper's table with the runs that are its rows, and returns the Markdown.
    `read` says how the rows were read (`jmer.sweep.readings`).

    Raises: JmerError as `write_comparison`.
    """
    require_no_run(out)
    page = reproduction_page(table, run_dirs, other_data=other_data, read=read)
    return write_page(page, out, REPORT, by="report")
