"""Frames to look at, in the order in which they are shown: of a video, or of a folder
of images."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float64, UInt8

from data_builders import frame_files, image_files, video_files
from data_builders.disk import Disk, looking
from data_builders.video_files import VideoFrame
from jmer.errors import JmerError, UsageError

Picture = UInt8[np.ndarray, "h w 3"]
SAMPLED = 8
"""Images of 16 bits of a folder that are looked at to tell how many of them count."""
ROUNDED = 0.0021
"""Seconds by which steps may differ because moments are rounded."""


class Source(Protocol):
    """Something with frames. `seconds` [t] says when each is shown, from the first."""

    path: Path
    seconds: Float64[np.ndarray, " t"]
    notes: list[str]
    """What is to be said of it, in whole sentences."""

    def pictures(self, wanted: Sequence[int]) -> Iterator[tuple[int, Picture]]:
        """Frames of these numbers, which rise, in RGB, one at a time. Those that cannot
        be decoded are left out, with a note.

        Raises: JmerError if none of them can be decoded.
        """
        ...


def frame_rate(source: Source) -> float:
    """Frames a second: of all of them where they are steady, else of the usual step
    from one to the next; 0 of one frame."""
    steps = np.diff(source.seconds)
    if not len(steps):
        return 0.0
    usual = float(np.median(steps))
    if isinstance(source, Film) and source.rate:
        return float(f"{source.rate:.6g}")
    # Files round moments, some of them to milliseconds, and one step with them.
    steady = bool(np.ptp(steps) <= max(0.1 * usual, ROUNDED))
    # A rate has six digits.
    return float(f"{1 / (steps.mean() if steady else usual):.6g}")


class Film:
    """A video file, by PyAV.

    Raises: JmerError if it is none, is empty, or was cut off so that nothing is left.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.notes = path, list[str]()
        with _of_no_table():
            about = video_files.video(path)
        self.seconds = np.asarray(about.seconds, np.float64)
        self.rate = about.frame_rate if about.rounded else 0.0
        """Frames a second, as a training set takes them, where moments are rounded."""
        steps = np.diff(self.seconds)
        if about.lost:
            self.notes.append(
                f"The file was cut off: its last frame is at {self.seconds[-1]:.2f} s, "
                f"and it says that there were {about.lost:.2f} s more."
            )
        if not about.steady and np.ptp(steps) > ROUNDED:
            shortest, longest = steps.min(), steps.max()
            self.notes.append(
                f"Frames are shown for {1000 * shortest:.0f} to {1000 * longest:.0f} "
                f"ms each: moments are those of the file, frame by frame."
            )

    def pictures(self, wanted: Sequence[int]) -> Iterator[tuple[int, Picture]]:
        frames = [VideoFrame(self.path, i) for i in wanted]
        last = -1
        if not frames:
            return
        try:
            with _of_no_table():
                for frame, picture in video_files.pictures(frames):
                    last = frame.index
                    yield frame.index, picture
        except JmerError:
            if last < 0:
                raise
            moment = f"{self.seconds[last]:.2f} s"
            note = (
                f"Not every frame can be decoded: the file is damaged, or was cut off. "
                f"The last one that can is at {moment}."
            )
            self.notes += [note] * (note not in self.notes)


class Images:
    """A folder of images whose names count frames, shown at `fps` frames a second.

    Raises: UsageError if the rate is not known; JmerError for files that are damaged.
    """

    def __init__(self, path: Path, fps: float | None, bits: int | None = None) -> None:
        self.path, self.notes = path, list[str]()
        known = Disk().numbered(path)
        numbers = np.array([*known], np.float64)
        self.files = [*known.values()]
        for file in self.files:
            if problem := image_files.damage(file):
                raise JmerError(f"{file} {problem}. Restore the file, or remove it.")
        if fps is None and len(self.files) > 1:
            raise UsageError(
                f"{path} is a folder of frames, and does not say when they are shown: "
                f"add --fps RATE, in frames a second"
            )
        self.seconds = (numbers - numbers[0]) / (fps or 1.0)
        if len(numbers) > 1 and np.ptp(np.diff(numbers)):
            gaps = int(np.count_nonzero(np.diff(numbers) > np.diff(numbers).min()))
            self.notes.append(
                f"Numbers of frames are left out at {gaps} places: moments are those "
                f"of the numbers."
            )
        self.bits = self._bits(bits)

    def _bits(self, asked: int | None) -> int:
        """How many bits of stored values count, as data sets have it."""
        found = {image_files.depth(file) for file in self.files}
        if not any(of == 16 for of, _ in found) or asked:
            return asked or 16
        stated = {said for of, said in found if of == 16}
        if len(stated) == 1 and (said := stated.pop()):
            return said
        some = np.linspace(0, len(self.files) - 1, SAMPLED).round().astype(int)
        most = max(int(frame_files.values(self.files[i]).max()) for i in {*some})
        if most < 2**8:  # of TIFF, which may have 8 after all
            return 16
        bits = next(b for b in (10, 12, 14, 16) if most < 2**b)
        if bits < 16:
            self.notes.append(
                f"Images have 16 bits a value and none of those looked at is above "
                f"{most}: read as {bits} bits. --bits 16 reads them otherwise."
            )
        return bits

    def pictures(self, wanted: Sequence[int]) -> Iterator[tuple[int, Picture]]:
        shape: tuple[int, ...] = ()
        for i in wanted:
            made = frame_files.picture(self.files[i], self.bits)
            if shape and made.shape != shape:
                raise JmerError(
                    f"{self.files[i]} is {made.shape[1]}x{made.shape[0]}, but others "
                    f"in {self.path} are {shape[1]}x{shape[0]}: they are not frames of "
                    f"one recording. Remove the others."
                )
            shape = made.shape
            yield i, made


def sources(
    path: Path, fps: float | None = None, bits: int | None = None
) -> list[Source]:
    """What there is to look at in a place, opened.

    Raises: JmerError as `places` and `opened`.
    """
    return [opened(place, fps, bits) for place in places(path)]


def places(path: Path) -> list[Path]:
    """One video, one folder of frames, or each video and each folder of frames in a
    folder, by name.

    Raises: JmerError naming the place if it is nothing of that.
    """
    with looking(path):
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise UsageError(
                f"{path} does not exist: give a video file, a folder of frames, or a "
                f"folder of such"
            )
        below = sorted(path.iterdir())
    if _images_in(path):
        return [path]
    found = [file for file in below if video_files.is_video(file) and file.is_file()]
    found += [folder for folder in below if folder.is_dir() and _images_in(folder)]
    if not found:
        raise JmerError(
            f"{path} has no frames ({', '.join(image_files.ENDINGS)}) whose names "
            f"count them, and no videos ({', '.join(video_files.ENDINGS)}): give a "
            f"folder that has."
        )
    return sorted(found, key=lambda one: one.name)


def opened(path: Path, fps: float | None = None, bits: int | None = None) -> Source:
    """A video, or a folder of frames.

    Raises: JmerError if it is damaged, or an image alone; UsageError if nobody says
    when the frames of a folder are shown.
    """
    if path.is_dir():
        return Images(path, fps, bits)
    if path.suffix.lower() in image_files.ENDINGS and not _moves(path):
        folder = f" {path.parent}" if _images_in(path.parent) else ""
        raise UsageError(
            f"{path} is one image, in which nothing moves: give a video, or the folder "
            f"of frames{folder}"
        )
    return Film(path)


def _moves(path: Path) -> bool:
    """Whether a file that is called an image is a video all the same."""
    try:
        return len(video_files.video(path)) > 1
    except JmerError:
        return False


def _images_in(folder: Path) -> bool:
    return bool(Disk().numbered(folder))


@contextlib.contextmanager
def _of_no_table() -> Iterator[None]:
    """Errors of files that were given by themselves, and not by the rows of a table."""
    try:
        yield
    except video_files.Unreadable as error:
        raise JmerError(error.alone) from error
