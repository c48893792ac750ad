"""Recordings of synthetic faces as video files, and the table of a set of one's own.

Needs PyAV (extra `video`). Videos are H.264, as cameras and telephones write them.
"""

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from jmer.errors import JmerError
from jmer.files import make_folder, read_json, replacing, write_json, write_text
from jmer.files.cells import csv_text
from jmer.synthetic.recordings import Recording, Shooting, record
from jmer.synthetic.spec import SyntheticSpec

TABLE = "table.csv"
"""As `data_builders.folder` reads it; frames are counted from 1."""
MOMENTS = "moments.csv"
"""The same with each expression three times, as somebody finds it who errs by up to
`ERROR`."""
TRUTH = "truth.json"
"""What is known of every video, and what they were made of; written last."""
HEADER = (
    *("clip", "subject", "label", "onset", "apex", "offset"),
    *("action_units", "dataset"),
)
DATASET = "synthetic"
"""What a table calls the set that its people are of."""
QUALITY = "23"  # of H.264: the usual one
ERROR = 0.04
"""Seconds."""


@dataclasses.dataclass(frozen=True)
class Shown:
    """What is true of a video."""

    video: str
    """Where it lies in the folder."""
    subject: str
    label: str
    rate: float
    """Frames a second."""
    frames: int
    moments: tuple[tuple[int, int, int], ...]
    """(onset, apex, offset) of each expression, frames from 0, in order."""
    action_units: str

    @classmethod
    def of(cls, one: Recording, names: Sequence[str]) -> "Shown":
        return cls(
            video=f"{one.subject}/{one.clip_id}.mp4",
            subject=one.subject,
            label=names[one.label],
            rate=one.rate,
            frames=len(one.frames),
            moments=one.moments,
            action_units=one.action_units,
        )


def write_footage(
    folder: Path,
    spec: SyntheticSpec,
    shooting: Shooting,
    *,
    watch: Callable[[int, int], Any] = lambda done, total: None,
) -> list[Shown]:
    """A video for each clip of `spec`, SUBJECT/CLIP.mp4, and the tables of them, which
    have no rows of videos without an expression. Returns what is true of each video.

    What is there already of the same `spec` and `shooting` stays.

    Raises: JmerError without PyAV, if the place cannot be written, or if it holds
    footage of something else.
    """
    made_of = {
        "spec": dataclasses.asdict(spec),
        "shooting": dataclasses.asdict(shooting),
    }
    if (folder / TRUTH).is_file():
        return _read(folder, made_of)
    made = []
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # images are small: threads would only wait for one another
    try:
        for index in range(spec.clips):
            one = record(spec, index, shooting)
            made.append(Shown.of(one, spec.class_names))
            write_video(folder / made[-1].video, one.frames, one.rate)
            watch(index + 1, spec.clips)
    finally:
        cv2.setNumThreads(threads)
    write_tables(folder, made, spec.seed)
    videos = [dataclasses.asdict(one) for one in made]
    write_json(folder / TRUTH, {**made_of, "videos": videos})
    return made


def write_tables(folder: Path, videos: Sequence[Shown], seed: int) -> None:
    """Writes `TABLE` and `MOMENTS`; `seed` is that of the errors."""
    rng = np.random.default_rng([9, seed])
    exact = [_row(one, each) for one in videos for each in one.moments]
    erring = [_row(one, m) for one in videos for m in _as_found(one, rng)]
    write_text(folder / TABLE, csv_text([HEADER, *exact], "\n"))
    write_text(folder / MOMENTS, csv_text([HEADER, *erring], "\n"))


def _read(folder: Path, made_of: dict[str, Any]) -> list[Shown]:
    """Raises: JmerError if it is footage of something else, or is damaged."""
    file = folder / TRUTH
    found = read_json(file, remedy=f"delete {folder}: it is made anew.")
    try:
        if {name: found[name] for name in made_of} != made_of:
            raise JmerError(
                f"{folder} holds footage of other options: choose another folder with "
                f"--out, or delete it."
            )
        return [
            Shown(
                **{
                    **one,
                    "moments": tuple((a, b, c) for a, b, c in one["moments"]),
                }
            )
            for one in found["videos"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise JmerError(
            f"{file} does not say what the videos show ({error}): delete {folder}, and "
            f"it is made anew."
        ) from error


def write_video(path: Path, frames: UInt8[np.ndarray, "t h w 3"], rate: float) -> None:
    """Writes RGB frames of even sides at `rate` frames a second.

    Raises: JmerError without PyAV, or if the place cannot be written.
    """
    try:
        import av
    except ImportError as error:
        raise JmerError(
            "videos are written by PyAV: pip install 'jmer[video]'."
        ) from error
    make_folder(path.parent)
    height, width = frames.shape[1:3]
    # One thread: how many there are decides what an encoder writes.
    options = {"crf": QUALITY, "threads": "1", "preset": "veryfast"}
    with replacing(path) as file, av.open(file, "w", format="mp4") as container:
        speed = Fraction(rate).limit_denominator(1001)
        stream: Any = container.add_stream("libx264", rate=speed, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


def _as_found(one: Shown, rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """Of each expression with an onset before, at and after the true one, and an apex
    that errs too."""
    step = max(1, round(ERROR * one.rate))
    made = []
    for onset, apex, offset in one.moments:
        for shift in (-step, 0, step):
            first = max(0, onset + shift)
            peak = apex + int(rng.integers(-step, step + 1))
            made.append((first, min(max(peak, first + 1), offset), offset))
    return made


def _row(one: Shown, moments: tuple[int, int, int]) -> tuple[str, ...]:
    counted = (str(moment + 1) for moment in moments)
    return (
        *(one.video, one.subject, one.label),
        *(*counted, one.action_units, DATASET),
    )
