"""Commands of reports and of published weights."""

import dataclasses
from pathlib import Path

import tyro

from jmer.commands.parsing import parse
from jmer.errors import UsageError


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
class ReportOptions:
    """Write the report of a run again, or set several runs side by side."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories."""
    out: Path | None = None
    """Folder of the comparison (default: print it only)."""


def report(words: list[str]) -> int:
    options = parse(ReportOptions, "jmer report", words)
    from jmer.report import write_comparison, write_report

    if not options.runs:
        raise UsageError("jmer report needs one or more run directories.")
    for folder in options.runs:
        write_report(folder)
    if options.out is not None:
        print(write_comparison(list(options.runs), options.out))
    elif len(options.runs) == 1:
        print((options.runs[0] / "report.md").read_text())
    else:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            print(write_comparison(list(options.runs), Path(folder)))
    return 0
