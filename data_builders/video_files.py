"""Frames of video files, by PyAV (extra `video`): which there are, when, and how they
look."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from data_builders.disk import looking
from data_builders.video_ends import lacks_bytes, said_end
from jmer.data.problems import Unusable
from jmer.errors import JmerError

ENDINGS = (".mp4", ".m4v", ".avi", ".mov", ".mkv", ".webm")
"""Of the files that are taken for videos."""
ROUNDED = 2
"""Units of time by which steps may differ because moments are rounded."""
OUT = "remove its rows"
NO_VIDEOS = "videos that are no videos"
Picture = UInt8[np.ndarray, "h w 3"]


class Unreadable(Unusable):
    """A file that cannot be read as a video, or not to its end; its text is for a table
    that names it."""

    alone: str = ""
    """The same of a file that no table names."""

    @classmethod
    def of(
        cls, fault: str, remedy: str, in_table: str = OUT, kind: str = NO_VIDEOS
    ) -> "Unreadable":
        """`fault`, then what to do: `remedy`, or in a table `in_table` instead."""
        made = cls(f"{fault} {remedy}, or {in_table}.", kind)
        made.alone = f"{fault} {remedy}."
        return made


@dataclass(frozen=True)
class VideoFrame:
    """One frame of a video file, as `Clip.frames` names those of image files."""

    file: Path
    index: int
    """Among all frames of the file in the order in which they are shown, from 0."""

    @property
    def name(self) -> str:
        return f"frame {self.index} of {self.file.name}"

    def __str__(self) -> str:
        return f"{self.file} (frame {self.index}, from 0)"


@dataclass(frozen=True)
class Video:
    """What a file says of its frames."""

    ticks: tuple[int, ...]
    """When each is shown, in units of the file, in order."""
    tick: float
    """Seconds in a unit."""
    stated: float = 0.0
    """Frames a second as the file says, 0 where it does not."""
    lost: float = 0.0
    """Seconds at the end that the file says it has, and was cut off before."""

    def __len__(self) -> int:
        return len(self.ticks)

    @property
    def seconds(self) -> np.ndarray:
        """When each frame is shown, from the first one on."""
        return (np.array(self.ticks) - self.ticks[0]) * self.tick

    @property
    def frame_rate(self) -> float:
        """Frames a second; 0 of one frame. Where moments are rounded, such as to the
        milliseconds of Matroska, it is what the file says if that fits all of them, or
        that of all frames together; else of the usual step from one to the next."""
        steps = np.diff(self.seconds)
        if not len(steps):
            return 0.0
        if self.rounded:
            moments, count = self.seconds, np.arange(len(self))
            if self.stated and np.ptp(moments - count / self.stated) < 2 * self.tick:
                return self.stated
            return float(count[-1] / moments[-1])
        return float(1 / np.median(steps))

    @property
    def rounded(self) -> bool:
        """Whether steps differ by no more than the rounding of moments makes them."""
        steps = np.diff(self.ticks)
        return bool(len(steps) and 0 < np.ptp(steps) <= ROUNDED)

    @property
    def steady(self) -> bool:
        """Whether all frames are shown equally long, to a tenth."""
        steps = np.diff(self.seconds)
        return not len(steps) or bool(np.ptp(steps) <= 0.1 * np.median(steps))


def is_video(path: Path) -> bool:
    """Whether a file is taken for a video, by its name."""
    return path.suffix.lower() in ENDINGS


def video(path: Path) -> Video:
    """The frames of a video file; none is decoded where the file says when they are
    shown.

    Raises: JmerError if the file is no video, has no frames or cannot be read.
    """
    with looking(path):
        about = path.stat()
    return _video(path, about.st_size, about.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _video(path: Path, size: int, changed: int) -> Video:
    del changed  # another file under the same name
    if not size:
        raise Unreadable.of(f"{path} is empty.", "Restore the file")
    with _opened(path) as (container, stream):
        ticks: list[int | None] = [
            packet.pts
            for packet in container.demux(stream)
            if packet.size and not packet.is_discard
        ]
        tick = float(stream.time_base)
        stated = float(stream.average_rate or 0)
        end = said_end(container, stream)
    if any(each is None for each in ticks) or len(set(ticks)) < len(ticks):
        # Such as AVI, whose frames are where they are.
        with _opened(path) as (container, stream):
            ticks = [frame.pts for frame in container.decode(stream)]
    known = sorted(each for each in ticks if each is not None)
    if not known or len(known) < len(ticks):
        raise Unusable(
            f"{path} does not say when its frames are shown. Convert it: ffmpeg -i "
            f"OLD -c:v ffv1 NEW.mkv",
            "videos without times",
        )
    lost = 0.0
    if end is not None and lacks_bytes(path):
        step = float(np.median(np.diff(known))) if len(known) > 1 else 1 / (stated or 1)
        lost = max(0.0, end - (known[-1] + step) * tick)
        lost = lost if lost > 0.5 * step * tick else 0.0
    return Video(tuple(known), tick, stated, lost)


def pictures(frames: Sequence[VideoFrame]) -> Iterator[tuple[VideoFrame, Picture]]:
    """The pictures in RGB of frames of one file, turned upright as players do; those of
    one index come once. In the order in which they are shown.

    Raises: JmerError naming the file and the frame that cannot be decoded.
    """
    file = frames[0].file
    ticks = video(file).ticks
    wanted = {ticks[frame.index]: frame for frame in frames}
    left = sorted(wanted)
    first = left[0]
    with _opened(file) as (container, stream):
        if first > ticks[0]:
            container.seek(first, stream=stream, backward=True)
        for frame in container.decode(stream):
            if frame.pts is None or frame.pts > left[-1]:
                break
            if frame.pts in left:
                if frame.is_corrupt:  # what is not there is made up of its neighbours
                    break
                left.remove(frame.pts)
                yield wanted[frame.pts], _upright(frame)
                if not left:
                    return
    if first > ticks[0]:
        # What a file says of where it may be entered is not always so.
        yield from _from_the_start(file, wanted, left)
        return
    raise _broken(wanted[left[0]])


def _from_the_start(
    file: Path, wanted: dict[int, VideoFrame], left: list[int]
) -> Iterator[tuple[VideoFrame, Picture]]:
    with _opened(file) as (container, stream):
        for frame in container.decode(stream):
            if frame.pts in left:
                if frame.is_corrupt:
                    break
                left.remove(frame.pts)
                yield wanted[frame.pts], _upright(frame)
                if not left:
                    return
    raise _broken(wanted[left[0]])


def _broken(frame: VideoFrame) -> JmerError:
    return Unreadable.of(
        f"{frame} cannot be decoded: the file is damaged, or was cut off.",
        "Restore it",
        "end its clips before that frame",
        "frames that cannot be decoded",
    )


def _upright(frame: Any) -> Picture:
    image: Picture = frame.to_ndarray(format="rgb24")
    return np.rot90(image, round(frame.rotation / 90) % 4)


class _opened:
    """The container and its first stream of pictures, decoded on one thread: clips are
    read side by side already.

    Raises: JmerError for what PyAV cannot read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.av = av()

    def __enter__(self) -> tuple[Any, Any]:
        read = self.av.open
        try:
            self.container = read(str(self.path))
        except (OSError, self.av.error.FFmpegError) as error:
            raise self._unreadable(error) from error
        streams = self.container.streams.video
        if not streams:
            self.container.close()
            raise Unreadable.of(f"{self.path} has no pictures.", "Name the video")
        streams[0].codec_context.thread_count = 1
        return self.container, streams[0]

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.container.close()
        if isinstance(error, self.av.error.FFmpegError):
            raise self._unreadable(error) from error

    def _unreadable(self, error: BaseException) -> JmerError:
        reason = getattr(error, "strerror", None) or str(error)
        fault = f"{self.path} cannot be read as a video ({reason})."
        return Unreadable.of(fault, "Restore the file")


def av() -> Any:
    """PyAV, which is an extra. Raises: JmerError if it is not installed."""
    try:
        import av
    except ImportError as error:
        raise JmerError(
            "videos are read by PyAV: pip install 'jmer[video]', or give folders of "
            "frames."
        ) from error
    return av
