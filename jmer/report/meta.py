"""Several methods over several data sets, pair by pair, from their runs."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jmer.errors import JmerError
from jmer.report.methods import Tried, in_order, twice
from jmer.runs.apart import KEPT, LABELS, LISTS, PROTOCOL, SELECTION, apart
from jmer.runs.run import Run
from jmer.scores.meta import Combined, combine
from jmer.scores.paired import Difference, benjamini_hochberg, holm, paired
from jmer.scores.predictions import Predictions

MUST_AGREE = (PROTOCOL, LISTS, KEPT, SELECTION, LABELS)
"""In what two runs of one data set may not differ; what they were fed may."""


@dataclass(frozen=True)
class SetEffect:
    """The difference of two methods on one data set."""

    name: str
    found: Difference
    holm: float
    """p, corrected for all pairs and sets (Holm)."""
    bh: float
    """The same by Benjamini and Hochberg."""


@dataclass(frozen=True)
class PairEffect:
    """The second method minus the first, on each set that both were tested on."""

    first: str
    second: str
    sets: tuple[SetEffect, ...]
    combined: Combined
    holm: float
    """Stouffer's p, corrected for all pairs (Holm)."""
    bh: float

    @property
    def name(self) -> str:
        return f"{self.second} − {self.first}"


@dataclass(frozen=True, eq=False)
class Meta:
    """Every pair of methods that share a set."""

    score: str
    tried: tuple[Tried, ...]
    pairs: tuple[PairEffect, ...]
    alone: tuple[tuple[str, str], ...]
    """Pairs of methods that share no set."""

    @property
    def sets(self) -> list[str]:
        return sorted({one.name for pair in self.pairs for one in pair.sets})


def meta_analysis(runs: Sequence[Tried], score: str) -> Meta:
    """The differences of all pairs of methods in one `score`, combined over sets.

    A set is what predictions call one, so that a composite is several.

    Raises: JmerError if a method has two runs on a set, two methods do not have the
    same clips, labels, protocol and selection on one, protocols of sets differ in
    kind, or no two methods share a set.
    """
    where = _by_set(runs)
    _check_kinds(
        [one for own in where.values() if len(own) > 1 for one in own.values()]
    )
    methods = in_order(runs)
    found: dict[tuple[str, str], dict[str, Difference]] = {}
    for first, second in itertools.combinations(methods, 2):
        shared = [s for s, own in where.items() if {first, second} <= own.keys()]
        found[first, second] = {
            name: _difference(where[name][first], where[name][second], name, score)
            for name in shared
        }
    if not any(found.values()):
        raise JmerError(
            f"no two methods were tested on the same data set: {', '.join(methods)} on "
            f"{', '.join(where)}. Give runs of two methods on one set or more."
        )
    alone = tuple(pair for pair, own in found.items() if not own)
    return Meta(
        score, tuple(runs), tuple(_pairs({p: o for p, o in found.items() if o})), alone
    )


def _pairs(
    found: Mapping[tuple[str, str], Mapping[str, Difference]],
) -> Iterator[PairEffect]:
    """With p corrected for all pairs, and of sets for all of these, too."""
    every = [one.p for own in found.values() for one in own.values()]
    each = iter(
        zip(holm(every).tolist(), benjamini_hochberg(every).tolist(), strict=True)
    )
    combined = [combine(list(own.values())) for own in found.values()]
    p = [one.p for one in combined]
    both = zip(holm(p).tolist(), benjamini_hochberg(p).tolist(), strict=True)
    rows = zip(found.items(), combined, both, strict=True)
    for ((first, second), own), whole, corrected in rows:
        sets = tuple(SetEffect(n, one, *next(each)) for n, one in own.items())
        yield PairEffect(first, second, sets, whole, *corrected)


def _by_set(runs: Sequence[Tried]) -> dict[str, dict[str, Tried]]:
    """The run of each method on each set, in the order of their names."""
    found: dict[str, dict[str, Tried]] = {}
    for one in runs:
        for name in np.unique(one.run.shown.dataset).tolist():
            own = found.setdefault(name, {})
            if before := own.get(one.method):
                raise twice(before, one, name)
            own[one.method] = one
    return dict(sorted(found.items()))


def _check_kinds(runs: Sequence[Tried]) -> None:
    """Raises: JmerError if protocols differ in kind."""
    kinds: dict[str, Run] = {}
    for one in runs:
        kinds.setdefault(kind_of(one.run), one.run)
    if len(kinds) > 1:
        (kind, run), (other, unlike), *_ = kinds.items()
        raise JmerError(
            f"{run.folder} is {kind}, and {unlike.folder} {other}: differences by "
            f"unlike protocols are not combined. Give runs of one protocol."
        )


def kind_of(run: Run) -> str:
    """The protocol without its numbers."""
    protocol = run.experiment["experiment"].get("protocol")
    kind = protocol.get("kind") if isinstance(protocol, dict) else None
    return str(kind or run.metrics["protocol"].partition(",")[0])


def _difference(one: Tried, other: Tried, name: str, score: str) -> Difference:
    """The second minus the first on one set. Raises: JmerError if they do not pair."""
    pair = f"{one.run.folder} and {other.run.folder}"
    for found in apart([one.run, other.run]):
        if found.what in MUST_AGREE:
            raise JmerError(
                f"{pair} differ in {found}. On {name} they cannot be compared: give "
                f"runs that agree in it."
            )
    try:
        both = paired(_of_set(one.run, name), _of_set(other.run, name))
    except JmerError as error:
        raise JmerError(f"{pair} do not pair on {name}: {error}") from error
    return both.overall[score]


def _of_set(run: Run, name: str) -> Predictions:
    return run.shown.where(run.shown.dataset == name)
