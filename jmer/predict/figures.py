"""The pictures of a prediction, as PNG bytes."""

import cv2
import numpy as np
from jaxtyping import UInt8

from jmer.predict.faces import Look
from jmer.predict.result import Asked, Found, Prediction
from jmer.predict.source import Picture
from jmer.preprocess.align import Box
from jmer.report.draw.settings import own_settings
from jmer.report.draw.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    dressed,
    new_figure,
    png,
    short_name,
    verbatim,
)
from jmer.scores.labels import UNITS

SIDE = 220
"""Of a face in a picture, in pixels."""
WIDTH = 480
"""Of a whole frame."""
LINES = ("-", "--", ":", "-.")
COLOURS = (BLUE, ORANGE, GREEN, INK, "#8a4f9e", "#b0883a", "#5b8a8a")
MOST_BARS = 400
"""Intervals that a curve marks; more would be one bar."""


def portrait(look: Look, picture: Picture) -> UInt8[np.ndarray, "n n 3"]:
    """The face as it is cut out; where nothing is, about the box of the detector, or
    the whole frame on white."""
    if look.square is not None:
        return look.square.cut(picture, SIDE)
    if look.box is not None:
        return Box.around(*look.box).cut(picture, SIDE)
    high, wide = picture.shape[:2]
    side = max(high, wide)
    square = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - high) // 2, (side - wide) // 2
    square[top : top + high, left : left + wide] = picture
    return cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


@own_settings()
def face_png(look: Look, picture: Picture) -> bytes:
    """A frame, and a box about the face that is followed."""
    high, wide = picture.shape[:2]
    figure = new_figure(3.2, 3.2 * high / wide)
    axes = figure.add_subplot()
    scale = min(1.0, WIDTH / wide)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    axes.imshow(small, extent=(0, wide, high, 0), aspect="auto")
    axes.set_axis_off()
    if look.box is not None:
        left, top, width, height = look.box
        x = np.array([left, left + width, left + width, left, left])
        y = np.array([top, top, top + height, top + height, top])
        axes.plot(x, y, color="white", linewidth=3)
        axes.plot(x, y, color=BLUE, linewidth=1.5)
    axes.set_xlim(0, wide)
    axes.set_ylim(high, 0)
    return png(figure)


@own_settings()
def curve_png(found: Prediction, threshold: float) -> bytes:
    """The intensity over time, and what is found in it."""
    assert found.curve is not None
    figure = new_figure(6.2, 2.2)
    axes = figure.add_subplot()
    times, middle, spread = found.curve.times, found.curve.middle, found.curve.spread
    axes.fill_between(
        times, np.maximum(middle - spread, 0), middle + spread, color=BLUE, alpha=0.2,
        linewidth=0,
    )  # fmt: skip
    axes.plot(times, middle, color=BLUE, linewidth=1.2)
    for one in found.found[:MOST_BARS]:
        axes.plot([one.onset, one.offset], [-0.06] * 2, color=INK, linewidth=3)
        axes.plot([one.apex], [one.intensity or 0.0], "v", color=ORANGE, markersize=4)
    axes.axhline(threshold, color=MUTED, linewidth=0.8, linestyle=":")
    axes.set_ylim(-0.1, 1.05)
    axes.set_xlim(float(times[0]), max(float(times[-1]), float(times[0]) + 1e-3))
    axes.set_xlabel("seconds", color=MUTED, size=8.5)
    axes.set_ylabel("intensity", color=MUTED, size=8.5)
    dressed(axes)
    return png(figure)


@own_settings()
def windows_png(found: Prediction) -> bytes:
    """The probability of each class or action unit over the middles of windows."""
    figure = new_figure(6.2, 2.5)
    axes = figure.add_subplot()
    shown = [one for one in found.found if one.probabilities is not None]
    times = np.array([(one.onset + one.offset) / 2 for one in shown])
    shares = np.array(
        [p.mean(0) for one in shown if (p := one.probabilities) is not None]
    )
    for i, name in enumerate(found.namer.classes):
        style = LINES[(i // len(COLOURS)) % len(LINES)]
        dot = "o" if len(times) < 40 else ""
        axes.plot(
            times, shares[:, i], style + dot, color=COLOURS[i % len(COLOURS)],
            linewidth=1.2, markersize=2.5, label=short_name(name),
        )  # fmt: skip
    level = 0.5 if found.namer.kind is UNITS else 1 / shares.shape[1]
    axes.axhline(level, color=MUTED, linewidth=0.8, linestyle=":")
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("seconds (middle of the window)", color=MUTED, size=8.5)
    axes.set_ylabel("probability", color=MUTED, size=8.5)
    dressed(axes)
    legend = axes.legend(
        frameon=False, fontsize=7.5, labelcolor=INK, ncols=4, loc="upper center",
        bbox_to_anchor=(0.5, -0.24), handlelength=1.6, columnspacing=1.2,
    )  # fmt: skip
    verbatim(legend.get_texts())
    return png(figure)


@own_settings()
def moments_png(one: Found, pictures: dict[str, UInt8[np.ndarray, "n n 3"]]) -> bytes:
    """Onset, apex and offset beside one another, with what the apex has that the onset
    has not."""
    at = {"onset": one.onset, "apex": one.apex, "offset": one.offset}
    shown = {f"{n} {at[n]:.2f} s": pictures[n] for n in at if n in pictures}
    if "onset" in pictures and "apex" in pictures:
        shown["apex less onset"] = _difference(pictures["onset"], pictures["apex"])
    figure = new_figure(1.3 * len(shown), 1.5)
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, (caption, image) in zip(panels, shown.items(), strict=True):
        axes.imshow(image)
        axes.set_title(caption, size=7.5, color=INK, pad=3)
        axes.set_axis_off()
    return png(figure)


def _difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Grey where nothing changed, five times as light or dark as it became."""
    grey = [
        cv2.cvtColor(x, cv2.COLOR_RGB2GRAY).astype(np.float32) for x in (first, second)
    ]
    change = cv2.GaussianBlur(grey[1] - grey[0], (0, 0), 1.0)
    shown = np.clip(128 + 5 * (change - np.median(change)), 0, 255).astype(np.uint8)
    return np.repeat(shown[..., None], 3, -1)


@own_settings()
def classes_png(one: Found, asked: Asked) -> bytes:
    """A bar for each class or action unit, with the spread over members."""
    assert one.probabilities is not None
    mean, spread = one.probabilities.mean(0), one.probabilities.std(0)
    classes, chosen = asked.classes, asked.picked(one)
    k = len(classes)
    figure = new_figure(4.4, 0.45 + 0.24 * k)
    axes = figure.add_subplot()
    error = {"ecolor": INK, "elinewidth": 0.9, "capsize": 2}
    several = len(one.probabilities) > 1
    axes.barh(
        range(k), mean, 0.66, color=BLUE, xerr=spread if several else None,
        error_kw=error,
    )  # fmt: skip
    for i, share in enumerate(mean):
        place = min(1.02, share + (spread[i] if several else 0) + 0.02)
        said = chosen[i] if asked.kind is UNITS else i == chosen
        bold = "bold" if said else "normal"
        axes.text(place, i, f"{share:.2f}", va="center", size=8, color=INK, weight=bold)
    axes.set_yticks(range(k), [short_name(name) for name in classes], size=8, color=INK)
    verbatim(axes.get_yticklabels())
    axes.set_xlim(0, 1.14)
    axes.set_ylim(k - 0.4, -0.6)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"], size=7.5, color=MUTED)
    axes.tick_params(length=0)
    axes.grid(axis="x", color="#dde3e8", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    return png(figure)
