"""Runs as methods on data sets, for tables of several of both."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jmer.errors import JmerError, UsageError, quoted
from jmer.report.comparison import kind_of_all
from jmer.runs.folder import METRICS
from jmer.runs.run import Run, read_run
from jmer.text import did_you_mean


@dataclass(frozen=True, eq=False)
class Tried:
    """A run, and the method that it stands for."""

    method: str
    run: Run


def tried(named: Iterable[tuple[str, Path]]) -> list[Tried]:
    """The finished runs of some folders; of one without a name of its own, the method
    is its network.

    Raises: JmerError if one is no finished run.
    """
    found = []
    for name, folder in named:
        run = read_run(folder)
        found.append(Tried(name or method_of(run), run))
    return found


def method_of(run: Run) -> str:
    """The network of a run, or, where it names none, its experiment."""
    model = run.experiment["experiment"].get("model")
    name = model.get("name") if isinstance(model, dict) else None
    return str(name or run.experiment["name"])


def score_of(asked: str, runs: Sequence[Tried]) -> str:
    """The metric that is asked for by name or label; the first of reports, if none is.

    Raises: UsageError if the runs have none of that name, JmerError if their labels
    are of two kinds.
    """
    kind = kind_of_all([one.run for one in runs])
    if not asked:
        return kind.headlines[0].name
    known = {metric.label.lower(): name for name, metric in kind.reported.items()}
    known |= {name: name for name in kind.reported}
    if asked.lower() not in known:
        raise UsageError(
            f"--score {quoted(asked)}: no score is called so"
            f"{did_you_mean(asked, known)}. There are {', '.join(kind.reported)}."
        )
    return known[asked.lower()]


def twice(one: Tried, other: Tried, where: str) -> JmerError:
    """What is said of two runs of one method on one set."""
    return JmerError(
        f"{one.run.folder} and {other.run.folder} are both {one.method} on {where}. "
        f"Leave one out, or name them apart, as in {one.method}-2={other.run.folder}"
    )


def in_order(methods: Sequence[Tried]) -> list[str]:
    """The methods, as they first came."""
    return list(dict.fromkeys(one.method for one in methods))


def require_no_run(out: Path) -> None:
    """Raises: JmerError if a page is to be written into a run."""
    if (out / METRICS).exists():
        raise JmerError(
            f"{out} is a run, and keeps its own report: choose another folder for the "
            f"comparison with --out."
        )
