"""The report of a sweep: its finished cells side by side, and their variants."""

from pathlib import Path

from jmer.errors import JmerError
from jmer.files import Changed, read_json
from jmer.files.inside import inside
from jmer.files.shape import checked
from jmer.report import write_comparison
from jmer.report.over import over_section
from jmer.report.render.blocks import PageBlock, Paragraph, Section, Table
from jmer.report.variants import shown
from jmer.runs.folder import DESCRIPTION, SWEEP, run_of
from jmer.runs.folder import METRICS as RESULTS
from jmer.runs.run import Run, read_run
from jmer.runs.shapes import ANY_DESCRIPTION, METRICS_SHAPE, SWEEP_SHAPE
from jmer.scores.labels import kind_in
from jmer.text import counted, points


def is_sweep(folder: Path) -> bool:
    return (folder / SWEEP).is_file()


def cells_of(folder: Path) -> dict[str, Path]:
    """The folder of each cell of a sweep, by name.

    Raises: Changed if `sweep.json` is damaged, JmerError if it leads elsewhere.
    """
    file = folder / SWEEP
    remedy = "start the sweep again; what is finished is kept."
    cells = checked(read_json(file, remedy=remedy), SWEEP_SHAPE, file)["cells"]
    return {
        cell["name"]: inside(folder, cell["folder"], file, f"cells[{i}].folder")
        for i, cell in enumerate(cells)
    }


def finished_cells(folder: Path) -> dict[str, Path]:
    """Those that have results.

    Raises: Changed if a folder holds another cell than `sweep.json` says.
    """
    found = {n: f for n, f in cells_of(folder).items() if (f / RESULTS).is_file()}
    for name, place in found.items():
        if run_of(place) is None:  # of an older version
            continue
        file = place / DESCRIPTION
        about = checked(read_json(file, changed=True), ANY_DESCRIPTION, file)
        if not str(about.get("name")).endswith(f": {name}"):
            raise Changed(
                f"{place} is the run {about.get('name')!r}, not cell {name!r} of the "
                f"sweep: it was copied or renamed. Move it back to where it was."
            )
    return found


def write_sweep(folder: Path, out: Path | None = None) -> str:
    """Writes the comparison of the finished cells, each against the first, into the
    sweep's folder or another one, and returns its Markdown.

    Raises: JmerError if no cell is finished.
    """
    cells, finished = cells_of(folder), finished_cells(folder)
    if not finished:
        raise JmerError(f"no cell of {folder} has results: run the sweep again.")
    missing = [name for name in cells if name not in finished]
    return write_comparison(
        list(finished.values()),
        out or folder,
        names=list(finished),
        title=f"Sweep of {counted(len(cells), 'cell')}",
        more=(_section(finished, missing), *_over(finished)),
        variants=True,
        own=out is None or out.absolute() == folder.absolute(),
    )


def _over(finished: dict[str, Path]) -> tuple[Section, ...]:
    """Curves of the scores, where cells differ in a number."""
    return tuple(over_section(list(finished), [read_run(f) for f in finished.values()]))


def _section(finished: dict[str, Path], missing: list[str]) -> Section:
    found = {
        name: checked(Run(folder).metrics, METRICS_SHAPE, folder / RESULTS)
        for name, folder in finished.items()
    }
    kind = kind_in(next(iter(found.values())))
    columns = ("Cell", "Variant", *(metric.label for metric in kind.metrics.values()))
    rows = tuple(
        (
            *(name, shown(variant["values"])),
            *(points(variant.get(score)) for score in kind.metrics),
        )
        for name, metrics in found.items()
        for variant in metrics.get("variants", ())
    )
    several = len(rows) > len(finished)
    text = "Each cell differs from the others in what its name says."
    if several:
        text += (
            " Above, a cell has the scores of its first variant that has not diverged; "
            "here are all of them, and below each is compared with the first."
        )
    blocks: list[PageBlock] = [Paragraph(text)]
    if missing:
        blocks.append(
            Paragraph(f"Cells without results: {', '.join(missing)}.", "warning")
        )
    if several:
        blocks.append(Table(columns, rows, left=2))
    blocks.append(
        Paragraph(
            "All were tested on the same people. The best of them, chosen by these "
            "scores, is no result: its score is what chance adds to it, too.",
            "small",
        )
    )
    return Section("Cells and variants", tuple(blocks))
