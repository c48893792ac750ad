"""What the report of one run says, as blocks."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jmer.report.details import details
from jmer.report.pictures import pictures
from jmer.report.render.blocks import (
    Code,
    Gauge,
    Gauges,
    Page,
    PageBlock,
    Paragraph,
    Section,
    Table,
)
from jmer.report.words import words
from jmer.runs.folder import SMALL
from jmer.runs.intact import checksums
from jmer.runs.run import Run
from jmer.scores.labels import UNITS
from jmer.scores.metrics import Metric
from jmer.scores.recognition import band
from jmer.scores.units import constant_one
from jmer.text import counted, duration, flattened, points

SELECTION = {
    "last": "last epoch, fixed before training",
    "inner": "epoch that was best on training clips held out inside each fold",
    "imported weights": "none: the weights were imported",
}
FITTED = {
    "last": "none: classifiers were fitted once",
    "inner": "setting that was best on training clips held out inside each fold",
}
"""The same of baselines."""
BATCHES = {
    "own": "own: each task shuffles its own training clips",
    "shared": "shared: all tasks see the same batches, and mask what is not theirs",
}
NAMED_TASKS = 12
RECIPE = ("classes", "modality", "frames", "size", "flow", "special")
"""Fields of a data set that a reader wants to know first; others follow below."""
NOTHING = (None, 0, "none")


def _gauge(run: Run, metric: Metric) -> Gauge:
    std = run.metrics["std"]
    seeds = counted(len(run.metrics["seeds"]), "seed")
    known = bool(std) and metric.name in std
    note = f"± {std[metric.name]:.3f} over {seeds}" if known else seeds
    value = run.metrics[metric.name]
    return Gauge(metric.label, value, band(run.metrics, metric.name), note)


def _task(task: dict[str, Any]) -> str:
    return (
        f"fold {task['fold']}, seed {task['seed']}, variant {task['variant']} "
        f"(epoch {task['epoch']})"
    )


def _warnings(run: Run) -> Iterable[Paragraph]:
    found = run.metrics
    if run.experiment["experiment"].get("small") is True:
        changed = "; ".join(map(str, run.experiment.get(SMALL, ())))
        yield Paragraph(
            "A small size (--small), to try things out: no number here is a result, or "
            f"compares with one.{f' Changed: {changed}.' if changed else ''}",
            "warning",
        )
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
    if seeds := run.unscored:
        yield Paragraph(
            f"This run is not finished: {', '.join(map(str, seeds))} of its seeds have "
            f"no score yet, and every number here is of the others. The run's command "
            f"goes on with it.",
            "warning",
        )
    if left := found.get("seeds_left_out"):
        yield Paragraph(
            f"Seeds {', '.join(map(str, left))} were trained in this run as well and "
            f"are left out of every number here. Choosing seeds by their scores is "
            f"choosing on the test clips: type the run's command with all of them "
            f"(--seeds) to score them together.",
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
    """The scores of always naming the commonest class, or all units: the least."""
    counts = np.array([row["n"] for row in run.metrics["per_class"].values()])
    if run.kind is UNITS:
        always = constant_one(counts, run.metrics["n_samples"])
        values = [f"{m.label} {points(m(always))}" for m in run.kind.reported.values()]
        return Paragraph(
            f"For scale: always answering that all units are shown scores "
            f"{', '.join(values)}."
        )
    guess = np.zeros((len(counts), len(counts)))
    guess[:, counts.argmax()] = counts
    values = [
        f"{metric.label} {points(metric(guess))}"
        for metric in run.kind.reported.values()
    ]
    name = run.metrics["classes"][counts.argmax()]
    return Paragraph(
        f"For scale: always answering “{name}” scores {', '.join(values)}."
    )


def _oracle(run: Run) -> Paragraph:
    found = run.metrics["oracle"]
    values = [f"{m.label} {points(found.get(n))}" for n, m in run.kind.reported.items()]
    return Paragraph(
        f"Oracle, inflated: {', '.join(values)}. Here the epoch was chosen per fold on "
        f"the test subject, as much published code does. It is no result; it only "
        f"serves to compare with such papers.",
        "small",
    )


def _facts(run: Run) -> Iterable[tuple[str, str]]:
    """The network, how it is trained, and on what; of older runs, what they say."""
    made = run.experiment["experiment"]
    for title, part in (("Network", "model"), ("Optimiser", "optim"), ("Data", "data")):
        fields = made.get(part)
        if not isinstance(fields, dict):
            continue
        kind = str(fields.get("kind", "")).removesuffix("Config")
        told = [str(fields["name"]) if "name" in fields else kind]
        if title == "Optimiser" and "lr" in fields:
            told.append(f"learning rate {fields['lr']}")
        if title == "Data":
            shown = {name: fields.get(name) for name in RECIPE}
            told += [f"{n} {x}" for n, x in shown.items() if x not in NOTHING]
            told.append(str(run.experiment["data"]["config"]))
        yield title, ", ".join(filter(None, told)) or "–"
    if run.metrics.get("fitted"):
        return
    if "batch_size" in made:
        yield "Batches", f"{run.metrics['batches'] or '–'}, {made['batch_size']} clips"
    if "epochs" in made:
        yield "Epochs", str(made["epochs"])


def _selection(found: Mapping[str, Any]) -> str:
    """How epochs, or settings of a fit, were chosen."""
    words = FITTED if found.get("fitted") else SELECTION
    return words.get(found["selection"], found["selection"])


def _fold_mean(run: Run) -> Iterable[tuple[str, str]]:
    """Beside papers whose folds mix subjects, which print nothing else."""
    mean = run.metrics.get("fold_mean")
    if mean and not run.metrics["subject_independent"]:
        values = ", ".join(f"{name} {points(value)}" for name, value in mean.items())
        named = " or ".join(metric.label for metric in run.kind.headlines)
        yield f"Means over folds (no {named})", values


def _train_only(run: Run) -> Iterable[tuple[str, str]]:
    if extra := run.experiment["data"].get("n_train_only"):
        yield "Clips for training alone", str(extra)


def _excluded(run: Run) -> Iterable[tuple[str, str]]:
    if clips := run.excluded:
        yield "Clips left out by name", ", ".join(clips)


def _protocol(run: Run) -> Table:
    found = run.metrics
    rows = [
        ("Protocol", found["protocol"]),
        ("Subjects kept apart", "yes" if found["subject_independent"] else "no"),
        *_fold_mean(run),
        ("Setting" if found.get("fitted") else "Epoch selection", _selection(found)),
        *((("Held out", found["held_out"]),) if found.get("held_out") else ()),
        ("Batches", BATCHES.get(found["batches"], found["batches"] or "–")),
        (
            "Data",
            f"{run.experiment['data']['name']} ({run.experiment['data']['config']})",
        ),
        ("Subjects", str(found["n_subjects"])),
        ("Clips", str(found["n_samples"])),
        *_train_only(run),
        *_excluded(run),
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


def _unsealed(run: Run) -> Iterable[tuple[str, str]]:
    if checksums(run.folder) is False:
        yield "Checksums", "none: it was written before them"


def _sources(run: Run) -> Iterable[Section]:
    made = run.experiment
    config = Table(("Option", "Value"), tuple(flattened(made["experiment"])), left=2)
    yield Section("Configuration", (config,), folded=True)
    device = made["device"]
    rows = [
        ("Data fingerprint", str(made["data"]["fingerprint"])),
        *_unsealed(run),
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
            counted(len(found["classes"]), run.kind.one, run.kind.many),
            counted(len(found["seeds"]), "seed"),
            _selection(found),
        ]
    )
    headline = Gauges(
        tuple(_gauge(run, m) for n, m in run.kind.reported.items() if n in found),
        large=True,
    )
    pooling = "Predictions of all folds are pooled within a seed, then scored; "
    pooling += "the seeds are averaged."
    if found["n_subjects"] > 1:
        pooling += " Intervals come from drawing subjects again (bootstrap)."
    lead: list[PageBlock] = [
        headline,
        *_warnings(run),
        Paragraph(pooling),
        _baseline(run),
    ]
    if found["oracle"]:
        lead.append(_oracle(run))
    protocol = Section("Protocol", (_protocol(run),))
    shown = tuple(pictures(run.folder))
    sections = (protocol, *details(run), *shown, *_sources(run), words(run.kind))
    return Page(
        run.experiment["name"], subtitle, tuple(lead), sections, tuple(_facts(run))
    )
