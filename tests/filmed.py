"""Video files with known pictures at known times, written by PyAV."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

TICKS = 1000  # in a second


def noise(count: int, height: int = 47, width: int = 63, seed: int = 0) -> np.ndarray:
    """Pictures that no two of are alike."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, height, width, 3), np.uint8)


def film(
    path: Path,
    pictures: np.ndarray,
    *,
    times: Sequence[int] | None = None,
    rate: int = 50,
    codec: str = "ffv1",
    sound: bool = False,
    **options: str,
) -> Path:
    """Writes RGB pictures, at `times` in milliseconds or at a steady rate, so that they
    are read to the bit; with `sound`, beside a second of noise."""
    av = pytest.importorskip("av")
    form = {"ffv1": "bgr0", "libx264rgb": "rgb24"}.get(codec, "yuv420p")
    if codec == "libx264rgb":
        options = {"crf": "0", **options}
    unit = Fraction(1, rate if times is None else TICKS)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.options = form, options
        stream.codec_context.time_base = unit
        track = file.add_stream("aac", rate=16000, layout="mono") if sound else None
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            frame.pts, frame.time_base = i if times is None else times[i], unit
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
        if track is not None:
            samples = np.random.default_rng(1).normal(0, 0.1, (1, 16000))
            heard = av.AudioFrame.from_ndarray(samples.astype("f4"), "fltp", "mono")
            heard.sample_rate, heard.pts = 16000, 0
            file.mux(track.encode(heard))
            file.mux(track.encode())
    return path


def turned(path: Path, degrees: int) -> Path:
    """The MP4 file, marked as filmed with the camera on its side: in the matrix of the
    track's header."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    one = 1 << 16
    matrix = {
        90: (0, one, 0, -one, 0, 0),
        180: (-one, 0, 0, 0, -one, 0),
        270: (0, -one, 0, one, 0, 0),
    }[degrees]
    struct.pack_into(">9i", content, at, *matrix, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def cut(path: Path, part: float = 0.6) -> Path:
    """The file, of which only the first part is left."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    return path
