"""The command that checks a result."""

import contextlib
import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from jmer.audit.finding import Audit
from jmer.commands.parsing import import_modules, note_owner, parse
from jmer.errors import UsageError


@dataclasses.dataclass(frozen=True)
class AuditOptions:
    """Say what is wrong with a result: with a run, with somebody's predictions, or with
    lists of who trains and is tested.

    Exit codes: 0 no rule is broken; 1 one is, or something could not be read; 2 wrong
    usage.
    """

    run: tyro.conf.Positional[Path | None] = None
    """Run directory. Its audit.md and audit.json are written there."""
    predictions: Path | None = None
    """CSV file with columns subject, label, predicted and, where known, dataset, clip,
    fold, seed, epoch, video, onset, offset, and split (train or test)."""
    folds: Path | None = None
    """Folder of lists such as train_fold_1.csv and test_fold_1.csv, with columns
    subject and clip, or subject, video, onset and offset."""
    stated: tuple[str, ...] = ()
    """Figures that were stated of the predictions: uf1=0.85 acc=0.9 uar=0.8."""
    columns: tuple[str, ...] = ()
    """Columns that are called otherwise: subject=Person clip=Name."""
    out: Path | None = None
    """Folder for audit.md and audit.json (default: that of a run; else print only)."""
    data_dir: Path | None = None
    """Folder of the prepared set, if it is no longer where the run found it."""
    manual_dir: Path | None = None
    """Folder of its source, likewise."""
    lists: Path | None = None
    """Its lists of folds, likewise: as they were, or it is said that they are not."""
    imports: Annotated[tuple[str, ...], tyro.conf.arg(name="import")] = ()
    """Modules to import first, such as that of a data set of your own; their code
    runs."""

    def __post_init__(self) -> None:
        given = [self.run, self.predictions, self.folds]
        if sum(place is not None for place in given) != 1:
            raise UsageError(
                "jmer audit needs one of a run directory, --predictions FILE and "
                "--folds DIR."
            )
        if self.stated and self.predictions is None:
            raise UsageError("--stated goes with --predictions FILE.")
        if self.columns and self.run is not None:
            raise UsageError("--columns goes with --predictions FILE or --folds DIR.")
        if self.run is None and (self.data_dir or self.manual_dir):
            raise UsageError("--data-dir and --manual-dir go with a run directory.")
        if self.run is None and self.lists:
            raise UsageError("--lists goes with a run directory; --folds has no run.")


def audit(words: list[str]) -> int:
    options = parse(AuditOptions, "jmer audit", words)
    note_owner([options.run] if options.run else [])
    import_modules(options.imports)
    from jmer.audit.page import text, write_audit

    found = _audited(options)
    folder = options.out or options.run
    if folder is not None:
        own = options.run and options.run.absolute() == folder.absolute()
        write_audit(found, folder, own=bool(own))
    with contextlib.suppress(BrokenPipeError):  # the verdict counts, read or not
        print(text(found), flush=True)
    return 0 if found.sound else 1


def _audited(options: AuditOptions) -> Audit:
    # Each alone: lists need no JAX.
    from jmer.audit.rows import parse_columns

    columns = parse_columns(options.columns)
    if options.predictions is not None:
        from jmer.audit.foreign import audit_predictions
        from jmer.audit.foreign_figures import parse_stated

        return audit_predictions(
            options.predictions, parse_stated(options.stated), columns
        )
    if options.folds is not None:
        from jmer.audit.lists import audit_lists

        return audit_lists(options.folds, columns)
    from jmer.audit.run import audit_run
    from jmer.runs.run import load_run

    assert options.run is not None
    run = load_run(options.run, changed=True)  # the audit says so of each
    return audit_run(
        run,
        lists=options.lists,
        data_dir=options.data_dir,
        manual_dir=options.manual_dir,
    )
