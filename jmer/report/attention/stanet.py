"""STANet: flow images with the weights of frames, and the mask of places."""

from collections.abc import Sequence

import numpy as np

from jmer.annotations import Float, Real
from jmer.preprocess.flow_colours import flow_colours
from jmer.report.attention.case import Case, as_rgb
from jmer.report.contact import wheel
from jmer.report.draw.heat import over, scale_of, shades
from jmer.report.draw.layout import Bars, StripRow, Tiles
from jmer.report.draw.strip import printed, strip_png
from jmer.report.render.blocks import Figure


def figures(case: Case) -> list[Figure]:
    """The strip of flow, and the mask where the network has one."""
    flow, shown = case.inputs["flow"].astype(np.float32), case.shown
    # From each frame on to the next; other sets may keep no frames, or not these.
    faces = case.inputs.get("clip", flow[:0])
    known = len(faces) == len(flow) + 1
    seen = Tiles("frame", as_rgb(faces[:-1])) if known else Tiles("speed", speed(flow))
    weight = shown.get("frame_weight")
    said = "Motion from each frame to the next: the hue tells the direction, as from "
    said += "the middle of the wheel, the brightness the speed."
    if weight is not None:
        said += " Bars are the weights of frames (equation 4 of the paper), which sum "
        said += "to 1. On the dotted line all would be alike."
    made = [
        Figure(
            "figures/frames.png",
            "Flow of each frame" + ("" if weight is None else ", with its weight"),
            said,
            strip_png(frame_rows(seen, flow, weight), numbered(flow)),
        )
    ]
    if "mask" in shown:
        rows = mask_rows(seen, shown["features"], shown["mask"])
        made.append(
            Figure(
                "figures/mask.png",
                "The mask over each frame, and the features before and after it",
                "The mean of the mask over its channels, on its frame, with "
                "its mean over the frame below, and the mean strength of the features "
                "that it multiplies by one plus itself. Dark places are raised most; "
                "shades of the mask run from its smallest to its largest value in this "
                "clip.",
                strip_png(rows, numbered(flow)),
            )
        )
    return made


def frame_rows(
    seen: Tiles, flow: Float[np.ndarray, "t h w 2"], weight: np.ndarray | None
) -> list[StripRow]:
    """Frames, their flow, and their weights [t] where there are any."""
    rows: list[StripRow] = [
        seen,
        Tiles("flow", flow_colours(flow), wheel=wheel(72)),
    ]
    if weight is not None:
        rows.append(Bars("weight", weight, float(weight.max()), 1 / len(weight)))
    return rows


def mask_rows(
    seen: Tiles,
    features: Real[np.ndarray, "t i j c"],
    mask: Float[np.ndarray, "t i j _"],
) -> list[StripRow]:
    """Means over channels: the mask on the frames; features without and with it."""
    places = mask.mean(-1)
    before = np.abs(features).mean(-1)
    after = np.abs((1 + mask) * features).mean(-1)
    of_mask, of_features = scale_of(places), scale_of(before, after, low=0)
    laid = [over(i, m, of_mask) for i, m in zip(seen.images, places, strict=True)]
    parts = {"before": before, "after": after}
    return [
        seen,
        Tiles("mask", laid, of_mask, [printed(m.mean()) for m in places]),
        *(
            Tiles(
                f"features\n{when}", [shades(x, of_features) for x in maps], of_features
            )
            for when, maps in parts.items()
        ),
    ]


def speed(flow: Float[np.ndarray, "t h w 2"]) -> np.ndarray:
    """How fast pixels move, in grey, where there are no frames: white is still."""
    return as_rgb(-np.linalg.norm(flow, axis=-1, keepdims=True))


def numbered(frames: Sequence | np.ndarray) -> list[str]:
    """Captions of frames, from 0."""
    return list(map(str, range(len(frames))))
