"""In what runs differ, in words, before their scores are compared."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jmer.runs.folds import digests, places
from jmer.runs.run import Run
from jmer.text import flattened

NOT_SAID = "–"
WORDS = {
    "model.name": "network",
    "optim.kind": "optimiser",
    "optim.lr": "learning rate",
    "batch_size": "batch size",
    "epochs": "epochs",
    "dtype": "number type",
    "pretrained": "weights to start from",
    "start_from": "run to start from",
}
"""What fields of an experiment are called, beside their own names."""
PLACES = ("data.data_dir", "data.manual_dir", "engine.")
"""Fields that say where or how fast, and not what."""


@dataclass(frozen=True)
class Apart:
    """One thing in which runs differ: a value for each of them.

    `unfair` says why their scores then do not compare; empty where they do.
    """

    what: str
    values: tuple[str, ...]
    unfair: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {' | '.join(self.values)}"


def apart(runs: Sequence[Run]) -> tuple[Apart, ...]:
    """All that differs between runs, what makes a comparison unfair first. What one of
    them does not say, as those of older versions do not, is passed over.
    """
    told = [dict(_told(run)) for run in runs]
    if _same_folds(told):
        told = [
            {n: x for n, x in one.items() if n not in (PROTOCOL, KEPT)} for one in told
        ]
    found = []
    for what in dict.fromkeys(name for one in told for name in one):
        values = [one.get(what, NOT_SAID) for one in told]
        if NOT_SAID not in values and len({_alike(what, one) for one in values}) > 1:
            if what == LISTS:
                values = [
                    f"{_place(r)} ({x})" for r, x in zip(runs, values, strict=True)
                ]
            found.append(Apart(what, tuple(values), UNFAIR.get(what, "")))
    return tuple(sorted(found, key=lambda one: not one.unfair))


def _alike(what: str, value: str) -> str:
    """A value that does not tell two that mean the same: the order of labels."""
    if what not in (LABELS, "extract.action_units"):
        return value
    return ", ".join(sorted(value.strip("[]").split(", ")))


DATA, LABELS = "content of the data set", "classes"
PROTOCOL, SELECTION, KEPT = "protocol", "selection of the epoch", "subjects kept apart"
LISTS = "lists of folds"
UNFAIR = {
    DATA: "they saw other data",
    LABELS: "they tell other classes apart",
    PROTOCOL: "other clips train and are tested together",
    LISTS: "other clips train and are tested together",
    KEPT: "where subjects are mixed, known people are recognised",
    SELECTION: "one has more to choose from than the other",
}
"""What makes a comparison unfair, and why."""


def _told(run: Run) -> Iterator[tuple[str, str]]:
    """What a run says of itself, by what people call it."""
    metrics, about = run.metrics, run.experiment
    data: Mapping[str, Any] = about["data"]
    for what, value in (
        (DATA, data.get("fingerprint")),
        (LABELS, metrics.get("classes")),
        (PROTOCOL, metrics.get("protocol")),
        (KEPT, metrics.get("subject_independent")),
        (SELECTION, metrics.get("selection")),
        ("seeds", metrics.get("seeds")),
    ):
        if value is not None:
            yield what, _shown(value)
    listed = digests(run)
    by_content = {f"protocol.{name}" for name in listed}
    if listed:
        yield LISTS, ", ".join(listed.values())
    for name, value in flattened(about["experiment"]):
        if name not in ("seeds", *by_content) and not name.startswith(PLACES):
            word = WORDS.get(name)
            yield (f"{word} ({name})" if word and word != name else name), value
    device = about.get("device", {})
    if {"kind", "count"} <= {*device}:
        yield "device", f"{device['count']} × {device['kind']}"
    for name, version in about.get("versions", {}).items():
        yield f"version of {name}", str(version)
    if about.get("revision"):
        yield "revision of jmer", str(about["revision"])


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def _place(run: Run) -> str:
    """Where its lists of folds were."""
    return ", ".join(places(run).values())


def _same_folds(told: Sequence[Mapping[str, str]]) -> bool:
    """Whether all runs divide the same clips by lists that say the same: whatever each
    of them calls its folds, they are one division."""
    what = (DATA, LISTS, "protocol.apart")
    return bool(told) and all(
        name in one and one[name] == told[0].get(name) for one in told for name in what
    )
