"""Dense optical flow as colours."""

import cv2
import numpy as np
from jaxtyping import Float32, UInt8


def flow_colours(
    flow: Float32[np.ndarray, "n h w 2"],
) -> UInt8[np.ndarray, "n h w 3"]:
    """RGB images of fields in pixels (right, down): hue is direction, and black still.

    Red is to the right, a third of a turn clockwise further green, then blue. A pixel
    is the brighter the faster it moves beside the fastest one of all `n` fields, so
    that these keep their relation; no motion at all gives black.
    """
    speed, angle = cv2.cartToPolar(flow[..., 0], flow[..., 1], angleInDegrees=True)
    value = speed / (speed.max() or 1)
    hsv = np.stack([angle % 360, np.ones_like(value), value], -1).astype(np.float32)
    rgb = [cv2.cvtColor(image, cv2.COLOR_HSV2RGB) for image in hsv]
    return np.rint(255 * np.stack(rgb)).astype(np.uint8)
