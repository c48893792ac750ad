"""Several clips in one figure, as figure 6 of MERANet's paper has them: a frame of
each, and below it what each network looked at; or as figure 1 of AMAN's: a frame of
each by every factor of magnification."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from jmer.files import write_json, writing
from jmer.report.attention import aman
from jmer.report.attention.activation import HEAD, SAID, activation, upsampled
from jmer.report.attention.case import Case, as_rgb
from jmer.report.draw.heat import over, scale_of
from jmer.report.draw.layout import StripRow, Tiles
from jmer.report.draw.strip import strip_png
from jmer.report.pictures import GRID_TITLE, index_of
from jmer.report.render.blocks import Figure, Page, Paragraph, Section
from jmer.report.render.pages import write_page
from jmer.runs.folder import EXPLAIN, EXPLAINED

NETWORKS = ("meranet", "resnet3d")
"""Those whose logits are linear in the mean of their last features."""


def has_grid(clips: Sequence[Sequence[Case]]) -> bool:
    """Whether these clips, each by one run or several, can stand in one grid."""
    every = [case for cases in clips for case in cases]
    alike = {(case.classes, len(case.inputs["clip"])) for case in every
             if "clip" in case.inputs}  # fmt: skip
    known = all(case.network.name in NETWORKS for case in every)
    known = known or _magnifies(clips)
    return len(clips) > 1 and known and len(alike) == 1


def _magnifies(clips: Sequence[Sequence[Case]]) -> bool:
    """Whether there is one run, of AMAN."""
    return all([case.network.name for case in cases] == ["aman"] for cases in clips)


def write_grid(folder: Path, clips: Sequence[Sequence[Case]]) -> None:
    """Writes a page with the figure of `grid`, and `explain.json` for the report.

    Raises: JmerError if `folder` cannot be written.
    """
    magnified = _magnifies(clips)
    figure = aman.across([case for (case,) in clips]) if magnified else grid(clips)
    text = f"{len(clips)} clips, each by the weights of the fold that held it out."
    blocks = (Paragraph(text), figure)
    page = Page(GRID_TITLE, "", (), (Section("Side by side", blocks),))
    with writing(folder / EXPLAINED):  # which describes no figures of another time
        (folder / EXPLAINED).unlink(missing_ok=True)
    write_page(page, folder, EXPLAIN)
    write_json(folder / EXPLAINED, index_of(GRID_TITLE, [text], page.figures()))


def grid(clips: Sequence[Sequence[Case]]) -> Figure:
    """A column for each clip, with its true class above: its apex frame, then what each
    run looked at for the true class, then for the class that it predicted itself."""
    firsts = [cases[0] for cases in clips]
    rows: list[StripRow] = [Tiles("input", np.stack([_frame(c) for c in firsts]))]
    for kind in ("true", "predicted"):
        rows += [_row(cases, kind) for cases in zip(*clips, strict=True)]
    captions = [case.classes[case.label] for case in firsts]
    return Figure(
        "figures/grid.png",
        "Class activation maps of all clips, by each run",
        f"Above each column its true class; below each map the class that it is of and "
        f"its probability. Every map has a scale of its own. {SAID}",
        strip_png(rows, captions),
    )


def _row(cases: Sequence[Case], kind: str) -> Tiles:
    labels = [c.label if kind == "true" else c.predicted for c in cases]
    pairs = list(zip(cases, labels, strict=True))
    told = [f"{c.classes[i][:9]} {c.probabilities[i]:.2f}" for c, i in pairs]
    name = f"{cases[0].network.name}\n{kind} class"
    return Tiles(name, np.stack([*_maps(pairs)]), said=told)


def _maps(
    pairs: Sequence[tuple[Case, int]],
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    for case, label in pairs:
        frames = case.inputs["clip"]
        maps = activation(case.shown["features"], case.weights[HEAD][:, label])
        seen = upsampled(maps, frames.shape[:3])[moment(case)]
        yield over(_frame(case), seen, scale_of(seen, low=0))


def _frame(case: Case) -> UInt8[np.ndarray, "h w 3"]:
    return as_rgb(case.inputs["clip"])[moment(case)]


def moment(case: Case) -> int:
    """The apex frame of a case; where it is unknown, the middle one."""
    frames = len(case.inputs["clip"])
    return case.apex if 0 <= case.apex < frames else frames // 2
