"""What the clips of a training set were like, to compare a video with."""

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data_builders.synthetic import Synthetic
from jmer.data.clips import ClipSet
from jmer.data.config import DataConfig
from jmer.data.load import spans
from jmer.errors import JmerError
from jmer.files import read_json, write_json
from jmer.files.cache import cache_folder
from jmer.runs.explain import data_of, set_of
from jmer.runs.run import Run

FILE = "conditions.json"
MEASURES = ("mean", "deviation")
"""Of a clip's array, over all of its values."""
USUAL = (0.025, 0.5, 0.975)
"""Shares of the clips below three values of a measure: the first and the last enclose
what is usual."""


@dataclasses.dataclass(frozen=True)
class Conditions:
    """Of the clips of a training set."""

    frame_rate: float = 0.0
    """Frames a second of its recordings, the median; 0 where unknown."""
    rates: tuple[float, float] = (0.0, 0.0)
    """The lowest and the highest."""
    length: float = 0.0
    """Frames of the recording that a clip was made of, the median; 0 where unknown."""
    lengths: tuple[float, float] = (0.0, 0.0)
    """The shortest and the longest."""
    measures: Mapping[str, Mapping[str, tuple[float, ...]]] = dataclasses.field(
        default_factory=dict
    )
    """By feature and measure, the values of `USUAL`."""

    @property
    def seconds(self) -> float:
        """How long a clip is, the median; 0 where unknown."""
        return self.length / self.frame_rate if self.frame_rate else 0.0


def conditions(
    run: Run, *, data_dir: Path | None = None, note: list[str] | None = None
) -> Conditions:
    """Those of a run: as `conditions.json` of its folder has them, or of its prepared
    set, if that is here. `note` is told why they are not known.

    Raises: JmerError if `conditions.json` is damaged.
    """
    file = run.folder / FILE
    if file.is_file():
        return _read(file)
    fingerprint = str(run.experiment["data"].get("fingerprint", ""))
    kept = cache_folder() / "conditions" / f"{fingerprint}.json"
    if fingerprint.isalnum() and kept.is_file():
        with contextlib.suppress(JmerError):  # it is made anew
            return _read(kept)
    try:
        made = of_set(run, set_of(run, data_dir=data_dir), data_dir)
    except JmerError as error:
        if note is not None:
            note.append(f"{error}")
        return Conditions()
    with contextlib.suppress(JmerError):
        _write(kept, made)
    return made


def write_conditions(run: Run) -> None:
    """Leaves `conditions.json` in a run's folder, for machines without its prepared
    set.

    Raises: JmerError if the set is not here, or the file cannot be written.
    """
    _write(run.folder / FILE, of_set(run, set_of(run)))


def of_set(run: Run, clips: ClipSet, data_dir: Path | None = None) -> Conditions:
    """Those of the clips of a run's set."""
    rates = clips.frame_rate[clips.frame_rate > 0]
    lengths = _lengths(data_of(run, data_dir=data_dir), clips)
    return Conditions(
        frame_rate=_round(np.median(rates)) if len(rates) else 0.0,
        rates=(_round(rates.min()), _round(rates.max())) if len(rates) else (0.0, 0.0),
        length=_round(np.median(lengths)) if len(lengths) else 0.0,
        lengths=(_round(lengths.min()), _round(lengths.max()))
        if len(lengths)
        else (0.0, 0.0),
        measures={
            name: _usual([measured(clip) for clip in array])
            for name, array in clips.inputs.items()
            if array.ndim > 2 and len(array)
        },
    )


def measured(array: np.ndarray) -> tuple[float, float]:
    """`MEASURES` of what is stored of a clip as one feature."""
    wide = array.astype(np.float32)
    return float(wide.mean()), float(wide.std())


def _usual(rows: list[tuple[float, float]]) -> dict[str, tuple[float, ...]]:
    values = np.quantile(np.array(rows), USUAL, axis=0).T
    named = zip(MEASURES, values, strict=True)
    return {name: tuple(_round(v) for v in row) for name, row in named}


def _lengths(data: DataConfig, clips: ClipSet) -> np.ndarray:
    """Frames of the recording that each clip was made of, where that is known."""
    known = spans(dataclasses.replace(data, manual_dir=None))
    if known:
        return np.array([span.last - span.first + 1 for span in known], float)
    if isinstance(data, Synthetic):
        if data.modality != "apex-flow" and data.resample in (
            *("none", "apex-window", "whole"),
        ):
            return np.array([float(data.length)])
        if data.modality != "apex-flow":  # about so much of a clip, see its timeline
            return np.array([0.75 * data.length])
    whole = (clips.onset >= 0) & (clips.offset > clips.onset)
    return (clips.offset - clips.onset + 1)[whole].astype(float)


def _round(value: Any) -> float:
    return float(f"{float(value):.6g}")


def _write(file: Path, made: Conditions) -> None:
    write_json(file, dataclasses.asdict(made))


def _read(file: Path) -> Conditions:
    found = read_json(file, remedy="delete it: it is made anew of the prepared set.")
    try:
        measures = {
            str(name): {str(m): tuple(map(float, row)) for m, row in rows.items()}
            for name, rows in found["measures"].items()
        }
        low, high = map(float, found["rates"])
        shortest, longest = map(float, found["lengths"])
        return Conditions(
            frame_rate=float(found["frame_rate"]),
            rates=(low, high),
            length=float(found["length"]),
            lengths=(shortest, longest),
            measures=measures,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise JmerError(
            f"{file} does not say what clips were like ({error}): delete it, and it is "
            f"made anew of the prepared set."
        ) from error
