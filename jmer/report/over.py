"""How the scores of a sweep change with a number that its cells differ in."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jmer.errors import option
from jmer.report.draw.lines import Points, lines_png
from jmer.report.render.blocks import Figure, Section
from jmer.runs.run import Run

LEAST = 3  # points of a line
FOLLOWS = ("data_fingerprint",)
"""What no cell chooses, and what differs wherever its choices make other clips."""


def over_section(names: Sequence[str], runs: Sequence[Run]) -> Iterator[Section]:
    """A figure for each number that at least three runs differ in which are alike in
    all else, a line for each such group of runs: papers' curves of accuracy over the
    number of frames, say. Numbers that always change together are one.
    """
    fields = [
        {
            name: value
            for name, value in _flat(
                run.experiment.get("identity") or run.experiment["experiment"]
            )
            if name not in FOLLOWS
        }
        for run in runs
    ]
    figures = tuple(
        _figure(axis, lines, names, runs) for axis, lines in axes_of(names, fields)
    )
    if figures:
        yield Section("Scores over values", figures)


Lines = Mapping[str, Sequence[tuple[float, int]]]


def axes_of(
    names: Sequence[str], fields: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[tuple[str, ...], Lines]]:
    """The numbers that there are curves over, by the names of their fields, and for
    each the values and numbers of the runs of each line, in ascending order."""
    every = list(dict.fromkeys(name for one in fields for name in one))
    differing = [n for n in every if len({_word(one.get(n)) for one in fields}) > 1]
    seen: set[str] = set()
    for name in differing:
        values = [one.get(name) for one in fields]
        if name in seen or not all(map(_is_number, values)):
            continue
        axis = [other for other in differing if _together(fields, name, other)]
        seen.update(axis)
        if not all(_is_number(one.get(other)) for one in fields for other in axis):
            continue  # data sets, say, that have a number, too
        rest = [other for other in differing if other not in axis]
        groups: dict[str, list[tuple[float, int]]] = {}
        for i, one in enumerate(fields):
            key = json.dumps([_word(one.get(other)) for other in rest])
            groups.setdefault(key, []).append((one[name], i))
        found = [sorted(group) for group in groups.values() if len(group) >= LEAST]
        if found:
            yield tuple(axis), dict(_named(found, names, axis))


def _named(
    groups: Sequence[Sequence[tuple[float, int]]],
    names: Sequence[str],
    axis: Sequence[str],
) -> Iterator[tuple[str, Sequence[tuple[float, int]]]]:
    """Each with what is common to the names of its cells, without the number."""
    taken: set[str] = set()
    for k, group in enumerate(groups):
        words = [
            [
                w
                for w in names[i].split()
                if w.partition("=")[0] not in map(option, axis)
            ]
            for _, i in group
        ]
        common = [w for w in words[0] if all(w in other for other in words)]
        name = " ".join(common)
        if not name or name in taken:
            name = f"{name} {k + 1}".strip()
        taken.add(name)
        yield name, group


def _figure(
    axis: Sequence[str], lines: Lines, names: Sequence[str], runs: Sequence[Run]
) -> Figure:
    kind = runs[0].kind
    scores = dict.fromkeys(("acc", kind.headlines[0].name))
    panels: dict[str, dict[str, Points]] = {}
    for score in scores:
        made: dict[str, Points] = {}
        for name, line in lines.items():
            found = [(value, runs[i].metrics.get(score)) for value, i in line]
            made[name] = [(at, 100 * y) for at, y in found if isinstance(y, float)]
        drawn = {name: points for name, points in made.items() if points}
        if drawn:
            panels[f"{kind.metrics[score].label} (%)"] = drawn
    words = " and ".join(map(option, axis))
    return Figure(
        f"figures/over-{option(axis[0])}.png",
        f"Scores over {words}",
        f"Scores over {words}, a line for each group of cells that are alike in all "
        f"else. Which value is best is no result: all were tested on the same people.",
        lines_png(words, panels),
        chart=True,
    )


def _together(fields: Sequence[Mapping[str, Any]], one: str, other: str) -> bool:
    """Whether two fields tell the same cells apart."""
    pairs = {(_word(f.get(one)), _word(f.get(other))) for f in fields}
    firsts, seconds = ({pair[i] for pair in pairs} for i in (0, 1))
    return len(pairs) == len(firsts) == len(seconds)


def _flat(fields: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{where}{name}.")
        else:
            yield f"{where}{name}", value


def _word(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)
