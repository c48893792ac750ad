"""The command that combines several methods over several data sets."""

import dataclasses
import sys
import tempfile
from pathlib import Path

import tyro

from jmer.commands.named import named_runs
from jmer.commands.parsing import parse
from jmer.errors import UsageError, quoted
from jmer.text import did_you_mean, visible


@dataclasses.dataclass(frozen=True)
class MetaOptions:
    """Compare every two of several methods on each data set that both were tested on,
    paired by subject, and combine the sets: by Stouffer's method, with the square root
    of the number of subjects as weight, and as a mean difference by random effects."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Run directories; that of a sweep stands for its finished cells. METHOD=FOLDER
    gives a run's method a name (default: its network's)."""
    score: str = ""
    """Metric that is compared, as `jmer report` calls it (default: UF1, or what stands
    first there)."""
    out: Path | None = None
    """Folder of report.md, report.html, the forest plots and meta.csv (default: print
    only)."""


def meta(words: list[str]) -> int:
    options = parse(MetaOptions, "jmer meta", words)
    named, _ = named_runs("meta", options.runs)
    from jmer.report.meta import meta_analysis
    from jmer.report.meta_page import write_meta
    from jmer.report.methods import require_no_run, tried

    score = _score(options.score)
    if options.out is not None:
        require_no_run(options.out)
    found = meta_analysis(tried(named), score)
    with tempfile.TemporaryDirectory() as temporary:
        text = visible(write_meta(found, options.out or Path(temporary)))
    if sys.stdout.isatty():
        from jmer.commands.report import on_screen

        text = on_screen(text, options.out)
    print(text)
    return 0


def _score(asked: str) -> str:
    """Raises: UsageError for a metric that is not there."""
    from jmer.scores.metrics import headlines, reported

    known = {metric.label.lower(): name for name, metric in reported().items()}
    known |= {name: name for name in reported()}
    if not asked:
        return headlines()[0].name
    if asked.lower() not in known:
        raise UsageError(
            f"--score {quoted(asked)}: no score is called so"
            f"{did_you_mean(asked, known)}. There are {', '.join(reported())}."
        )
    return known[asked.lower()]
