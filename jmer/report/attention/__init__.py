"""Pictures of what a network made of a clip: where it looked, when, and how much.

A network that has something of its own to show has a module here, and a line below.
"""

from collections.abc import Callable

from jmer.errors import JmerError
from jmer.report.attention import (
    activation,
    aman,
    hsta,
    saliency,
    stanet,
    visual_memory,
)
from jmer.report.attention.case import Case
from jmer.report.render.blocks import Figure

FIGURES: dict[str, Callable[[Case], list[Figure]]] = {
    "aman": aman.figures,
    "hsta": hsta.figures,
    "meranet": activation.figures,
    "resnet3d": activation.figures,
    "stanet": stanet.figures,
    "visual_memory": visual_memory.figures,
}


def figures(case: Case) -> list[Figure]:
    """The figures of the case's network.

    Raises: JmerError if there is nothing to draw.
    """
    draw = FIGURES.get(case.network.name)
    if draw is None and any(name.startswith(saliency.GRADIENT) for name in case.shown):
        draw = saliency.figures
    made = draw(case) if draw else []
    if not made:
        told = ", ".join(case.shown) or "nothing"
        raise JmerError(
            f"there is no figure for {case.network.name}, which shows {told} of its "
            f"clips. Let its explain return what super().explain(model, inputs) shows, "
            f"too."
        )
    return made
