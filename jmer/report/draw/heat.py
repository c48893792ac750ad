"""Maps of places as shades: paper white where they are low, dark red where high.

They darken evenly, so that a map reads the same in grey and without colour vision.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from jaxtyping import Real, UInt8

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

DARK = np.array([0.42, 0.02, 0.07], np.float32)
STRONGEST = 0.92  # share of DARK at the top of the scale
PALEST = 0.6  # what is left of black in an image below a map


@dataclass(frozen=True)
class Scale:
    """The values of the lightest and of the darkest shade."""

    low: float
    high: float

    def share(self, values: np.ndarray) -> np.ndarray:
        """Where values lie between the two, 0 to 1."""
        span = self.high - self.low
        return np.clip((values - self.low) / (span or 1), 0, 1).astype(np.float32)


def scale_of(*maps: np.ndarray, low: float | None = None) -> Scale:
    """From the smallest value of all maps, or from `low`, to the largest."""
    least = min(float(values.min()) for values in maps) if low is None else low
    return Scale(least, max(float(values.max()) for values in maps))


def over(
    image: UInt8[np.ndarray, "h w 3"],
    values: Real[np.ndarray, "i j"],
    scale: Scale,
    *,
    smooth: bool = True,
) -> UInt8[np.ndarray, "h w 3"]:
    """A map over a pale grey version of the image that it covers.

    `smooth`: linear between the centres of its cells; otherwise these stay squares.
    """
    how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    values = np.asarray(values, np.float32)
    share = scale.share(cv2.resize(values, image.shape[1::-1], interpolation=how))
    grey = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    pale = PALEST + (1 - PALEST) * grey
    return _blend(pale[..., None], STRONGEST * share[..., None])


def shades(values: Real[np.ndarray, "i j"], scale: Scale) -> UInt8[np.ndarray, "i j 3"]:
    """A map by itself, a pixel for each value."""
    return _blend(np.ones(1, np.float32), STRONGEST * scale.share(values)[..., None])


def colour_map() -> "Colormap":
    """The same shades for Matplotlib."""
    from matplotlib.colors import LinearSegmentedColormap

    last = (1 - STRONGEST) + STRONGEST * DARK
    return LinearSegmentedColormap.from_list("heat", [(1, 1, 1), tuple(last)])


def _blend(light: np.ndarray, share: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    return np.rint(255 * ((1 - share) * light + share * DARK)).astype(np.uint8)
