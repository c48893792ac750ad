"""The audit of a run: its folds and figures, derived once more."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jmer.audit.evidence import RESTORE, Evidence
from jmer.audit.figures import check_figures
from jmer.audit.finding import Audit, Finding
from jmer.audit.lookalikes import check_alike
from jmer.audit.respelt import noted, respelt, uncertain
from jmer.audit.roster import (
    check_clips,
    check_never,
    check_subjects,
    check_twice,
    title,
)
from jmer.audit.shared_frames import check_frames
from jmer.audit.shared_images import check_images
from jmer.audit.shared_sessions import check_sessions
from jmer.audit.sides import check_sets
from jmer.audit.unchanged import check_unchanged
from jmer.audit.unseen import check_unseen
from jmer.audit.worth import as_printed
from jmer.data.clips import ClipSet
from jmer.data.load import spans
from jmer.data.span import Span
from jmer.data.splits import Fold
from jmer.errors import JmerError
from jmer.runs.explain import data_of, set_of
from jmer.runs.run import Run
from jmer.scores.labels import kind_of
from jmer.scores.predictions import Predictions
from jmer.text import counted


def audit_run(run: Run, *, lists: Path | None = None, **places: Path | None) -> Audit:
    """All that can be checked of a run; `places` as in `explain.set_of`, and `lists`
    where its lists of folds are by now. A data set that cannot be read leaves the
    checks that need it unknown, and so do lists that have changed.

    Raises: JmerError if the run itself cannot be read.
    """
    run = replace(run, changed=True)
    run.check()  # which names what is missing of a damaged one
    try:
        clips = set_of(run, **places)
        config = data_of(run, **places)
        known = spans(config.without_source())
    except JmerError as error:
        return audit_against(run, None, missing=str(error), lists=lists)
    return audit_against(run, clips, known, lists=lists)


def audit_against(
    run: Run,
    clips: ClipSet | None,
    known: Sequence[Span] = (),
    missing: str = "",
    lists: Path | None = None,
) -> Audit:
    """The same by a set in memory and the frames its clips were cut from; without a
    set, because of what is `missing`.
    """
    evidence = Evidence.of(run, clips, known, missing, lists)
    taken: dict[tuple[str, ...], tuple[str, ...]] = {}
    if clips is not None:
        run, taken = respelt(run, clips, evidence.folds)
        evidence = replace(evidence, run=run)
    table = evidence.table()
    findings = [
        check_subjects(table, declared=not evidence.protocol.subject_independent),
        check_clips(table),
        check_sets(table, by_set=evidence.protocol.by_set),
        check_twice(table),
        check_never(table),
        check_frames(table),
        check_sessions(table),
        check_unseen(run),
        check_unchanged(run),
        *check_figures(evidence),
    ]
    if clips is None:
        text = "Cannot tell: the data set could not be read, as is said above."
        findings += [
            Finding(rule, "unknown", text)
            for rule in ("known", "labels", "images", "alike")
        ]
    else:
        names = check_known(run.predictions, clips, evidence.folds)
        sides = ["subjects", "clips", "frames", "sessions"]
        sides += ["sets"] * evidence.protocol.by_set
        findings = [
            uncertain(found, names) if found.rule in sides else found
            for found in findings
        ]
        findings += [
            noted(names, taken),
            check_labels_of_set(run.predictions, clips),
            check_images(clips, evidence.folds),
            check_alike(clips, evidence.folds),
        ]
    return Audit(str(run.folder), _about(evidence), tuple(findings))


def _about(evidence: Evidence) -> tuple[str, ...]:
    metrics, experiment = evidence.run.metrics, evidence.run.experiment
    data = experiment["data"]
    state = "read once more, with the same fingerprint"
    if evidence.missing:
        state = f"not usable: {evidence.missing}"
    scores = ", ".join(
        f"{metric.label} {as_printed(metrics.get(name))}"
        for name, metric in evidence.run.kind.reported.items()
    )
    start = experiment["experiment"].get("pretrained")
    left_out = evidence.run.excluded
    return (
        f"run {experiment['name']}: {metrics['protocol']}, selection "
        f"{metrics['selection']}",
        f"claimed: {scores}",
        f"data set {data['name']}, fingerprint {data['fingerprint']}: {state}",
        *(
            [f"folds not derived: {evidence.changed} {RESTORE}"]
            * bool(evidence.changed)
        ),
        *([f"left out by name: {', '.join(left_out)}"] * bool(left_out)),
        *(
            [f"started from {start}: what that was trained on is not known"]
            * bool(start)
        ),
    )


def check_known(p: Predictions, clips: ClipSet, folds: Sequence[Fold]) -> Finding:
    """Whether all that is tested is in the set, may be tested, and has a fold."""
    testable = {clips.names[i] for i in clips.testable.tolist()}
    every, named = set(clips.names), {fold.name for fold in folds}
    problems: dict[tuple[str, str], None] = {}
    for name, fold in zip(p.names, p.fold.tolist(), strict=True):
        if name not in every:
            problems[title(name), "not in the data set"] = None
        elif name not in testable:
            problems[title(name), "for training alone"] = None
        if folds and fold not in named:
            problems[title(name), f"tested in fold {fold}, which is none"] = None
    if not problems:
        return Finding("known", "ok", f"All tested clips are in {clips.name}.")
    rows = tuple({"clip": clip, "problem": why} for clip, why in problems)
    text = (
        f"{counted(len(rows), 'tested clip')} that the data set and the protocol do "
        f"not have, such as {rows[0]['clip']}: {rows[0]['problem']}."
    )
    return Finding("known", "violation", text, rows)


def check_labels_of_set(p: Predictions, clips: ClipSet) -> Finding:
    """Whether clips are scored against the labels of the set."""
    its_own = kind_of(clips.label).texts(clips.label, clips.classes)
    true = dict(zip(clips.names, its_own, strict=True))
    wrong = {
        (name, label, true[name]): None
        for name, label in zip(p.names, p.kind.texts(p.label, p.classes), strict=True)
        if name in true and true[name] != label
    }
    rows = tuple(
        {"clip": title(name), "in the predictions": mine, "in the set": its}
        for name, mine, its in wrong
    )
    if not rows:
        text = "Every tested clip has the label that the data set gives it."
        return Finding("labels", "ok", text)
    text = (
        f"{counted(len(rows), 'clip')} scored against another label than that of the "
        f"data set, such as {rows[0]['clip']}: {rows[0]['in the predictions']} instead "
        f"of {rows[0]['in the set']}."
    )
    return Finding("labels", "violation", text, rows)
