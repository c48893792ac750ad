"""Reports of finished runs, as Markdown and as one HTML file that needs nothing."""

from pathlib import Path

from jmer.errors import JmerError
from jmer.files import write_bytes, write_text
from jmer.report import html, markdown
from jmer.report.blocks import Page
from jmer.report.comparison import comparison_page
from jmer.report.one_run import run_page
from jmer.report.run import read_run

__all__ = ["write_comparison", "write_report"]


def _write(page: Page, out: Path, name: str = "report") -> str:
    """Writes `name.md`, `name.html` and the figures into `out`, and returns the former.

    Raises: JmerError if it cannot be written.
    """
    text = markdown.render(page)
    for figure in page.figures():
        write_bytes(out / figure.path, figure.png)
    write_text(out / f"{name}.md", text)
    write_text(out / f"{name}.html", html.render(page))
    return text


def write_report(run_dir: Path) -> None:
    """Writes `report.md`, `report.html` and `figures/*.png` into a run directory.

    Raises: JmerError if it is no finished run, or cannot be written.
    """
    _write(run_page(read_run(run_dir)), run_dir)


def write_comparison(run_dirs: list[Path], out: Path) -> str:
    """Writes `report.md` and `report.html`, a row per run, and returns the Markdown.

    Raises: JmerError if one is no finished run, or if `out` is a run itself, whose
    own report would be lost.
    """
    if not run_dirs:
        raise JmerError("there is no run to compare: name one or more run directories.")
    if (out / "metrics.json").exists():
        raise JmerError(
            f"{out} is a run, and keeps its own report: choose another folder for the "
            f"comparison with --out."
        )
    return _write(comparison_page([read_run(folder) for folder in run_dirs]), out)
