"""What a report says: a run, or several runs side by side, as blocks."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np

from jmer import metrics
from jmer.report.blocks import (
    Block,
    Code,
    Figure,
    Meter,
    Meters,
    Page,
    Paragraph,
    Section,
    Table,
)
from jmer.report.figures import confusion_png, learning_png
from jmer.report.run import Run
from jmer.report.text import counted, duration, flattened, points
from jmer.results import Predictions

SCORES = {"uf1": "UF1", "uar": "UAR", "acc": "ACC"}
SELECTION = {
    "last": "last epoch, fixed before training",
    "inner": "epoch that was best on training subjects held out inside each fold",
    "imported weights": "none: the weights were imported",
}
BATCHES = {
    "own": "own: each task shuffles its own training clips",
    "shared": "shared: all tasks see the same batches, and mask what is not theirs",
}
HARD_CLIPS = 15
NAMED_TASKS = 12


def _band(run: Run, score: str) -> tuple[float, float] | None:
    # One person drawn again and again gives an interval without width.
    low, high = run.metrics["ci95"][score]
    return (low, high) if run.metrics["n_subjects"] > 1 else None


def _meter(run: Run, score: str, name: str) -> Meter:
    std = run.metrics["std"]
    seeds = counted(len(run.metrics["seeds"]), "seed")
    note = f"± {std[score]:.3f} over {seeds}" if std else seeds
    return Meter(name, run.metrics[score], _band(run, score), note)


def _task(task: dict[str, Any]) -> str:
    return (
        f"fold {task['fold']}, seed {task['seed']}, variant {task['variant']} "
        f"(epoch {task['epoch']})"
    )


def _warnings(run: Run) -> Iterable[Paragraph]:
    found = run.metrics
    if not found["subject_independent"]:
        yield Paragraph(
            "This protocol is not subject-independent: the same person is in the "
            "training and in the test set, so a network may recognise the face "
            "instead of the expression. Do not compare these numbers with "
            "leave-one-subject-out results.",
            "warning",
        )
    diverged = found["diverged"]
    if diverged:
        named = "; ".join(map(_task, diverged[:NAMED_TASKS]))
        more = len(diverged) - NAMED_TASKS
        named += f"; and {more} more" if more > 0 else ""
        yield Paragraph(
            f"{counted(len(diverged), 'task')} diverged (NaN or infinite loss) and "
            f"{'is' if len(diverged) == 1 else 'are'} excluded from every number "
            f"here: {named}.",
            "warning",
        )
    short = [s for s in found["per_seed"] if s["n_samples"] < found["n_samples"]]
    if short:
        named = ", ".join(f"seed {s['seed']}: {s['n_samples']}" for s in short)
        yield Paragraph(
            f"Not every seed predicted all {found['n_samples']} clips ({named}), so "
            f"the seeds are not scored on the same clips.",
            "warning",
        )


def _baseline(run: Run) -> Paragraph:
    """The scores of always naming the commonest class: the floor to beat."""
    counts = np.array([row["n"] for row in run.metrics["per_class"].values()])
    guess = np.zeros((len(counts), len(counts)))
    guess[:, counts.argmax()] = counts
    values = [
        f"{SCORES[name]} {points(metrics.METRICS[name](guess))}" for name in SCORES
    ]
    name = run.metrics["classes"][counts.argmax()]
    return Paragraph(
        f"For scale: always answering “{name}” scores {', '.join(values)}."
    )


def _oracle(run: Run) -> Paragraph:
    values = [
        f"{SCORES[name]} {points(run.metrics['oracle'][name])}" for name in SCORES
    ]
    return Paragraph(
        f"Oracle, inflated: {', '.join(values)}. Here the epoch was chosen per fold on "
        f"the test subject, as much published code does. It is no result; it only "
        f"serves to compare with such papers.",
        "small",
    )


def _protocol(run: Run) -> Table:
    found = run.metrics
    rows = [
        ("Protocol", found["protocol"]),
        ("Subjects kept apart", "yes" if found["subject_independent"] else "no"),
        ("Epoch selection", SELECTION.get(found["selection"], found["selection"])),
        ("Batches", BATCHES.get(found["batches"], found["batches"] or "–")),
        (
            "Data",
            f"{run.experiment['data']['name']} ({run.experiment['data']['config']})",
        ),
        ("Subjects", str(found["n_subjects"])),
        ("Clips", str(found["n_samples"])),
        ("Folds", str(found["n_folds"])),
        ("Seeds", ", ".join(map(str, found["seeds"]))),
        ("Wall time", duration(found["wall_seconds"])),
    ]
    speed = found["throughput"]
    if speed:
        text = (
            f"{speed['folds_per_hour']:.4g} folds per hour, "
            f"{speed['clips_per_second']:.4g} clips per second, "
            f"{speed['seconds_per_fold_epoch']:.3g} s per fold and epoch"
        )
        rows.append(("Throughput", text))
    return Table(("", "This run"), tuple(rows), left=2)


def _score_rows(rows: Iterable[tuple[str, dict[str, Any]]]) -> tuple:
    return tuple(
        (
            *(name, str(row["n_subjects"]), str(row["n_samples"])),
            *(points(row[score]) for score in SCORES),
        )
        for name, row in rows
    )


def _confusion(run: Run) -> list[Block]:
    classes, confusion = run.metrics["classes"], np.array(run.metrics["confusion"])
    seeds = counted(len(run.metrics["seeds"]), "seed")
    caption = (
        f"Rows are true classes and sum to 100 %. Counts are test clips over {seeds}."
    )
    png = confusion_png(confusion, classes)
    rows = tuple(
        (name, *map(str, row)) for name, row in zip(classes, confusion, strict=True)
    )
    return [
        Figure(
            "figures/confusion.png", "Confusion matrix; its counts follow", caption, png
        ),
        Table(("True class", *classes), rows),
    ]


def _hard_clips(p: Predictions) -> Table | None:
    """Clips that are most often wrong: the first to look at, or to relabel."""
    rows: dict[tuple, list[int]] = defaultdict(list)
    keys = zip(p.dataset.tolist(), p.subject.tolist(), p.clip.tolist(), strict=True)
    for i, key in enumerate(keys):
        rows[key].append(i)
    found = []
    for key, index in rows.items():
        wrong = p.predicted[index] != p.label[index]
        trust = p.probabilities[index, p.label[index]].mean()
        if wrong.any():
            found.append((-wrong.mean(), trust, key, index, wrong))
    found.sort(key=lambda row: row[:3])
    table = []
    for _, trust, key, index, wrong in found[:HARD_CLIPS]:
        guess = Counter(p.predicted[index][wrong].tolist()).most_common(1)[0][0]
        names = (p.classes[p.label[index[0]]], p.classes[guess])
        times = f"{wrong.sum()} of {len(index)}"
        table.append((key[2], *key[:2], *names, times, f"{trust:.3f}"))
    columns = ("Clip", "Data set", "Subject", "True class", "Recognised as")
    columns += ("Wrong", "Probability of the truth")
    return Table(columns, tuple(table), left=5, cards=True) if table else None


def _details(run: Run) -> Iterable[Section]:
    found = run.metrics
    data_sets = found["per_dataset"]
    if data_sets:
        columns = ("Data set", "Subjects", "Clips", *SCORES.values())
        table = Table(columns, _score_rows(data_sets.items()))
        yield Section("Per data set", (table,))
    rows = tuple(
        (
            name,
            str(row["n"]),
            *(points(row[part]) for part in ("f1", "recall", "precision")),
        )
        for name, row in found["per_class"].items()
    )
    columns = ("Class", "Clips", "F1", "Recall", "Precision")
    yield Section("Per class", (Table(columns, rows),))
    yield Section("Confusion", tuple(_confusion(run)))
    if run.curves:
        caption = (
            "Averaged over the tasks. The test curve is recorded to be looked at; the "
            "scores above did not choose an epoch by it."
        )
        png = learning_png(run.curves)
        alt = "Loss and accuracy over epochs"
        figure = Figure("figures/learning.png", alt, caption, png)
        yield Section("Learning", (figure,))
    hard = _hard_clips(run.predictions)
    if hard:
        yield Section("Clips most often wrong", (hard,), folded=True)
    if len(found["seeds"]) > 1:
        rows = tuple(
            (
                str(s["seed"]),
                str(s["n_samples"]),
                *(points(s[score]) for score in SCORES),
            )
            for s in found["per_seed"]
        )
        table = Table(("Seed", "Clips", *SCORES.values()), rows)
        yield Section("Per seed", (table,), folded=True)
    rows = tuple(
        (row["dataset"], row["subject"], str(row["n"]), points(row["acc"]))
        for row in found["per_subject"]
    )
    table = Table(("Data set", "Subject", "Clips", "ACC"), rows, left=2)
    yield Section("Per subject", (table,), folded=True)


def _sources(run: Run) -> Iterable[Section]:
    made = run.experiment
    config = Table(("Option", "Value"), tuple(flattened(made["experiment"])), left=2)
    yield Section("Configuration", (config,), folded=True)
    device = made["device"]
    rows = [
        ("Data fingerprint", str(made["data"]["fingerprint"])),
        ("Source revision", made["revision"] or "unknown (not a Git checkout)"),
        ("Device", f"{device['count']} × {device['kind']} ({device['platform']})"),
        ("Started", str(made["created"])),
        *((name, str(version)) for name, version in made["versions"].items()),
    ]
    blocks = (Code(made["command"]), Table(("", "Used here"), tuple(rows), left=2))
    yield Section("How to reproduce", blocks)


def run_page(run: Run) -> Page:
    """The report of one run: the honest numbers first, everything else after."""
    found = run.metrics
    subtitle = " · ".join(
        [
            found["protocol"],
            counted(found["n_samples"], "clip"),
            counted(len(found["classes"]), "class", "classes"),
            counted(len(found["seeds"]), "seed"),
            SELECTION.get(found["selection"], found["selection"]),
        ]
    )
    headline = Meters(
        tuple(_meter(run, *score) for score in SCORES.items()), large=True
    )
    pooling = "Predictions of all folds are pooled within a seed, then scored; "
    pooling += "the seeds are averaged."
    if found["n_subjects"] > 1:
        pooling += " Intervals come from drawing subjects again (bootstrap)."
    lead: list[Block] = [headline, *_warnings(run), Paragraph(pooling), _baseline(run)]
    if found["oracle"]:
        lead.append(_oracle(run))
    protocol = Section("Protocol", (_protocol(run),))
    sections = (protocol, *_details(run), *_sources(run))
    return Page(run.experiment["name"], subtitle, tuple(lead), sections)


def _names(runs: list[Run]) -> list[str]:
    """Experiment names, with the folder where two runs share one."""
    times = Counter(run.experiment["name"] for run in runs)
    return [
        f"{run.experiment['name']} ({run.folder})"
        if times[run.experiment["name"]] > 1
        else run.experiment["name"]
        for run in runs
    ]


def _comparison_row(name: str, run: Run) -> tuple[str, ...]:
    found = run.metrics

    def with_interval(score: str) -> str:
        band = _band(run, score)
        ends = f" [{band[0]:.3f}, {band[1]:.3f}]" if band else ""
        return points(found[score]) + ends

    mixed = "" if found["subject_independent"] else " (subjects mixed)"
    return (
        *(name, found["protocol"] + mixed, found["selection"], found["batches"] or "–"),
        *(str(len(found["seeds"])), str(found["n_samples"]), points(found["acc"])),
        *(with_interval("uf1"), with_interval("uar")),
        points(found["oracle"]["uf1"] if found["oracle"] else None),
        duration(found["wall_seconds"]),
    )


def _comparison_warnings(names: list[str], runs: list[Run]) -> Iterable[Paragraph]:
    first = runs[0]
    alike = all(_clips(run.predictions) == _clips(first.predictions) for run in runs)
    if not alike:
        yield Paragraph(
            "These runs were not tested on the same clips with the same labels, so "
            "their scores do not rank the methods.",
            "warning",
        )
    for what, named in (
        (
            "train and test on the same people and cannot be compared with the others",
            [n for n, r in zip(names, runs, strict=True) if not _apart(r)],
        ),
        (
            "exclude tasks that diverged; see their own reports",
            [n for n, r in zip(names, runs, strict=True) if r.metrics["diverged"]],
        ),
    ):
        if named:
            yield Paragraph(f"These runs {what}: {', '.join(named)}.", "warning")


def _apart(run: Run) -> bool:
    return bool(run.metrics["subject_independent"])


def _clips(p: Predictions) -> set[tuple]:
    labels = np.array(p.classes, dtype=object)[p.label]
    columns = (p.dataset, p.subject, p.clip, labels)
    return set(zip(*(column.tolist() for column in columns), strict=True))


def comparison_page(runs: list[Run]) -> Page:
    """One row per run, in the order given."""
    names = _names(runs)
    columns = (
        "Experiment",
        "Protocol",
        "Selection",
        "Batches",
        "Seeds",
        "Clips",
        "ACC",
    )
    columns += ("UF1 [95 %]", "UAR [95 %]", "Oracle UF1 (inflated)", "Wall time")
    rows = tuple(_comparison_row(n, r) for n, r in zip(names, runs, strict=True))
    lines = Meters(
        tuple(
            Meter(n, r.metrics["uf1"], _band(r, "uf1"))
            for n, r in zip(names, runs, strict=True)
        )
    )
    notes = (
        Paragraph(
            "Intervals come from drawing subjects again (bootstrap) within each run. "
            "Two runs on the same clips can differ reliably although their intervals "
            "overlap.",
            "small",
        ),
        Paragraph(
            "Oracle UF1 is inflated: its epoch was chosen on the test subject.", "small"
        ),
    )
    where = tuple(
        (
            n,
            str(r.folder),
            r.experiment["command"],
            str(r.experiment["data"]["fingerprint"]),
        )
        for n, r in zip(names, runs, strict=True)
    )
    sections = (
        Section("Scores", (Table(columns, rows, left=4, cards=True), *notes)),
        Section("UF1 on one scale", (lines,)),
        Section(
            "Where they come from",
            (Table(("Experiment", "Folder", "Command", "Data"), where, 4, cards=True),),
        ),
    )
    title = f"Comparison of {counted(len(runs), 'run')}"
    subtitle = "Predictions of all folds are pooled, then scored; seeds are averaged."
    return Page(title, subtitle, tuple(_comparison_warnings(names, runs)), sections)
