"""What a meta-analysis says: a page with a forest plot for each pair, and a table."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from jmer.files.cells import csv_text
from jmer.report.apart import apart_section
from jmer.report.draw.forest import Line, forest_png
from jmer.report.meta import Meta, PairEffect, SetEffect
from jmer.report.render.blocks import Figure, Page, Paragraph, Section, Table
from jmer.report.render.pages import write_page
from jmer.runs.folder import META_CSV, REPORT
from jmer.text import counted

NBSP = "\N{NO-BREAK SPACE}"
SURE = 0.05
"""p below which a set that dissents, or the whole that it dissents from, is more than
chance."""
FEW_SETS = 5
"""With fewer the spread between sets is poorly known."""


def write_meta(meta: Meta, out: Path) -> str:
    """Writes `report.md`, `report.html`, the forest plots and `meta.csv` into a folder,
    and returns the Markdown.

    Raises: JmerError if it cannot be written; UsageError, before anything is, if there
    is something of these names that is of no meta-analysis.
    """
    beside = {META_CSV: meta_csv(meta)}
    return write_page(meta_page(meta), out, REPORT, beside=beside, by="meta")


def meta_page(meta: Meta) -> Page:
    """All pairs in a table, then each with its sets."""
    label = meta.tried[0].run.kind.label_of_score(meta.score)
    methods = counted(len({one.method for one in meta.tried}), "method")
    sets = counted(len(meta.sets), "data set")
    limits = _limits(meta.pairs)
    sections = (
        Section("All pairs", (_table(meta), *_reading(label))),
        *(
            Section(pair.name, tuple(_pair(pair, label, limits, number)))
            for number, pair in enumerate(meta.pairs, start=1)
        ),
        apart_section(
            [str(one.run.folder) for one in meta.tried], [one.run for one in meta.tried]
        ),
        Section("Where they come from", (_sources(meta),)),
    )
    return Page(
        f"Meta-analysis of {methods} over {sets}",
        f"{label}: paired by subject on each set, then combined. "
        f"Sets: {', '.join(meta.sets)}.",
        tuple(_warnings(meta)),
        sections,
    )


def _warnings(meta: Meta) -> Iterator[Paragraph]:
    for first, second in meta.alone:
        text = f"{first} and {second} share no data set, and are left out."
        yield Paragraph(text, "warning")
    if not all(one.run.metrics["subject_independent"] for one in meta.tried):
        text = "The protocol mixes subjects: known people are recognised, too."
        yield Paragraph(text, "warning")
    for pair in meta.pairs:
        other = [pair.sets[i] for i in pair.combined.dissent]
        if other and min(pair.combined.p, *(o.found.p for o in other)) < SURE:
            names = ", ".join(one.name for one in other)
            say = "says" if len(other) == 1 else "say"
            text = f"{pair.name}: {names} {say} the opposite of the whole."
            yield Paragraph(text, "warning")


def _reading(label: str) -> Iterator[Paragraph]:
    yield Paragraph(
        f"A pair is the second method minus the first: above 0, it has the higher "
        f"{label}. z combines the p of the sets by Stouffer's method, weighted by the "
        f"square root of their numbers of subjects; p asks whether the two differ in "
        f"any set, and is corrected for all pairs by Holm, and by Benjamini and "
        f"Hochberg (BH)."
    )
    yield Paragraph(
        f"The mean difference weighs sets by the inverse of their variance, with "
        f"random effects (DerSimonian and Laird); τ is the standard deviation between "
        f"sets, I² the share of their spread that subjects do not explain. With fewer "
        f"than {FEW_SETS} sets τ is poorly known, and the interval rather too narrow.",
        "small",
    )


def _table(meta: Meta) -> Table:
    columns = (
        *("Pair", "Sets", "Subjects", "z", "p", "p Holm", "p BH"),
        *("Mean difference [95 %]", "τ", "I²"),
    )
    rows = tuple((pair.name, *_cells(pair)) for pair in meta.pairs)
    return Table(columns, rows, left=1, cards=True)


def _cells(pair: PairEffect) -> tuple[str, ...]:
    whole, mean = pair.combined, pair.combined.pooled
    return (
        *(str(len(pair.sets)), str(whole.subjects), f"{whole.z:+.2f}"),
        *(_chance(p) for p in (whole.p, pair.holm, pair.bh)),
        _banded(mean.value, mean.low, mean.high) if mean else "–",
        *_spread(pair),
    )


def _spread(pair: PairEffect) -> tuple[str, str]:
    """Between sets; nothing of one alone."""
    mean = pair.combined.pooled
    if mean is None or len(pair.sets) < 2:
        return "–", "–"
    return f"{mean.between:.3f}", f"{100 * mean.inconsistency:.0f}{NBSP}%"


def _chance(p: float) -> str:
    """A p as a table can sort it."""
    return f"{p:.4f}" if p >= 1e-4 else f"{p:.0e}"


def _banded(value: float, low: float, high: float) -> str:
    return f"{value:+.4f} [{low:+.3f},{NBSP}{high:+.3f}]"


def _pair(
    pair: PairEffect, label: str, limits: tuple[float, float], number: int
) -> Iterator[Paragraph | Table | Figure]:
    whole = pair.combined
    shares = whole.pooled.shares if whole.pooled else whole.weights
    names = [f"{one.name} ({one.found.subjects})" for one in pair.sets]
    lines = [
        Line(name, one.found.value, one.found.low, one.found.high, share)
        for name, one, share in zip(names, pair.sets, shares, strict=True)
    ]
    mean = whole.pooled
    diamond = Line("all", mean.value, mean.low, mean.high, 1.0) if mean else None
    yield Figure(
        f"figures/forest-{number}.png",
        f"Forest plot of {pair.name}: "
        + "; ".join(
            f"{n} {line.value:+.3f}" for n, line in zip(names, lines, strict=True)
        ),
        f"Difference in {label} on each set (subjects in brackets; the square is the "
        f"weight), and their mean.",
        forest_png(f"{label}: {pair.name}", lines, diamond, limits),
        chart=True,
    )
    columns = (
        *("Data set", "Subjects", f"{label} difference [95 %]"),
        *("p", "p Holm", "p BH", "Weight in z", "Weight in the mean"),
    )
    rows = tuple(
        _row(one, whole.weights[i], mean.shares[i] if mean else None)
        for i, one in enumerate(pair.sets)
    )
    yield Table(columns, rows, left=1, cards=True)
    if mean is None:
        yield Paragraph(
            "There is no mean: on a set the two never differ, or one person was "
            "tested, so that nothing tells how far the difference reaches.",
            "warning",
        )


def _row(one: SetEffect, weight: float, share: float | None) -> tuple[str, ...]:
    found = one.found
    return (
        *(one.name, str(found.subjects), _banded(found.value, found.low, found.high)),
        *(_chance(p) for p in (found.p, one.holm, one.bh)),
        *(f"{weight:.3f}", "–" if share is None else f"{share:.3f}"),
    )


def _limits(pairs: Sequence[PairEffect]) -> tuple[float, float]:
    """One scale for all plots, with 0 on it."""
    ends = [0.0]
    for pair in pairs:
        mean = pair.combined.pooled
        ends += [mean.low, mean.high] if mean else []
        ends += [end for one in pair.sets for end in (one.found.low, one.found.high)]
    room = 0.05 * (max(ends) - min(ends)) or 0.1
    return min(ends) - room, max(ends) + room


def _sources(meta: Meta) -> Table:
    rows = tuple(
        (one.method, str(one.run.experiment["data"]["name"]),
         str(one.run.metrics["protocol"]), str(one.run.folder),
         ", ".join(map(str, one.run.metrics["seeds"])))
        for one in meta.tried
    )  # fmt: skip
    columns = ("Method", "Data", "Protocol", "Folder", "Seeds")
    return Table(columns, rows, left=5, cards=True)


def meta_csv(meta: Meta) -> str:
    """A row for each pair and set, then for each pair, in full precision."""
    columns = (
        *("first", "second", "score", "set", "subjects", "difference", "low", "high"),
        *("z", "p", "p_holm", "p_bh", "tau", "i2", "weight_z", "weight_mean"),
    )
    return csv_text([columns, *_csv_rows(meta)])


def _csv_rows(meta: Meta) -> Iterator[tuple]:
    for pair in meta.pairs:
        key, whole = (pair.first, pair.second, meta.score), pair.combined
        mean = whole.pooled
        for i, one in enumerate(pair.sets):
            found = one.found
            yield (
                *(*key, one.name, found.subjects, found.value, found.low, found.high),
                *("", found.p, one.holm, one.bh, "", "", whole.weights[i]),
                mean.shares[i] if mean else "",
            )
        yield (
            *(*key, "", whole.subjects),
            *((mean.value, mean.low, mean.high) if mean else ("", "", "")),
            *(whole.z, whole.p, pair.holm, pair.bh),
            *((mean.between, mean.inconsistency) if mean else ("", "")),
            *("", ""),
        )
