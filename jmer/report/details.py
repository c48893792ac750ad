"""What lies behind the scores of one run: data sets, classes, clips and people."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from jmer.report.draw.confusion import confusion_png
from jmer.report.draw.learning import learning_png
from jmer.report.draw.subjects import subjects_png
from jmer.report.looks import hardest, looks, trust_of
from jmer.report.pictures import anchors
from jmer.report.render.blocks import Figure, PageBlock, Paragraph, Section, Table
from jmer.report.units import units_sections
from jmer.runs.curves import held_out_unit, uf1_of_tests
from jmer.runs.run import Run
from jmer.scores.labels import CLASSES, UNITS
from jmer.scores.recognition import band
from jmer.text import banded, counted, points

LOOKS = (
    "Pictures are of the prepared set, made when the run was scored: onset and apex, "
    "or what there is instead. If the faces are under a licence, so is this file."
)


TRUE = {CLASSES: "True class", UNITS: "True units"}


def _labels(run: Run) -> list[str]:
    return [metric.label for metric in run.kind.reported.values()]


def _per_dataset(run: Run) -> Table:
    """The honest scores, and the oracle's behind them where these are known."""
    found, reported, headlines = run.metrics, run.kind.reported, run.kind.headlines
    oracle = (found["oracle"] or {}).get("per_dataset", {})
    columns = ["Data set", "Subjects", "Clips"]
    columns += [f"{label} [95 %]" for label in _labels(run)]
    if oracle:
        columns += [f"Oracle {metric.label} (inflated)" for metric in headlines]
    rows = tuple(
        (
            *(name, str(row["n_subjects"]), str(row["n_samples"])),
            *(banded(row.get(score), band(row, score)) for score in reported),
            *(points(oracle[name].get(m.name)) for m in headlines if oracle),
        )
        for name, row in found["per_dataset"].items()
    )
    return Table(tuple(columns), rows, cards=True)


def _per_class(run: Run) -> Table:
    each = run.kind.each
    rows = tuple(
        (name, str(row["n"]), *(points(row.get(part)) for part in each))
        for name, row in run.metrics["per_class"].items()
    )
    return Table(("Class", "Clips", *(part.label for part in each.values())), rows)


def _confusion(run: Run) -> list[PageBlock]:
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
            "figures/confusion.png",
            "Confusion matrix; its counts follow",
            caption,
            png,
            chart=True,
        ),
        Table(("True class", *classes), rows),
    ]


def _hard_clips(run: Run) -> Table | None:
    """Clips that are most often wrong: the first to look at, or to relabel."""
    p = run.shown
    table, shown = [], []
    for key, index in hardest(p):
        wrong = ~p.right[index]
        trust = trust_of(p, index)
        texts = p.kind.texts(p.predicted[index][wrong], p.classes)
        truth = p.kind.texts(p.label[index[:1]], p.classes)[0]
        names = (truth, Counter(texts).most_common(1)[0][0])
        times = f"{wrong.sum()} of {len(index)}"
        table.append((key[2], *key[:2], *names, times, f"{trust:.3f}"))
        shown.append(key)
    columns = (
        *("Clip", "Data set", "Subject", TRUE[p.kind], "Recognised as"),
        *("Wrong", "Probability of the truth"),
    )
    if not table:
        return None
    seen, explained = looks(run.folder), anchors(run.folder)
    return Table(
        columns,
        tuple(table),
        left=5,
        cards=True,
        looks=tuple(seen.get(key) for key in shown),
        links=tuple(explained.get(key) for key in shown),
    )


def details(run: Run) -> Iterable[Section]:
    """Tables and figures; the long ones are folded away."""
    found, kind = run.metrics, run.kind
    reported = kind.reported
    if found["per_dataset"]:
        yield Section("Per data set", (_per_dataset(run),))
    if len(found.get("variants", ())) > 1:
        rows = tuple(
            (
                ", ".join(f"{name} {value:g}" for name, value in v["values"].items()),
                *(points(v.get(score)) for score in reported),
            )
            for v in found["variants"]
        )
        note = Paragraph(
            "The first is the one above. The best of several was chosen on the test "
            "subjects, and is no result: choose before, or on inner clips."
        )
        table = Table(("Variant", *_labels(run)), rows)
        yield Section("Variants", (table, note))
    if kind is UNITS:
        yield from units_sections(run)
    else:
        yield Section("Per class", (_per_class(run),))
        yield Section("Confusion", tuple(_confusion(run)))
    if run.curves and not found.get("fitted"):
        caption = (
            f"Averaged over the tasks; the {kind.headlines[0].label} is of pooled "
            "predictions. Curves of test "
            "clips are recorded to be looked at: the scores above did not choose an "
            "epoch by them."
        )
        epochs = found.get("epochs")
        if epochs:
            caption += (
                " Bars count tasks by the epoch that was tested, and by the first one "
                "that is best on the test subject: how much the oracle had to choose "
                "from."
            )
        curves = {**run.curves, **uf1_of_tests(found)}
        png = learning_png(curves, epochs, held_out_unit(run))
        alt = "Loss and scores over epochs"
        figure = Figure("figures/learning.png", alt, caption, png, chart=True)
        yield Section("Learning", (figure,))
    hard = _hard_clips(run)
    if hard:
        blocks: list[PageBlock] = [hard]
        if any(hard.looks):
            blocks.append(Paragraph(LOOKS, "small"))
        yield Section("Clips most often wrong", tuple(blocks), folded=True)
    if len(found["seeds"]) > 1:
        rows = tuple(
            (
                str(s["seed"]),
                str(s["n_samples"]),
                *(points(s.get(score)) for score in reported),
            )
            for s in found["per_seed"]
        )
        table = Table(("Seed", "Clips", *_labels(run)), rows)
        yield Section("Per seed", (table,), folded=True)
    rows = tuple(
        (row["dataset"], row["subject"], str(row["n"]), points(row["acc"]))
        for row in found["per_subject"]
    )
    table = Table(("Data set", "Subject", "Clips", "ACC"), rows, left=2)
    picture = Figure(
        "figures/subjects.png",
        "Accuracy of each subject; the numbers follow",
        "From the worst to the best; larger dots have more clips.",
        subjects_png(found["per_subject"], found["acc"]),
        chart=True,
    )
    yield Section("Per subject", (picture,))
    yield Section("Per subject, in numbers", (table,), folded=True)
