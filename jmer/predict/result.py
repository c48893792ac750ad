"""What was found in a source: as values, as JSON, and as tables."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jmer.annotations import Float
from jmer.files.cells import csv_text
from jmer.predict.curve import Curve
from jmer.predict.faces import Look
from jmer.predict.scan import Clip
from jmer.scores.labels import CLASSES, UNITS, LabelKind


@dataclasses.dataclass(frozen=True)
class Found:
    """An expression, or a window in which one is taken for granted."""

    onset: float
    """Seconds from the first frame; so `apex` and `offset`."""
    apex: float
    offset: float
    frames: tuple[int, int, int]
    """The same as numbers of the source's frames, from 0."""
    probabilities: Float[np.ndarray, "m k"] | None = None
    """Of the classes or action units, by each member; None where nobody was asked, or
    saw a face."""
    intensity: float | None = None
    """Of the apex, the middle of the members, as `Curve.middle`."""
    spread: float | None = None
    """Standard deviation of that over members."""
    clip: Clip | None = None
    """What the network saw."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """Who was asked: a run, and its trainings."""

    run: Path
    network: str
    data: str
    classes: tuple[str, ...]
    """Or action units, as `kind` says."""
    members: tuple[str, ...]
    """Fold and seed of each."""
    kind: LabelKind = CLASSES

    def record(self) -> dict[str, Any]:
        of_units = self.kind is UNITS
        return {
            "run": str(self.run),
            "network": self.network,
            "data": self.data,
            **({"labels": self.kind.name} if of_units else {}),
            "classes": list(self.classes),
            "members": list(self.members),
        }

    def label(self, one: Found) -> str:
        """The most probable class by the mean of the members, or the units that it
        finds, as AU1+AU4 or none; nothing where nobody was asked."""
        if one.probabilities is None:
            return ""
        return self.kind.texts(self.picked(one)[None], self.classes)[0]

    def picked(self, one: Found) -> np.ndarray:
        """What the mean of the members answers: the place of a class, or a truth of
        each unit [k]."""
        assert one.probabilities is not None
        return np.asarray(self.kind.pick(one.probabilities.mean(0)))

    def agreed(self, one: Found) -> float:
        """Share of the members whose answer is that of their mean: the class, or all of
        the units."""
        assert one.probabilities is not None
        same = self.kind.pick(one.probabilities) == self.picked(one)
        return float((same.all(1) if same.ndim > 1 else same).mean())


@dataclasses.dataclass(frozen=True, repr=False)
class Prediction:
    """What runs make of one video or folder of frames."""

    source: Path
    seconds: np.ndarray
    """When each frame is shown."""
    frame_rate: float
    namer: Asked
    """Whose classes they are."""
    spotter: Asked | None
    found: tuple[Found, ...]
    """Expressions where something spots, else windows, in the order of time."""
    curve: Curve | None
    looks: tuple[tuple[int, Look], ...]
    """Where the face was looked for: the frame, and what was seen."""
    window: tuple[float, float]
    """Seconds of a window, and from one to the next."""
    rate: float
    """Frames a second at which the source was seen."""
    cautions: tuple[str, ...] = ()
    """What it cannot know, in whole sentences."""

    @property
    def spotted(self) -> bool:
        """Whether a network found what is named, rather than windows sliding by."""
        return self.spotter is not None

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the last."""
        return float(self.seconds[-1])

    def __repr__(self) -> str:
        what = "interval" if self.spotted else "window"
        more = "" if len(self.found) == 1 else "s"
        return (
            f"Prediction {self.source}: {len(self.found)} {what}{more} in "
            f"{self.duration:.2f} s"
        )

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "source": str(self.source),
            "frames": len(self.seconds),
            "seconds": _plain(self.duration),
            "frame_rate": _plain(self.frame_rate),
            "seen_at": _plain(self.rate),
            "window_seconds": _plain(self.window[0]),
            "stride_seconds": _plain(self.window[1]),
            "classes_from": self.namer.record(),
            "intervals_from": self.spotter.record() if self.spotter else None,
            "cautions": list(self.cautions),
            "faces": [
                {
                    "frame": frame,
                    "seconds": _plain(self.seconds[frame]),
                    "faces": look.faces,
                    "box": None if look.box is None else [_plain(x) for x in look.box],
                }
                for frame, look in self.looks
            ],
            "intervals" if self.spotted else "windows": [
                self._found(one) for one in self.found
            ],
        }

    def _found(self, one: Found) -> dict[str, Any]:
        made: dict[str, Any] = {
            "onset": _plain(one.onset),
            "apex": _plain(one.apex),
            "offset": _plain(one.offset),
            "frames": list(one.frames),
        }
        if one.intensity is not None and one.spread is not None:
            made["intensity"] = _plain(one.intensity)
            made["intensity_spread"] = _plain(one.spread)
        if one.probabilities is not None:
            if self.namer.kind is UNITS:
                every = np.array(self.namer.classes)
                made["units"] = every[self.namer.picked(one)].tolist()
            else:
                made["class"] = self.namer.label(one)
            made["members_agreed"] = _plain(self.namer.agreed(one))
            made["probabilities"] = {
                name: {"mean": _plain(mean), "spread": _plain(spread)}
                for name, mean, spread in zip(
                    self.namer.classes,
                    one.probabilities.mean(0),
                    one.probabilities.std(0),
                    strict=True,
                )
            }
        return made

    def table(self) -> str:
        """CSV with a row for each interval or window."""
        names = [f"{kind}_{name}" for name in self.namer.classes for kind in "ps"]
        head = ("onset", "apex", "offset", "frame_onset", "frame_apex", "frame_offset")
        what = "units" if self.namer.kind is UNITS else "class"
        rows = [(*head, "intensity", what, *names), *self._rows()]
        return csv_text(rows, "\n")

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for one in self.found:
            moments = (f"{x:.4f}" for x in (one.onset, one.apex, one.offset))
            level = "" if one.intensity is None else f"{one.intensity:.4f}"
            p = one.probabilities
            shares: list[str] = [""] * (2 * len(self.namer.classes))
            if p is not None:
                both = np.stack([p.mean(0), p.std(0)], 1)
                shares = [f"{x:.4f}" for x in both.ravel()]
            label = self.namer.label(one)
            yield (*moments, *one.frames, level, label, *shares)

    def curve_table(self) -> str:
        """CSV with a row for each moment that a network spotted in; a head alone where
        none did."""
        rows: list[tuple[str, ...]] = [("seconds", "intensity", "spread")]
        if self.curve is not None:
            columns = self.curve.times, self.curve.middle, self.curve.spread
            rows += [
                tuple(f"{x:.4f}" for x in row) for row in zip(*columns, strict=True)
            ]
        return csv_text(rows, "\n")


def _plain(value: Any) -> float:
    return round(float(value), 6)
