"""Commands of finished runs and of published weights."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Annotated

import tyro

from jmer.commands.parsing import parse
from jmer.errors import UsageError
from jmer.spotted import Rule


@dataclasses.dataclass(frozen=True)
class ImportOptions:
    """Turn published PyTorch checkpoints, one a held-out subject, into weights."""

    network: tyro.conf.Positional[str]
    """Name of the network, as `jmer list models` prints it."""
    torch: Path
    """Folder of the checkpoints, each named after its subject (006.pth)."""
    out: Path
    """Folder to write."""


def weights_import(words: list[str]) -> int:
    options = parse(ImportOptions, "jmer weights import", words)
    from jmer.importers import import_torch

    weights = import_torch(options.network, options.torch)
    weights.save(options.out)
    print(f"{len(weights.tasks)} weights of {weights.config.name} in {options.out}")
    return 0


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """Write the weights of one training as a PyTorch checkpoint."""

    weights: tyro.conf.Positional[Path]
    """Run directory, or folder of imported weights."""
    fold: str
    """Which training: name of its fold, the held-out subject under LOSO."""
    out: Path
    """File to write (.pth)."""
    seed: int | None = None
    """Its seed, where there are several."""

    def __post_init__(self):
        if self.out.suffix != ".pth":
            raise UsageError(f"out={self.out} must end in .pth")


def weights_export(words: list[str]) -> int:
    options = parse(ExportOptions, "jmer weights export", words)
    from jmer.exporters import export_torch

    export_torch(options.weights, options.out, options.fold, options.seed)
    print(f"weights of fold {options.fold} in {options.out}")
    return 0


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

    def __post_init__(self):
        if not self.runs and self.table is None:
            raise UsageError("jmer report needs one or more run directories.")
        if self.other_data and self.table is None:
            raise UsageError("other-data goes with --table")


def report(words: list[str]) -> int:
    options = parse(ReportOptions, "jmer report", words)
    from jmer.papers import table
    from jmer.report import write_comparison, write_report, write_table
    from jmer.report.sweep import finished_cells, is_sweep, write_sweep

    runs = [
        run
        for folder in options.runs
        for run in (finished_cells(folder).values() if is_sweep(folder) else [folder])
    ]
    with tempfile.TemporaryDirectory() as temporary:
        out = options.out or Path(temporary)
        if options.table is not None:
            wanted = table(options.table)
            text = write_table(wanted, runs, out, other_data=options.other_data)
        elif len(options.runs) == 1 and is_sweep(options.runs[0]):
            text = write_sweep(options.runs[0], options.out)
        else:
            for folder in runs:
                write_report(folder)
            if options.out is not None or len(runs) > 1:
                text = write_comparison(runs, out)
            else:
                text = (runs[0] / "report.md").read_text()
    print(text)
    return 0


@dataclasses.dataclass(frozen=True)
class SpotOptions:
    """Score where a run found expressions: frames and intervals of its test clips."""

    run: tyro.conf.Positional[Path]
    """Run directory of a network that tells the intensity of frames."""
    rule: Annotated[Rule, tyro.conf.arg(name="")]
    seed: int | None = None
    """Which of the run's seeds (default: the first)."""
    most: int = 12
    """Clips to draw."""
    data_dir: Path | None = None
    """Folder of the prepared set, if it is no longer where the run found it."""
    manual_dir: Path | None = None
    """Folder of its source, likewise."""

    def __post_init__(self):
        if self.most < 0:
            raise UsageError(f"most={self.most} must not be negative")


def spot(words: list[str]) -> int:
    options = parse(SpotOptions, "jmer spot", words)
    from jmer.explain import explained, seed_of, set_of
    from jmer.notebook import load_run
    from jmer.report.spotting import write_spotting
    from jmer.spotted import watch_all

    run = load_run(options.run)
    clips = set_of(run, data_dir=options.data_dir, manual_dir=options.manual_dir)
    seed, variant = seed_of(run, options.seed), run.metrics["variant"]
    chosen = explained(
        run, clips, which=lambda task: (task.seed, task.variant) == (seed, variant)
    )
    found = watch_all(clips, ((one.index, one.logits, one.shown) for one in chosen))
    folder = options.run / "spotting"
    record = write_spotting(
        folder, found, clips.classes, options.rule, most=options.most
    )
    intervals = record["intervals"]
    print(
        f"AUC of {record['frames']} frames {record['auc']:.4f}; intervals: F1 "
        f"{intervals['f1']:.4f} (precision {intervals['precision']:.4f}, recall "
        f"{intervals['recall']:.4f}), STRS {record['strs']:.4f}\n"
        f"figures and tables in {folder}; `jmer report {options.run}` puts them into "
        f"the report of the run"
    )
    return 0
