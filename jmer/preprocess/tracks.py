"""Tracks of corners as an image, the second stream that HSTA calls optical flow."""

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

GREEN, RED = (0, 255, 0), (255, 0, 0)
STILL = 0.5
"""Tracks of `tracks` that stay within this many pixels of their start are not drawn."""
LINE, DISC = 5, 2
"""Width of a line and radius of a disc of `straight_tracks`, in pixels."""


def straight_tracks(
    first: UInt8[np.ndarray, "h w 3"], last: UInt8[np.ndarray, "h w 3"]
) -> UInt8[np.ndarray, "h w 3"]:
    """Where the corners of one frame are in another, drawn on black, RGB, as the code
    of HSTA does (`getoptflow` of its `my_utils.py`, `use_optflow` 1).

    Up to 100 corners of Shi & Tomasi 1994, at least 0.3 times as good as the best, are
    found by one pyramidal Lucas-Kanade step; each that is found, even where it stands
    still, is a green line, five pixels wide, and over it two red discs of radius 2, at
    its end and its start. Tracks are drawn one after another, with whole pixels, cut
    off. Frames without texture, at which that code stops, give black.
    """
    image = np.zeros_like(first)
    before, after = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (first, last))
    found = cv2.goodFeaturesToTrack(
        before, maxCorners=100, qualityLevel=0.3, minDistance=7, blockSize=7
    )
    if found is None:
        return image
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)
    moved, kept, _ = cv2.calcOpticalFlowPyrLK(
        before, after, found, None, winSize=(15, 15), maxLevel=2, criteria=stop
    )
    there = kept[:, 0] == 1
    for start, end in zip(found[there, 0], moved[there, 0], strict=True):
        here, away = (tuple(map(int, place)) for place in (end, start))
        cv2.line(image, here, away, GREEN, LINE)
        for place in (here, away):
            cv2.circle(image, place, DISC, RED, cv2.FILLED)
    return image


def tracks(frames: UInt8[np.ndarray, "t h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Where the corners of the first frame go until the last, drawn on black, RGB.

    Thinner than in `straight_tracks`, and along the way: lines of pure green, one pixel
    wide, and over them a red dot, three pixels wide, at the end of each track that
    lasts. Corners are those of Shi & Tomasi 1994, followed from frame to frame by
    pyramidal Lucas-Kanade; a track that is lost keeps its line so far. What moves less
    than half a pixel leaves no trace, so that sensor noise draws nothing. A single
    frame and frames without texture give black. The same frames give the same image.
    """
    image = np.zeros_like(frames[0])
    paths = follow_corners(frames)
    away = np.linalg.norm(paths - paths[:1], axis=-1)
    moving = paths[:, np.nanmax(away, 0) > STILL]
    for path in moving.swapaxes(0, 1):
        steps = np.rint(path[~np.isnan(path[:, 0])]).astype(np.int32)
        cv2.polylines(image, [steps], False, GREEN)
    # Dots last: no line hides where another track ends.
    lasting = moving[-1][~np.isnan(moving[-1, :, 0])]
    for x, y in np.rint(lasting).astype(int).tolist():
        cv2.circle(image, (x, y), 1, RED, cv2.FILLED)
    return image


def follow_corners(
    frames: UInt8[np.ndarray, "t h w 3"],
) -> Float32[np.ndarray, "t corners 2"]:
    """Places (right, down) of up to 100 corners in pixels; NaN once a track is lost."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    found = cv2.goodFeaturesToTrack(
        grey[0], maxCorners=100, qualityLevel=0.1, minDistance=7, blockSize=7
    )
    if found is None:
        return np.zeros((len(frames), 0, 2), np.float32)
    points = found[:, 0]
    paths = np.full((len(frames), *points.shape), np.nan, np.float32)
    paths[0], alive = points, np.arange(len(points))
    for t in range(1, len(frames)):
        points, kept, _ = cv2.calcOpticalFlowPyrLK(
            grey[t - 1], grey[t], points, None, winSize=(15, 15), maxLevel=2
        )
        kept = kept[:, 0] == 1
        points, alive = points[kept], alive[kept]
        if not len(points):
            break
        paths[t, alive] = points
    return paths
