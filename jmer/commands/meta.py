"""The command that combines several methods over several data sets."""

import dataclasses
import sys
import tempfile
from pathlib import Path

import tyro

from jmer.commands.named import named_runs
from jmer.commands.parsing import parse
from jmer.text import visible


@dataclasses.dataclass(frozen=True)
class MetaOptions:
    """Compare every two of several methods on each data set that both were tested on,
    paired by subject, and combine the sets: by Stouffer's method, with the square root
    of the number of subjects as weight, and as a mean difference by random effects."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Run directories; that of a sweep stands for its finished cells. METHOD=FOLDER
    gives a run's method a name (default: its network's)."""
    score: str = ""
    """Metric that is compared, as `jmer report` calls it (default: the first there)."""
    out: Path | None = None
    """Folder of report.md, report.html, the forest plots and meta.csv (default: print
    only)."""


def meta(words: list[str]) -> int:
    options = parse(MetaOptions, "jmer meta", words)
    named, _ = named_runs("meta", options.runs)
    from jmer.report.meta import meta_analysis
    from jmer.report.meta_page import write_meta
    from jmer.report.methods import require_no_run, score_of, tried

    if options.out is not None:
        require_no_run(options.out)
    runs = tried(named)
    found = meta_analysis(runs, score_of(options.score, runs))
    with tempfile.TemporaryDirectory() as temporary:
        text = visible(write_meta(found, options.out or Path(temporary)))
    if sys.stdout.isatty():
        from jmer.commands.report import on_screen

        text = on_screen(text, options.out)
    print(text)
    return 0
