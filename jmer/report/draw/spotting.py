"""The figures of spotting, as PNG bytes: intensities, the ROC curve, heat maps."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from jmer.annotations import Float
from jmer.report.draw.heat import Scale, shades
from jmer.report.draw.layout import Tiles
from jmer.report.draw.settings import own_settings
from jmer.report.draw.strip import strip_png
from jmer.report.draw.style import (
    BLUE,
    INK,
    MUTED,
    dressed,
    new_figure,
    png,
    short_name,
    verbatim,
)
from jmer.scores.intervals import STATES, Roc, states
from jmer.scores.spotting import Rule, Watched

# Rising warm, falling cold and hatched, the apex darkest: told apart in grey too.
COLOURS = ("#d5dbe0", "#f3c98b", "#e08a2e", "#7a2f10", "#3f7fb5", "#a9cbe6")
FALLING = (STATES.index("apex-offset"), STATES.index("offset"))
MAPS = (
    "local to context\nof the next",
    "local to local\nof the next",
    "local of the next\nto context",
)


@own_settings()
def intensity_png(clip: Watched, rule: Rule, first: int = 0) -> bytes:
    """The intensity of each frame that was found, coloured by its state, under the true
    one; bars below are the intervals of both. The first frame has the number `first`.
    """
    figure = new_figure(4.8, 2.5)
    axes = figure.add_subplot()
    frame, state = first + np.arange(len(clip.found)), states(clip.found)
    for i, name in enumerate(STATES):
        here = state == i
        if here.any():
            drawn = axes.bar(frame[here], clip.found[here], 1.0, color=COLOURS[i])
            drawn.set_label(name)
            if i in FALLING:
                for bar in drawn:
                    bar.set(hatch="////", edgecolor="white", linewidth=0)
    axes.plot(frame, clip.true, color=INK, linewidth=1.3, label="true")
    video = clip.video(rule)
    for rows, colour, height in ((video.true, INK, -0.06), (video.found, BLUE, -0.13)):
        for onset, offset in rows:
            ends = [first + onset - 0.4, first + offset + 0.4]
            axes.plot(ends, [height] * 2, color=colour, lw=3)
    axes.axhline(rule.threshold, color=MUTED, linewidth=0.8, linestyle=":")
    axes.set_ylim(-0.18, 1.05)
    axes.set_xlim(first - 1, first + len(frame))
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("frame (bars below: true over found)", color=MUTED, size=8.5)
    axes.set_ylabel("intensity", color=MUTED, size=8.5)
    axes.set_title(short_name(clip.clip, 48), size=8.5, color=INK)
    verbatim([axes.title])
    dressed(axes)
    axes.legend(
        frameon=False, fontsize=7, labelcolor=INK, ncols=4, loc="upper center",
        bbox_to_anchor=(0.5, -0.28), handlelength=1.2, columnspacing=1.0,
    )  # fmt: skip
    return png(figure)


@own_settings()
def roc_png(curve: Roc) -> bytes:
    """True over false positive rate of frames; the diagonal is chance."""
    figure = new_figure(3.2, 3.1)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], ":", color=MUTED, linewidth=1)
    axes.plot(curve.false_positive, curve.true_positive, color=BLUE, linewidth=1.6)
    axes.set_title(f"area {curve.area:.3f}", size=9, color=INK)
    axes.set_xlabel("neutral frames taken for an expression", color=MUTED, size=8.5)
    axes.set_ylabel("frames of expressions found", color=MUTED, size=8.5)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    dressed(axes)
    return png(figure)


def maps_png(
    maps: Mapping[str, Float[np.ndarray, "s i j d"]],
    intensity: Float[np.ndarray, " s"] | None,
    frames: np.ndarray | None = None,
    columns: int = 6,
) -> bytes:
    """Heat maps of a clip: the three differences in time, and the mask of motion.

    `maps` has those that the network has, by the names of `explain`; columns are steps
    at equal distances, below their `frames` [s, h, w, 3] and above their intensities
    where there are some. Each map has a scale of its own, from 0.
    """
    if not maps:
        raise ValueError("no map")
    steps = len(next(iter(maps.values())))
    some = np.unique(np.linspace(0, steps - 1, columns).round().astype(int))
    said = () if intensity is None else [f"{intensity[step]:.2f}" for step in some]
    rows: list[Tiles] = []
    if frames is not None:
        rows.append(Tiles("frame", frames[some]))
    if "contrast" in maps:
        for i, name in enumerate(MAPS):
            contrast = maps["contrast"][..., i]
            scale = Scale(0, float(contrast.max()))
            rows.append(Tiles(name, [shades(x, scale) for x in contrast[some]], scale))
    if "motion" in maps:
        scale = Scale(0, 1)
        images = [shades(x, scale) for x in maps["motion"][some, ..., 0]]
        rows.append(Tiles("motion", images, scale))
    rows[-1] = replace(rows[-1], said=said)
    return strip_png(rows, [f"step {step + 1}" for step in some])
