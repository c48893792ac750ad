"""A prediction as a folder: a page, tables and JSON."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jmer.errors import JmerError
from jmer.files import json_bytes, read_json, write_group, writing
from jmer.predict import figures as draw
from jmer.predict.ask import Judge
from jmer.predict.result import Asked, Found, Prediction
from jmer.predict.room import NAME, RECORD
from jmer.predict.scan import Watch
from jmer.predict.source import Source
from jmer.report.attention import figures as attention
from jmer.report.attention.case import Case, label_in
from jmer.report.render.blocks import Figure, Page, PageBlock, Paragraph, Section, Table
from jmer.report.render.pages import write_page
from jmer.scores.intervals import NEUTRAL
from jmer.scores.labels import CLASSES, UNITS

ROWS = 200
"""Rows of the page's table; the CSV file has all."""
WANTED = {CLASSES: "a class", UNITS: "action units"}
"""What is asked of a clip."""


def write_prediction(
    out: Path,
    found: Prediction,
    source: Source,
    namer: Judge,
    *,
    most: int = 12,
    threshold: float = NEUTRAL,
    watch: Watch = lambda done, total: None,
) -> None:
    """Writes `predict.html`, `predict.md`, `figures/*.png`, `found.csv`, `curve.csv`
    (where a network spots) and, when all is there, `predict.json` into `out`.

    `most` clips have pictures.

    Raises: JmerError if `out` cannot be written, or is a file.
    """
    if out.exists() and not out.is_dir():
        raise JmerError(f"{out} is a file: choose another folder with --out.")
    page = Page(
        title=found.source.name or str(found.source),
        subtitle=f"as {found.namer.network} of {found.namer.run.name} sees it",
        lead=tuple(_lead(found)),
        sections=tuple(_sections(found, source, namer, most, threshold, watch)),
    )
    before = _figures_of(out)
    with writing(out / RECORD):
        (out / RECORD).unlink(missing_ok=True)
    write_page(page, out, NAME)
    names = [figure.path for figure in page.figures()]
    with writing(out):
        for old in before - {*names}:
            (out / old).unlink(missing_ok=True)
    files = {"found.csv": found.table().encode()}
    if found.curve is not None:
        files["curve.csv"] = found.curve_table().encode()
    record = {**found.record(), "figures": names}
    write_group(out, {**files, RECORD: json_bytes(record)})


def _figures_of(out: Path) -> set[str]:
    """Those of an earlier prediction in the same folder, of ours alone."""
    try:
        told = read_json(out / RECORD, changed=True).get("figures", [])
    except (JmerError, AttributeError):
        return set()
    plain = [n for n in told if isinstance(n, str)] if isinstance(told, list) else []
    return {n for n in plain if n.startswith("figures/") and Path(n).name == n[8:]}


def _lead(found: Prediction) -> Iterator[PageBlock]:
    count, of = len(found.found), f"{found.duration:.1f} s"
    members = len((found.spotter or found.namer).members)
    who = f"{members} trainings" if members > 1 else "1 training"
    if found.spotted:
        what = "expression was" if count == 1 else "expressions were"
        yield Paragraph(f"{count or 'No'} {what} found in {of}, by {who}.")
    elif count == 1:
        one = found.found[0]
        yield Paragraph(
            f"One clip, from {one.onset:.2f} to {one.offset:.2f} s: "
            f"{found.namer.label(one) or 'no face'}, by {who}."
        )
    else:
        each = (
            "each has the action units whose probability is above one half"
            if found.namer.kind is UNITS
            else "each has the class that fits it best, whether or not anything moved "
            "in it"
        )
        yield Paragraph(
            f"{count} windows of {found.window[0]:.2f} s in {of}, by {who}: {each}."
        )
    for caution in found.cautions[:1]:
        yield Paragraph(caution, "warning")


def _sections(
    found: Prediction, source: Source, namer: Judge, most: int, threshold: float,
    watch: Watch,
) -> Iterator[Section]:  # fmt: skip
    if found.curve is not None and len(found.curve.times):
        yield Section("Over time", (_curve(found, threshold),))
    elif not found.spotted and len(found.found) > 1:
        yield Section("Over time", (_windows(found),))
    if found.found:
        title = "Intervals" if found.spotted else "Windows"
        yield Section(title, tuple(_table(found)), folded=len(found.found) > 24)
    yield Section("What it cannot know", tuple(map(Paragraph, found.cautions)))
    shown = [(i, one) for i, one in enumerate(found.found, 1) if one.clip is not None]
    for done, (number, one) in enumerate(shown[:most], 1):
        watch(done, min(most, len(shown)))
        yield Section(
            _title(found, one),
            tuple(_clip(found, one, number, source, namer)),
            anchor=f"clip-{number}",
        )
    yield Section("The face", tuple(_face(found, source)))
    yield Section("Who was asked, and how", tuple(_asked(found)), folded=True)


def _title(found: Prediction, one: Found) -> str:
    label = found.namer.label(one)
    return f"{one.onset:.2f} to {one.offset:.2f} s" + (f": {label}" if label else "")


def _curve(found: Prediction, threshold: float) -> Figure:
    return Figure(
        "figures/curve.png",
        "Intensity over time",
        "How far each moment shows an expression: the median over the trainings, and "
        "in pale blue their standard deviation. Bars below are the intervals, "
        "triangles their apexes, the dotted line is the threshold.",
        draw.curve_png(found, threshold),
        chart=True,
    )


def _windows(found: Prediction) -> Figure:
    what = f"Probability of each {found.namer.kind.one}"
    dotted = (
        "What is above the dotted line is found."
        if found.namer.kind is UNITS
        else "Lines near the dotted one say nothing."
    )
    return Figure(
        "figures/windows.png",
        f"{what} over time",
        f"{what}, at the middle of each window: the mean over the trainings. {dotted}",
        draw.windows_png(found),
        chart=True,
    )


def _table(found: Prediction) -> Iterator[PageBlock]:
    rows, links = list[tuple[str, ...]](), list[str | None]()
    for i, one in enumerate(found.found[:ROWS], 1):
        level = "–" if one.intensity is None else f"{one.intensity:.2f}"
        share = agree = "–"
        if one.probabilities is not None:
            mean, spread = one.probabilities.mean(0), one.probabilities.std(0)
            share = f"{mean.max():.2f} ± {spread[mean.argmax()]:.2f}"
            agree = f"{found.namer.agreed(one):.0%}"
        label = found.namer.label(one) or "–"
        moments = (f"{x:.2f}" for x in (one.onset, one.apex, one.offset))
        rows.append((label, *moments, *([level] * found.spotted), share, agree))
        links.append(f"clip-{i}" if one.clip is not None else None)
    more = ("Intensity",) if found.spotted else ()
    of_units = found.namer.kind is UNITS
    first = "Action units" if of_units else "Class"
    share = "Highest probability" if of_units else "Probability"
    head = (first, "Onset (s)", "Apex (s)", "Offset (s)")
    yield Table(
        (*head, *more, share, "Members agree"),
        tuple(rows),
        links=tuple(links),
        cards=True,
    )
    if len(found.found) > ROWS:
        yield Paragraph(
            f"These are the first {ROWS} of {len(found.found)}; found.csv has all.",
            "small",
        )


def _clip(
    found: Prediction, one: Found, number: int, source: Source, namer: Judge
) -> Iterator[PageBlock]:
    assert one.clip is not None
    kind = found.namer.kind
    wanted = dict(zip(("onset", "apex", "offset"), one.frames, strict=True))
    seen = dict(source.pictures(sorted({*one.frames})))
    look = one.clip.look
    faces = {
        name: draw.portrait(look, seen[i]) for name, i in wanted.items() if i in seen
    }
    if faces:
        yield Figure(
            f"figures/moments-{number:03d}.png",
            "The face at onset, apex and offset",
            "The face at onset, apex and offset, and what is lighter or darker at the "
            "apex than at the onset, five times as strong.",
            draw.moments_png(one, faces),
        )
    if one.probabilities is None:
        yield Paragraph(
            f"There was no face at the onset: nobody was asked for {WANTED[kind]}."
        )
        return
    yield Figure(
        f"figures/classes-{number:03d}.png",
        f"Probability of each {kind.one}",
        f"Probability of each {kind.one}: the mean over the trainings, and their "
        f"standard deviation.",
        draw.classes_png(one, found.namer),
        chart=True,
    )
    yield from _looked_at(found, one, number, namer)


def _looked_at(
    found: Prediction, one: Found, number: int, namer: Judge
) -> Iterator[PageBlock]:
    """What the training that is nearest to the mean looked at."""
    assert one.clip is not None and one.probabilities is not None
    mean = one.probabilities.mean(0)
    near = int(np.abs(one.probabilities - mean).sum(1).argmin())
    row = namer.members.rows[near]
    try:
        logits, shown = namer.members.explained(one.clip.inputs, row)
    except JmerError:
        return  # a baseline, or whatever else has nothing to show
    task = namer.members.tasks[near]
    label, units = int(logits.argmax()), None
    if found.namer.kind is UNITS:  # nobody knows the true ones
        label, units = label_in(logits > 0, logits)
    case = Case(
        folder=found.source,  # no figures of the run's own clips
        network=namer.members.network,
        task=task,
        subject_unseen=True,
        classes=found.namer.classes,
        dataset=found.source.name,
        subject="",
        clip=found.source.stem,
        label=label,
        shown_units=units,
        interval=(-1, -1),
        inputs={n: a for n, a in one.clip.inputs.items() if n != "intensity"},
        logits=logits,
        shown=shown,
        weights=namer.members.arrays(row),
    )
    try:
        drawn = attention(case)
    except JmerError:
        return  # a network that has nothing to show
    yield Paragraph(
        f"What {case.network.name} looked at, by the training of fold {task.fold}, "
        f"which is nearest to the mean. It is no proof that a face moved there.",
        "small",
    )
    for figure in drawn:
        path = Path(figure.path)
        name = f"{path.stem}-{number:03d}{path.suffix}"
        yield dataclasses.replace(figure, path=str(path.with_name(name)))


def _face(found: Prediction, source: Source) -> Iterator[PageBlock]:
    looks = [(n, look) for n, look in found.looks if look.faces]
    if looks:
        number, look = looks[0]
        for _, picture in source.pictures([number]):
            about = "and the box of the face that is followed" * (look.box is not None)
            yield Figure(
                "figures/face.png",
                "A frame of the video",
                f"The frame at {found.seconds[number]:.2f} s, {about}.".replace(
                    ", .", "."
                ),
                draw.face_png(look, picture),
            )
    blind = sum(not look.faces for _, look in found.looks)
    if any(look.box is not None for _, look in looks) or blind:
        times = len(found.looks)
        yield Paragraph(
            f"The face was looked for {times} times, and found {times - blind} times.",
            "small",
        )


def _asked(found: Prediction) -> Iterator[PageBlock]:
    def rows(one: Asked, does: str) -> list[tuple[str, ...]]:
        some = "; ".join(one.members[:8]) + ("; …" if len(one.members) > 8 else "")
        return [
            (does, f"{one.network} of {one.run}"),
            ("Trained on", one.data),
            (one.kind.many.capitalize(), ", ".join(one.classes)),
            ("Trainings", f"{len(one.members)}: {some}"),
        ]

    said = rows(found.namer, "Names")
    if found.spotter is not None and found.spotter != found.namer:
        said = [*rows(found.spotter, "Spots"), *said]
    said += [
        ("Video", f"{len(found.seconds)} frames, {found.frame_rate:.4g} a second"),
        ("Seen at", f"{found.rate:.4g} frames a second"),
        ("Window", f"{found.window[0]:.3f} s, every {found.window[1]:.3f} s"),
    ]
    yield Table(("", ""), tuple(said), left=2)
