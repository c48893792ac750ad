"""MERANet and the 3D ResNet: class activation maps, and the weights of gates."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jmer.annotations import Float
from jmer.report.attention.case import Case, as_rgb
from jmer.report.attention.stanet import numbered
from jmer.report.draw.heat import over, scale_of, shades
from jmer.report.draw.layout import WIDEST, StripRow, Tiles
from jmer.report.draw.settings import own_settings
from jmer.report.draw.strip import strip_png
from jmer.report.draw.style import BLUE, INK, MUTED, new_figure, png
from jmer.report.render.blocks import Figure

HEAD = "params.head.kernel"
SAID = (
    "Grad-CAM of the last features: dark places added most to the logit of the class, "
    "white ones nothing or took from it. Maps are coarser than frames, and linear "
    "between the centres of their cells."
)


def activation(
    features: Float[np.ndarray, "t i j c"], weights: Float[np.ndarray, " c"]
) -> Float[np.ndarray, "t i j"]:
    """Grad-CAM (Selvaraju et al. 2017, equations 1 and 2) of a class whose logit is
    linear in the mean of the features over time and place.

    The gradient is `weights` over the number of places, the same at each of them; so
    the map is the class activation map, and without the ReLU its sum is the logit less
    the bias.
    """
    return np.maximum(features @ weights, 0) / features[..., 0].size


def upsampled(
    maps: Float[np.ndarray, "t i j"], shape: Sequence[int]
) -> Float[np.ndarray, "T h w"]:
    """Linear between the centres of cells, as frames of `shape` (T, h, w)."""
    return np.asarray(jax.image.resize(maps, tuple(shape), "linear"))


def activation_row(case: Case, label: int, name: str) -> Tiles:
    """The map of a class over the frames, with a scale of its own."""
    frames = as_rgb(case.inputs["clip"])
    maps = activation(case.shown["features"], case.weights[HEAD][:, label])
    seen = upsampled(maps, frames.shape[:3])
    scale = scale_of(seen, low=0)
    images = [over(*pair, scale) for pair in zip(frames, seen, strict=True)]
    return Tiles(name, images, scale)


def figures(case: Case) -> list[Figure]:
    """Maps of the predicted class, and of the true one where it is another; gates."""
    frames = as_rgb(case.inputs["clip"])
    rows: list[StripRow] = [Tiles("frame", frames)]
    told = {"predicted": case.predicted} | ({} if case.right else {"true": case.label})
    for kind, label in told.items():
        name = f"{kind}:\n{case.classes[label]}"
        rows.append(activation_row(case, label, name))
    made = [
        Figure(
            "figures/activation.png",
            "Class activation maps over the frames",
            SAID,
            strip_png(rows, numbered(frames)),
        )
    ]
    slices = _by_block(case.shown, "space_time_")
    if slices:
        moments, gates = gate_rows(frames, slices)
        made.append(
            Figure(
                "figures/gates.png",
                "Weights of places and moments, of each block",
                "The gates of space and time: the weight that each block gives to "
                "places and moments, dark where it is high. Later blocks see fewer and "
                "coarser frames, each below the moments that it is of.",
                strip_png(gates, moments),
            )
        )
    channels = _by_block(case.shown, "channel_")
    if channels:
        made.append(
            Figure(
                "figures/channels.png",
                "Weights of channels, of each block",
                "The gates of channels: the weights that each block gives to its "
                "channels, the largest first; the dotted line is their mean.",
                channels_png(channels),
            )
        )
    return made


def side_by_side(first: Case, second: Case) -> Figure:
    """What both look at for the true class, and each for the class that it names where
    that is another, frame by frame."""
    frames = as_rgb(first.inputs["clip"])
    rows: list[StripRow] = [Tiles("frame", frames)]
    pairs = [(case, first.label) for case in (first, second)]
    pairs += [(case, case.predicted) for case in (first, second) if not case.right]
    for case, label in pairs:
        told = f"{case.classes[label]} {case.probabilities[label]:.2f}"
        rows.append(activation_row(case, label, f"{case.folder.name}\n{told}"))
    return Figure(
        "figures/side-by-side.png",
        "Class activation maps of two runs over the frames",
        f"Both for the true class, {first.classes[first.label]}, then each for the "
        f"class that it predicts where that is another, with the probability that it "
        f"gives it, and a scale of its own. {SAID}",
        strip_png(rows, numbered(frames)),
    )


def _by_block(shown: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """By the paper's number of the block, such as 2.1."""
    return {
        name.removeprefix(prefix).replace("_", "."): value
        for name, value in sorted(shown.items())
        if name.startswith(prefix)
    }


def gate_rows(
    frames: np.ndarray, slices: Mapping[str, np.ndarray]
) -> tuple[list[str], list[StripRow]]:
    """Captions and rows: some moments of the clip, and what each block's weights
    [t, i, j] are then; all of a block where it has no more than that.
    """
    moments = _spread(len(frames))
    scale = scale_of(*slices.values())
    rows: list[StripRow] = [Tiles("frame", frames[moments])]
    for block, weights in slices.items():
        some = weights[_spread(len(weights), len(moments))]
        rows.append(Tiles(f"block {block}", [shades(w, scale) for w in some], scale))
    return list(map(str, moments)), rows


def _spread(count: int, most: int = WIDEST) -> np.ndarray:
    """Indices of the middles of `most` equal parts, or all where there are fewer."""
    parts = min(count, most)
    return ((np.arange(parts) + 0.5) * count / parts).astype(int)


@own_settings()
def channels_png(channels: Mapping[str, Float[np.ndarray, " c"]]) -> bytes:
    """The weights of each block from the largest to the smallest."""
    figure = new_figure(5.4, 0.4 + 1.0 * -(-len(channels) // 4))
    grid = figure.subplots(-(-len(channels) // 4), 4, sharey=True, squeeze=False)
    for axes in grid.flat[len(channels) :]:
        axes.set_visible(False)
    style: dict[str, Any] = {"color": INK, "size": 7.5}
    for axes, (block, weights) in zip(grid.flat, channels.items(), strict=False):
        axes.fill_between(
            np.arange(len(weights) + 1),
            np.append(np.sort(weights)[::-1], weights.min()),
            step="post", color=BLUE, linewidth=0,
        )  # fmt: skip
        axes.axhline(weights.mean(), color=INK, linewidth=0.8, linestyle=":")
        axes.set_title(f"block {block}: mean {weights.mean():.2f}", **style)
        axes.set_xlim(0, len(weights))
        axes.set_ylim(0, 1)
        axes.set_xticks([0, len(weights)])
        axes.tick_params(colors=INK, labelsize=7, color="#aab4bd")
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#aab4bd")
    figure.supxlabel("channels", color=MUTED, size=7.5)
    return png(figure)
