"""A table of values between 0 and 1 whose cells are shaded."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jmer.annotations import Float
from jmer.report.draw.heat import Scale, colour_map
from jmer.report.draw.settings import own_settings
from jmer.report.draw.style import INK, MUTED, new_figure, png, short_name, verbatim

PRINTED = 14  # columns with room for numbers


@own_settings()
def table_png(
    values: Float[np.ndarray, "n m"],
    rows: Sequence[str],
    columns: Sequence[str],
    scale: Scale,
    *,
    across: str,
    down: str = "",
) -> bytes:
    """Values as shades and, where there is room, as numbers; `across` says what the
    columns are, `down` what the rows are.
    """
    n, m = values.shape
    figure = new_figure(5.4, 0.9 + 0.24 * n)
    axes = figure.add_subplot()
    limits: dict[str, Any] = {"vmin": scale.low, "vmax": scale.high}
    shown = axes.imshow(values, cmap=colour_map(), aspect="auto", **limits)
    if m <= PRINTED:
        for (i, j), value in np.ndenumerate(values):
            colour = "white" if scale.share(value) > 0.5 else INK
            axes.text(
                j, i, f"{value:.2f}", ha="center", va="center", size=7.5, color=colour
            )
    step = -(-m // PRINTED)
    axes.set_xticks(range(0, m, step), columns[::step], size=7.5)
    axes.set_yticks(range(n), [short_name(name) for name in rows], size=7.5)
    verbatim(axes.get_xticklabels() + axes.get_yticklabels())
    axes.tick_params(length=0, colors=INK)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(across, color=MUTED, size=8)
    axes.set_ylabel(down, color=MUTED, size=8)
    bar = figure.colorbar(shown, ax=axes, pad=0.02, fraction=0.04)
    bar.ax.tick_params(labelsize=7.5, colors=INK, length=2, color="#aab4bd")
    bar.outline.set_visible(False)  # type: ignore[operator]
    return png(figure)
