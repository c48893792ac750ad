"""Frames as the files of a data set have them: their shape, and their encoding."""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

QUALITY = (cv2.IMWRITE_JPEG_QUALITY, 97)


def framed(
    frames: UInt8[np.ndarray, "t h h 3"], aspect: float, *, grey: bool = False
) -> UInt8[np.ndarray, "t h w 3"]:
    """Square frames made `aspect` times as wide as high, with the face in the middle.

    Sides are cut off, or the outermost columns repeated: mirrored ones would show
    parts of a second face. The width is even; grey frames have three equal channels.
    """
    size = frames.shape[1]
    width = 2 * round(size * aspect / 2)
    left = (width - size) // 2
    if left >= 0:
        right = width - size - left
        sides = ((0, 0), (0, 0), (left, right), (0, 0))
        frames = np.pad(frames, sides, mode="edge")
    else:
        frames = frames[:, :, -left : width - left]
    if not grey:
        return np.ascontiguousarray(frames)
    one = [cv2.cvtColor(np.ascontiguousarray(f), cv2.COLOR_RGB2GRAY) for f in frames]
    return np.repeat(np.stack(one)[..., None], 3, axis=-1)


def write_image(path: Path, image: UInt8[np.ndarray, "h w 3"]) -> None:
    """Writes RGB in the format that the ending names; equal channels as one.

    Raises: OSError if the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = (image == image[..., :1]).all()
    pixels = image[..., 0] if grey else image[..., ::-1]
    lossy = path.suffix.lower() in (".jpg", ".jpeg")
    options = QUALITY if lossy else ()
    done, content = cv2.imencode(path.suffix, np.ascontiguousarray(pixels), options)
    assert done
    path.write_bytes(content.tobytes())
