"""The command that scores where a run found expressions."""

import dataclasses
import shlex
from pathlib import Path
from typing import Annotated

import tyro

from jmer.commands.parsing import import_modules, note_owner, parse
from jmer.errors import UsageError
from jmer.scores.spotting import Rule


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
    imports: Annotated[tuple[str, ...], tyro.conf.arg(name="import")] = ()
    """Modules to import first, such as that of a data set of your own; their code
    runs."""

    def __post_init__(self) -> None:
        if self.most < 0:
            raise UsageError(f"most={self.most} must not be negative")


def spot(words: list[str]) -> int:
    options = parse(SpotOptions, "jmer spot", words)
    note_owner([options.run])
    import_modules(options.imports)
    from jmer.report.spotting import write_spotting
    from jmer.runs.explain import explained, seed_of, set_of
    from jmer.runs.folder import SPOTTING
    from jmer.runs.run import load_run
    from jmer.scores.labels import require_classes
    from jmer.scores.spotting import watch_all

    run = load_run(options.run)
    require_classes("jmer spot", run.kind)
    clips = set_of(run, data_dir=options.data_dir, manual_dir=options.manual_dir)
    seed, variant = seed_of(run, options.seed), run.metrics.get("variant", 0)
    chosen = explained(
        run, clips, which=lambda task: (task.seed, task.variant) == (seed, variant)
    )
    found = watch_all(clips, ((one.index, one.logits, one.shown) for one in chosen))
    folder = options.run / SPOTTING
    record = write_spotting(
        folder, found, clips.classes, options.rule, most=options.most
    )
    intervals = record["intervals"]
    place = shlex.quote(str(options.run))
    print(
        f"AUC of {record['frames']} frames {record['auc']:.4f}; intervals: F1 "
        f"{intervals['f1']:.4f} (precision {intervals['precision']:.4f}, recall "
        f"{intervals['recall']:.4f}), STRS {record['strs']:.4f}\n"
        f"figures and tables in {folder}; `jmer report {place}` puts them into "
        f"the report of the run"
    )
    return 0
