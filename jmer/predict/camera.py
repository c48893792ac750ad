"""A camera of this machine, filmed for a while."""

import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

from data_builders import video_files
from jmer.errors import JmerError
from jmer.predict.scan import Watch

FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
TICK = Fraction(1, 1000)


def filmed(
    number: int, seconds: float, *, watch: Watch = lambda done, total: None
) -> Path:
    """A video file of what camera `number` shows in so many seconds, without loss, in
    the folder of temporary files: whoever has it removes it.

    Raises: JmerError if PyAV is not installed, or there is no such camera.
    """
    av = video_files.av()
    with tempfile.NamedTemporaryFile(suffix=".mkv", delete=False) as made:
        file = Path(made.name)
    try:
        with _camera(av, number) as camera, av.open(str(file), "w") as film:
            _record(camera, film, seconds, watch)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return file


def _record(camera: Any, film: Any, seconds: float, watch: Watch) -> None:
    stream: Any = None
    begun, last = time.monotonic(), -1
    for frame in camera.decode(video=0):
        now = time.monotonic() - begun
        if stream is None:
            stream = film.add_stream("ffv1", rate=30)
            stream.width, stream.height, stream.pix_fmt = (
                *(frame.width, frame.height),
                "yuv420p",
            )
            stream.codec_context.time_base = TICK
        kept = frame.reformat(format="yuv420p")
        kept.time_base, kept.pts = TICK, max(last + 1, round(1000 * now))
        last = kept.pts
        film.mux(stream.encode(kept))
        watch(min(int(now), int(seconds)), int(seconds))
        if now >= seconds:
            break
    if stream is not None:
        film.mux(stream.encode())


def _camera(av: Any, number: int) -> Any:
    """Raises: JmerError if it cannot be opened."""
    form = FORMATS.get(sys.platform, "")
    place = f"/dev/video{number}" if form == "v4l2" else str(number)
    if form == "dshow":
        place = f"video={number}"
    try:
        return av.open(place, format=form)
    except (OSError, ValueError, av.error.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise JmerError(
            f"camera {number} ({place}) cannot be opened ({reason}). Close what else "
            f"films with it, give another number with --camera, or film to a file and "
            f"name that."
        ) from error
