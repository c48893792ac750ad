"""Dense optical flow between two frames, and the strain of the skin.

Flow is in pixels, u to the right and v down.
"""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, UInt8


def farneback(
    first: UInt8[np.ndarray, "h w *rgb"], second: UInt8[np.ndarray, "h w *rgb"]
) -> Float32[np.ndarray, "h w 2"]:
    """Motion from `first` to `second`, RGB or grey, in pixels (right, down).

    Farnebäck 2003, as OpenCV has it, set for facial motion below about 3
    pixels: two halvings of the image, none below 32 pixels, and a Gaussian window that
    outweighs sensor noise yet keeps neighbouring action units apart. OpenCV adds a
    constant to what it divides by, so where shades change slowly over the window, as on
    bare skin in large frames, motion comes out too small, down to nothing; `dis`
    carries the motion of the surroundings there.

    Raises: ValueError unless both are uint8 images of one shape.
    """
    _check_pair(first, second)
    return cv2.calcOpticalFlowFarneback(
        _grey(first),
        _grey(second),
        None,
        pyr_scale=0.5,
        levels=2,
        winsize=15,
        iterations=5,
        poly_n=5,
        poly_sigma=1.1,
        flags=cv2.OPTFLOW_FARNEBACK_GAUSSIAN,
    )


def dis(
    first: UInt8[np.ndarray, "h w *rgb"], second: UInt8[np.ndarray, "h w *rgb"]
) -> Float32[np.ndarray, "h w 2"]:
    """As `farneback`, by dense inverse search (Kroeger et al. 2016).

    OpenCV's medium preset, but searched down to full resolution rather than half of
    it: that halved the error on smooth motion below 3 pixels, in images of 48 and of
    64 pixels.

    Raises: ValueError unless both are uint8 images of one shape, 12 x 12 or more.
    """
    _check_pair(first, second)
    if min(first.shape[:2]) < 12:
        raise ValueError(f"expected images of 12 x 12 or more, got {first.shape}")
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    return search.calc(_grey(first), _grey(second), None)


def estimate(
    first: np.ndarray, second: np.ndarray, method: str, weights: Path | None = None
) -> np.ndarray:
    """Flow of one pair by the `method` of that name, as `estimate_pairs`."""
    return estimate_pairs(first[None], second[None], method, weights)[0]


def estimate_pairs(
    first: UInt8[np.ndarray, "n h w *rgb"],
    second: UInt8[np.ndarray, "n h w *rgb"],
    method: str,
    weights: Path | None = None,
) -> Float32[np.ndarray, "n h w 2"]:
    """Flow of each pair by the `method` of that name: farneback, dis, tvl1, or flownet2
    with the checkpoint `weights`.

    The result of a pair is the same alone or among others (of flownet2, to rounding).

    Raises: ValueError for what `method` cannot take; JmerError for other weights.
    """
    if method == "flownet2":
        from jmer.preprocess.flownet2.estimate import flownet2

        if weights is None:
            raise ValueError("flownet2 needs weights")
        return flownet2(first, second, weights)
    if method == "tvl1":
        # JAX starts only for who asks for it.
        from jmer.preprocess.tvl1 import tvl1

        return tvl1(first, second)
    one = {"farneback": farneback, "dis": dis}[method]
    flow = np.empty((*first.shape[:3], 2), np.float32)
    for k, (a, b) in enumerate(zip(first, second, strict=True)):
        flow[k] = one(a, b)
    return flow


def _check_pair(first: np.ndarray, second: np.ndarray) -> None:
    for image in (first, second):
        rgb = image.ndim == 3 and image.shape[2] == 3
        if image.dtype != np.uint8 or not (rgb or image.ndim == 2):
            raise ValueError(
                "expected a uint8 image [h, w] or [h, w, 3], "
                f"got {image.dtype} {image.shape}"
            )
    if first.shape != second.shape:
        raise ValueError(f"images differ in shape: {first.shape} and {second.shape}")


def _grey(image: np.ndarray) -> np.ndarray:
    image = np.ascontiguousarray(image)
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image


def optical_strain(flow: Float32[np.ndarray, "h w 2"]) -> Float32[np.ndarray, "h w"]:
    """Magnitude of the infinitesimal strain, sqrt(exx² + eyy² + 2 exy²).

    With exx = ∂u/∂x, eyy = ∂v/∂y and exy = (∂u/∂y + ∂v/∂x) / 2, by central
    differences (one-sided at the border); no unit. Shreve et al. 2011, in the
    form of Liong et al. 2019.

    Raises: ValueError unless `flow` is [h, w, 2] with h and w at least 2.

    A field that stretches by an eighth of a pixel per pixel, to the right alone:

    >>> u = np.tile(np.arange(3) / 8, (2, 1))
    >>> optical_strain(np.stack([u, 0 * u], -1).astype(np.float32)).tolist()
    [[0.125, 0.125, 0.125], [0.125, 0.125, 0.125]]
    """
    if flow.ndim != 3 or flow.shape[2] != 2 or min(flow.shape[:2]) < 2:
        raise ValueError(f"expected flow [h, w, 2] of 2 x 2 or more, got {flow.shape}")
    (du_dy, du_dx), (dv_dy, dv_dx) = (
        np.gradient(flow[..., k].astype(np.float32)) for k in (0, 1)
    )
    shear = (du_dy + dv_dx) / 2
    return np.sqrt(du_dx**2 + dv_dy**2 + 2 * shear**2)


def apex_flow(
    clip: UInt8[np.ndarray, "t h w *rgb"],
    onset: int,
    apex: int,
    size: int,
    method: str = "farneback",
    weights: Path | None = None,
) -> Float32[np.ndarray, "{size} {size} 3"]:
    """Flow (u, v) from the onset to the apex frame, and its strain, at `size`.

    Resized by area averaging (linearly where that enlarges) to [size, size];
    vectors are in pixels of the new size, and strain is taken after the resize.

    Raises: ValueError for frames that the clip lacks, or a size below 2.
    """
    frames = len(clip)
    if not (0 <= onset < frames and 0 <= apex < frames):
        raise ValueError(f"{onset=} and {apex=} must be frames 0 to {frames - 1}")
    if size < 2:
        raise ValueError(f"{size=}: must be at least 2")
    flow = estimate(clip[onset], clip[apex], method, weights)
    height, width = flow.shape[:2]
    shrink = size <= min(height, width)
    average = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    flow = cv2.resize(flow, (size, size), interpolation=average)
    flow *= np.array([size / width, size / height], np.float32)
    return np.concatenate([flow, optical_strain(flow)[..., None]], axis=-1)
