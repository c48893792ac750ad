"""HSTA: what the class tokens take from each patch, in USTA and in CSTA."""

import cv2
import numpy as np

from jmer.annotations import Float
from jmer.models.hsta import HstaConfig
from jmer.report.attention.case import Case, as_rgb
from jmer.report.attention.stanet import numbered
from jmer.report.draw.heat import Scale, over
from jmer.report.draw.layout import StripRow, Tiles
from jmer.report.draw.strip import strip_png
from jmer.report.render.blocks import Figure

CLIP, SPECIAL = "the frames of the clip", "the special frames"
NAMES = {
    "video": (CLIP, "its own class token"),
    "special": (SPECIAL, "their own class token"),
    "video_over_special": (SPECIAL, "the class token of the clip (CSTA)"),
    "special_over_video": (CLIP, "the class token of the special frames (CSTA)"),
}


def figures(case: Case) -> list[Figure]:
    """One for each kind of attention that the network has."""
    network = case.network
    assert isinstance(network, HstaConfig)
    made = []
    for name, (where, token) in NAMES.items():
        if name not in case.shown:
            continue
        stream = name.split("_over_")[-1]
        window = network.window(stream)
        frames = as_rgb(case.inputs["clip" if stream == "video" else "special"])
        if stream == "special":
            frames = _resized(frames, network.special_side)
        rows = attention_rows(frames, case.shown[name].mean(1), window, network.layers)
        made.append(
            Figure(
                f"figures/{name.replace('_', '-')}.png",
                f"What {token} takes from {where}",
                f"What {token} takes from the patches of {where}: the mean over heads, "
                f"dark where it is most; were all alike, it would be "
                f"{1 / case.shown[name][0, 0].size:.2g}. A patch covers {window[0]} "
                f"frames, so a map lies over the mean of these; below it is their "
                f"share of all that is taken, of which the token's own is left out.",
                strip_png(rows, numbered(frames), together=window[0]),
            )
        )
    return made


def attention_rows(
    frames: np.ndarray,
    maps: Float[np.ndarray, "units f i j"],
    window: tuple[int, int, int],
    layers: int,
) -> list[StripRow]:
    """The frames, and the maps of each unit over the means of the frames they cover.

    `window` is the size of a patch; `layers` share the units evenly.
    """
    depth, *sides = window
    count, even = len(maps) // layers, 1 / maps[0].size
    # What all patches get alike is no dark: there is nothing to see.
    scale = Scale(0, max(float(maps.max()), 3 * even))
    means = frames.reshape(-1, depth, *frames.shape[1:]).mean(1).round()
    rows: list[StripRow] = [Tiles("frame", frames)]
    for unit, of_unit in enumerate(maps):
        name = f"layer {unit // count + 1}"
        name += f"\nunit {unit % count + 1}" if count > 1 else ""
        seen = [
            laid_over(image, m, sides, scale)
            for image, m in zip(means.astype(np.uint8), of_unit, strict=True)
        ]
        rows.append(Tiles(name, seen, scale, [f"{m.sum():.2f}" for m in of_unit]))
    return rows


def laid_over(
    image: np.ndarray, values: np.ndarray, sides: list[int], scale: Scale
) -> np.ndarray:
    """A value for each patch, as squares; pixels beyond the last patch have none."""
    whole = np.full(image.shape[:2], scale.low, np.float32)
    cells = values.repeat(sides[0], 0).repeat(sides[1], 1)
    whole[: cells.shape[0], : cells.shape[1]] = cells
    return over(image, whole, scale, smooth=False)


def _resized(frames: np.ndarray, side: int) -> np.ndarray:
    return np.stack([cv2.resize(frame, (side, side)) for frame in frames])
