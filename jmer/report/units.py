"""What a report says of each action unit."""

from collections.abc import Iterator

import numpy as np

from jmer.report.render.blocks import PageBlock, Paragraph, Section, Table
from jmer.runs.run import Run
from jmer.scores.recognition import band
from jmer.scores.units import constant_one, unit_f1
from jmer.text import banded, points


def units_sections(run: Run) -> Iterator[Section]:
    """Scores of each unit with the interval of its F1, and of each unit in each data
    set, where there are several."""
    note = Paragraph(
        "A unit is found in a clip where its logit is above 0. Beside F1 is that of "
        "always answering that the unit is shown, which anything must beat.",
        "small",
    )
    blocks: list[PageBlock] = [_each(run), note]
    yield Section("Per action unit", tuple(blocks))
    if len(run.metrics["per_dataset"]) > 1:
        yield Section("F1 of action units in each data set", (_by_set(run),))


def _each(run: Run) -> Table:
    found, each = run.metrics, run.kind.each
    people = {"n_subjects": found["n_subjects"]}
    sizes = np.array([row["n"] for row in found["per_class"].values()])
    floor = unit_f1(constant_one(sizes, found["n_samples"])).tolist()
    others = [name for name in each if name != "f1"]
    rows = tuple(
        (
            *(name, str(row["n"])),
            banded(row.get("f1"), band({**people, **row}, "f1")),
            points(always),
            *(points(row.get(other)) for other in others),
        )
        for (name, row), always in zip(found["per_class"].items(), floor, strict=True)
    )
    columns = ("Action unit", "Clips", "F1 [95 %]", "F1 of always shown")
    return Table((*columns, *(each[name].label for name in others)), rows)


def _by_set(run: Run) -> Table:
    """The F1 of the four counts of each unit, over all seeds; – where no clip of a set
    shows it."""
    sets = {
        name: np.array(own["confusion"])
        for name, own in run.metrics["per_dataset"].items()
        if "confusion" in own
    }
    rows = tuple(
        (
            str(unit),
            *(
                points(float(unit_f1(counts[i]))) if counts[i, 2:].any() else "–"
                for counts in sets.values()
            ),
        )
        for i, unit in enumerate(run.metrics["classes"])
    )
    return Table(("Action unit", *sets), rows)
