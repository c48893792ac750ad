"""The page about one clip: the answer, whose it is, and what was looked at."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jmer.files import write_json, writing
from jmer.report.attention import FIGURES, activation, figures
from jmer.report.attention.case import Case
from jmer.report.draw.settings import own_settings
from jmer.report.draw.style import (
    BLUE,
    INK,
    MUTED,
    new_figure,
    png,
    short_name,
    verbatim,
)
from jmer.report.pictures import index_of
from jmer.report.render.blocks import Figure, Page, PageBlock, Paragraph, Section, Table
from jmer.report.render.pages import write_page
from jmer.runs.folder import EXPLAIN, EXPLAINED

NO_PROOF = (
    "These pictures say where this network put weight on this clip. They are no proof "
    "that it decided for that reason, and none that a face moved there: compare many "
    "clips, right and wrong ones, before you believe a pattern."
)


def write_explanation(folder: Path, cases: Sequence[Case]) -> None:
    """Writes `explain.md`, `explain.html`, `explain.json` and `figures/*.png` about one
    clip by one run, or by several.

    Raises: JmerError if there is nothing to draw, or `folder` cannot be written.
    """
    page = explanation(cases)
    with writing(folder / EXPLAINED):  # which describes no figures of another time
        (folder / EXPLAINED).unlink(missing_ok=True)
    write_page(page, folder, EXPLAIN)
    answers = [_answer(case).text for case in cases]
    first = cases[0]
    clip = (first.dataset, first.subject, first.clip)
    write_json(folder / EXPLAINED, index_of(page.title, answers, page.figures(), clip))


def explanation(cases: Sequence[Case]) -> Page:
    """The page; the first case is the one that it is about, others stand beside it."""
    first, *others = cases
    lead: list[PageBlock] = [_answer(case) for case in cases]
    if not all(case.subject_unseen for case in cases):
        lead.append(
            Paragraph(
                "The protocol does not keep subjects apart: this person may be "
                "in other clips that the weights were trained on.",
                "warning",
            )
        )
    lead += [Paragraph(NO_PROOF), _facts(cases)]
    what = "class" if first.shown_units is None else "action unit"
    bars = Figure(
        "figures/probabilities.png",
        f"Probability of each {what}",
        f"Probability of each {what}; what is true is hatched."
        if first.shown_units is not None
        else f"Probability of each {what}; the true one is hatched.",
        probabilities_png(cases),
        chart=True,
    )
    sections = [Section("Answer", (bars,))]
    maps = [case for case in cases if FIGURES.get(case.network.name) == MAPS]
    if others and len(maps) == len(cases):
        sections.append(Section("Side by side", tuple(_compared(*cases))))
    for number, case in enumerate(cases):
        drawn = [_numbered(figure, number) for figure in figures(case)]
        title = f"What {case.network.name} looked at"
        title += f" ({case.folder.name})" if others else ""
        sections.append(Section(title, tuple(drawn)))
    who = (first.dataset, f"subject {first.subject}", f"run {first.folder.name}")
    return Page(first.clip, " · ".join(who), tuple(lead), tuple(sections))


MAPS = activation.figures


def _answer(case: Case) -> Paragraph:
    true, found = case.named(case.truth), case.named(case.found)
    if case.shown_units is not None:
        right = "which is right" if case.right else f"where the clip shows {true}"
        return Paragraph(
            f"{case.network.name}: {found}, {right}. What is drawn of one unit alone "
            f"is of {case.classes[case.predicted]}, the likeliest."
        )
    share = f"with probability {case.probabilities[case.predicted]:.2f}"
    if case.right:
        return Paragraph(f"{case.network.name}: {found}, {share}, which is right.")
    own = f"{case.probabilities[case.label]:.2f}"
    return Paragraph(
        f"{case.network.name}: {found}, {share}. The true class is {true}, to which it "
        f"gives {own}."
    )


def _compared(first: Case, second: Case) -> Iterator[PageBlock]:
    same = len(first.inputs["clip"]) == len(second.inputs["clip"])
    if same and first.classes == second.classes:
        yield activation.side_by_side(first, second)
    else:
        yield Paragraph(
            "The two runs see other frames, or tell other classes apart, so their maps "
            "follow one after another."
        )


def _numbered(figure: Figure, number: int) -> Figure:
    """Under a name of its own, where there are several cases."""
    path = Path(figure.path)
    name = f"{path.stem}-{number + 1}{path.suffix}" if number else path.name
    return replace(figure, path=str(path.with_name(name)))


def _facts(cases: Sequence[Case]) -> Table:
    def line(name: str, value: Callable[[Case], object]) -> tuple[str, ...]:
        return (name, *(str(value(case)) for case in cases))

    what = "class" if cases[0].shown_units is None else "units"
    return Table(
        ("", *(case.folder.name for case in cases)),
        (
            line("Clip", lambda c: c.clip),
            line("Subject", lambda c: c.subject),
            line("Data set", lambda c: c.dataset),
            line("Network", lambda c: c.network.name),
            line(f"True {what}", lambda c: c.named(c.truth)),
            line(f"Predicted {what}", lambda c: c.named(c.found)),
            line(
                "Weights",
                lambda c: (
                    f"fold {c.task.fold}, seed {c.task.seed}, trained without "
                    + ("this subject" if c.subject_unseen else "this clip")
                ),
            ),
            line("Run", lambda c: c.folder),
        ),
        left=1 + len(cases),
    )


@own_settings()
def probabilities_png(cases: Sequence[Case]) -> bytes:
    """A bar for each class; a panel for each case."""
    rows = len(cases[0].classes)
    figure = new_figure(4.8, len(cases) * (0.55 + 0.22 * rows))
    panels = figure.subplots(len(cases), squeeze=False)[:, 0]
    for axes, case in zip(panels, cases, strict=True):
        shares, k = case.probabilities, len(case.classes)
        drawn = axes.barh(np.arange(k), shares, 0.72, color=BLUE)
        for i in case.truth:
            drawn[i].set(hatch="////", edgecolor="white", linewidth=0)
        for i, share in enumerate(shares):
            bold = "bold" if i in case.found else "normal"
            axes.text(
                share + 0.01, i, f"{share:.2f}", va="center", size=8, color=INK,
                weight=bold,
            )  # fmt: skip
        names = [short_name(name) for name in case.classes]
        for i in case.truth:
            names[i] += " (true)"
        axes.set_yticks(range(k), names, size=8, color=INK)
        axes.set_xlim(0, 1.09)
        axes.set_ylim(k - 0.4, -0.6)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"], size=7.5, color=MUTED)
        axes.tick_params(length=0)
        axes.grid(axis="x", color="#dde3e8", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[:].set_visible(False)
        titles = [axes.title]
        if len(cases) > 1:
            axes.set_title(
                short_name(case.folder.name, 40), size=8, color=INK, loc="left"
            )
        verbatim([*axes.get_yticklabels(), *titles])
    return png(figure)
