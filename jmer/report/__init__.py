"""Reports of finished runs, as Markdown and as one HTML file that needs nothing."""

import dataclasses
from pathlib import Path

from jmer.errors import JmerError
from jmer.files import write_bytes, write_text
from jmer.papers import PaperTable
from jmer.report import html, markdown
from jmer.report.blocks import Page, Section
from jmer.report.comparison import comparison_page
from jmer.report.one_run import run_page
from jmer.report.reproduction import reproduction_page
from jmer.report.run import read_run

__all__ = ["write_comparison", "write_report", "write_table"]


def _write(page: Page, out: Path) -> str:
    text = markdown.render(page)
    for figure in page.figures():
        write_bytes(out / figure.path, figure.png)
    write_text(out / "report.md", text)
    write_text(out / "report.html", html.render(page))
    return text


def write_report(run_dir: Path) -> None:
    """Writes `report.md`, `report.html` and `figures/*.png` into a run directory.

    Raises: JmerError if it is no finished run, or cannot be written.
    """
    _write(run_page(read_run(run_dir)), run_dir)


def write_comparison(
    run_dirs: list[Path],
    out: Path,
    *,
    names: list[str] | None = None,
    title: str | None = None,
    more: tuple[Section, ...] = (),
) -> str:
    """Writes `report.md` and `report.html`, a row per run, and returns the Markdown.
    Sections of `more` follow the scores.

    Raises: JmerError if one is no finished run, or if `out` is a run itself, whose
    own report would be lost.
    """
    if not run_dirs:
        raise JmerError("there is no run to compare: name one or more run directories.")
    _require_no_run(out)
    runs = [read_run(folder) for folder in run_dirs]
    for i, name in enumerate(names or ()):
        about = {**runs[i].experiment, "name": name}
        runs[i] = dataclasses.replace(runs[i], experiment=about)
    page = comparison_page(runs)
    first, *others = page.sections
    page = dataclasses.replace(
        page, title=title or page.title, sections=(first, *more, *others)
    )
    return _write(page, out)


def write_table(
    table: PaperTable, run_dirs: list[Path], out: Path, *, other_data: bool = False
) -> str:
    """Writes a paper's table with the runs that are its rows, and returns the Markdown.

    Raises: JmerError as `write_comparison`.
    """
    _require_no_run(out)
    return _write(reproduction_page(table, run_dirs, other_data=other_data), out)


def _require_no_run(out: Path) -> None:
    if (out / "metrics.json").exists():
        raise JmerError(
            f"{out} is a run, and keeps its own report: choose another folder for the "
            f"comparison with --out."
        )
