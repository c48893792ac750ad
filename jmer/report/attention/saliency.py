"""Networks without attention: gradient times input, pixel by pixel of what they see."""

import numpy as np

from jmer.annotations import Real
from jmer.preprocess.flow_colours import flow_colours
from jmer.report.attention.case import Case, as_rgb
from jmer.report.attention.stanet import numbered
from jmer.report.draw.heat import scale_of, shades
from jmer.report.draw.layout import StripRow, Tiles
from jmer.report.draw.strip import strip_png
from jmer.report.render.blocks import Figure

GRADIENT = "gradient_"
CHANNELS = {"apex_flow": ("right", "down", "strain"), "image": ("image",)}


def figures(case: Case) -> list[Figure]:
    """One for each image, or sequence of images, that the network sees."""
    made = []
    for name in case.network.inputs:
        seen, gradient = case.inputs[name], case.shown[GRADIENT + name]
        if seen.ndim not in (3, 4):
            continue
        captions, rows = product_rows(name, seen, gradient)
        made.append(
            Figure(
                f"figures/{name.replace('_', '-')}.png",
                f"What of {name} speaks for the predicted class, and what against it",
                "Gradient times input: to first order, what each pixel adds to the "
                f"logit of {case.classes[case.predicted]}, or takes from it, beside an "
                "input of 0. Dark pixels count most.",
                strip_png(rows, captions),
            )
        )
    return made


def product_rows(
    name: str, seen: Real[np.ndarray, "*t h w c"], gradient: np.ndarray
) -> tuple[list[str], list[StripRow]]:
    """Captions and rows: a column for each channel of an image, or each frame."""
    product = gradient * seen.astype(np.float32)
    if seen.ndim == 4:
        product, captions = product.sum(-1), numbered(seen)
        vectors = seen.shape[-1] == 2
        images = flow_colours(seen.astype(np.float32)) if vectors else as_rgb(seen)
    else:
        channels = np.moveaxis(seen, -1, 0)[..., None]
        product, images = np.moveaxis(product, -1, 0), as_rgb(channels)
        captions = list(CHANNELS.get(name, numbered(channels)))
    scale = scale_of(np.abs(product), low=0)
    parts = {"speaks for": product, "against": -product}
    return captions, [
        Tiles("input", images),
        *(
            Tiles(label, [shades(np.maximum(x, 0), scale) for x in part], scale)
            for label, part in parts.items()
        ),
    ]
