"""AMAN: weights of factors and of frames, and the frames as they were magnified."""

from collections.abc import Sequence

import jax
import numpy as np

from jmer.models.aman import AmanConfig
from jmer.report.attention.case import Case, as_rgb
from jmer.report.attention.shaded import table_png
from jmer.report.draw.heat import Scale
from jmer.report.draw.layout import Bars, StripRow, Tiles
from jmer.report.draw.strip import strip_png
from jmer.report.render.blocks import Figure

WIDEST = 12  # factors side by side


def figures(case: Case) -> list[Figure]:
    """The frames with their weights, the weights of factors, the magnified frames."""
    network, shown = case.network, case.shown
    assert isinstance(network, AmanConfig)
    frames = as_rgb(case.inputs["clip"])[list(network.seen)]
    numbers = [str(i) for i in network.seen]
    factors = [f"× {factor:g}" for factor in network.factors]
    made = []
    if "frame_weight" in shown:
        each = shown["frame_weight"]
        rows: list[StripRow] = [Tiles("frame", frames)]
        rows.append(Bars("weight", each, float(each.max())))
        made.append(
            Figure(
                "figures/frames.png",
                "The frames that are seen, with their weights",
                "The frames that the network sees, and the weight of each in their "
                "mean, 0 to 1 (β, equation 8 of the paper).",
                strip_png(rows, numbers),
            )
        )
    weight = shown.get("factor_weight")
    if weight is not None:
        png = table_png(
            weight, numbers, factors, Scale(0, 1),
            across="factor of magnification", down="frame",
        )  # fmt: skip
        said = "The weight of each factor in the mean over the magnified versions of "
        said += "a frame, 0 to 1 (α, equation 5)."
        alt = "Weights of factors, for each frame"
        made.append(Figure("figures/factors.png", alt, said, png))
    images = np.asarray(jax.jit(network.images)(case.inputs["clip"]))
    made.append(
        Figure(
            "figures/magnified.png",
            "Each frame, magnified by each factor",
            "What the frozen stages see: motion since the first frame, magnified by "
            "each factor"
            + ("; below is the weight of the factor." if weight is not None else "."),
            strip_png(grid_rows(images, numbers, weight), factors, widest=WIDEST),
        )
    )
    return made


def across(cases: Sequence[Case]) -> Figure:
    """A row for each clip, as figure 1 of the paper has them: the frame nearest to the
    apex of those that the network sees, magnified by each factor."""
    network = cases[0].network
    assert isinstance(network, AmanConfig)
    rows: list[StripRow] = []
    for case in cases:
        at = min(range(len(network.seen)), key=lambda i: _from_apex(case, i))
        number = network.seen[at]
        images = jax.jit(lambda x, number=number: network.images(x, [number]))
        pixels = np.rint(np.asarray(images(case.inputs["clip"]))[0]).astype(np.uint8)
        weight = case.shown.get("factor_weight")
        said = () if weight is None else [f"{value:.2f}" for value in weight[at]]
        name = f"subject {case.subject}\n{case.classes[case.label]}"
        rows.append(Tiles(name, pixels, said=said))
    return Figure(
        "figures/grid.png",
        "One frame of each clip, magnified by each factor",
        "Of each clip the frame nearest to its apex that the network sees, magnified "
        "by each factor; beside it the subject and the true class, below each image "
        "the weight of its factor (α, equation 5). Figure 1 of the paper has three "
        "such rows, and says that the best factor varies with subject and expression.",
        strip_png(rows, [f"× {f:g}" for f in network.factors], widest=WIDEST),
    )


def _from_apex(case: Case, i: int) -> float:
    """How far the i-th frame that is seen is from the apex, or from the middle."""
    network, frames = case.network, len(case.inputs["clip"])
    assert isinstance(network, AmanConfig)
    apex = case.apex if 0 <= case.apex < frames else (frames - 1) / 2
    return abs(network.seen[i] - apex)


def grid_rows(
    images: np.ndarray, numbers: list[str], weight: np.ndarray | None
) -> list[StripRow]:
    """Pictures [n, k, h, w, 3] of 0 to 255, a row for each frame."""
    pixels = np.rint(images).astype(np.uint8)
    return [
        Tiles(
            f"frame {number}",
            pixels[i],
            said=() if weight is None else [f"{value:.2f}" for value in weight[i]],
        )
        for i, number in enumerate(numbers)
    ]
