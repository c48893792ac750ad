"""Scores of spotting over all test clips of a run, and their frames as a table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jmer.annotations import Float, Int
from jmer.data.clips import ClipSet
from jmer.errors import JmerError, UsageError
from jmer.files.cells import csv_text
from jmer.scores.intervals import (
    NEUTRAL,
    STATES,
    Roc,
    Video,
    annotated,
    interval_score,
    intervals,
    roc,
    spot_then_recognise,
    states,
)
from jmer.scores.metrics import Quantity

AUC = Quantity(
    "auc",
    "AUC of frames",
    "Probability that a frame within an expression is given more intensity than one "
    "outside, over all frames together.",
)
MAPS = ("contrast", "motion")
SHOWN = 5  # clips that an error names
COLUMNS = (
    *("subject", "clip", "frame", "expression", "true", "found"),
    *("true_state", "found_state"),
)


@dataclass(frozen=True)
class Rule:
    """How intervals are made of intensities.

    Raises: UsageError naming the field, its value and the allowed range.
    """

    threshold: float = NEUTRAL
    """Intensity from which on a frame belongs to an expression, above 0 to 1."""
    min_frames: int = 1
    """Frames of the shortest expression that counts."""
    max_gap: int = 0
    """Most frames below the threshold within one expression."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise UsageError(f"threshold={self.threshold} must be above 0, at most 1")
        for name, least in (("min_frames", 1), ("max_gap", 0)):
            if getattr(self, name) < least:
                option = name.replace("_", "-")
                raise UsageError(
                    f"{option}={getattr(self, name)} must be at least {least}"
                )

    def intervals(self, intensity: np.ndarray) -> Int[np.ndarray, "m 2"]:
        """What it finds in the intensities [t] of a clip."""
        return intervals(
            intensity,
            threshold=self.threshold,
            min_frames=self.min_frames,
            max_gap=self.max_gap,
        )


@dataclass(frozen=True, eq=False)
class Watched:
    """What was found in a clip and what is true of it, frame by frame.

    Raises: JmerError naming the clip if the two are not of the same frames, or a value
    is no intensity.
    """

    clip: str
    subject: str
    found: Float[np.ndarray, " t"]
    """Intensity of each frame, 0 to 1; so `true`, which a network may have learnt."""
    true: Float[np.ndarray, " t"]
    expressions: Int[np.ndarray, "n 2"]
    """(onset, offset) of each expression as it was annotated, both frames of it: the
    truth that is scored against, whatever the intensities."""
    predicted: int
    """Index of a class; so `label`."""
    label: int
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What there is to draw: `contrast` [t, i, j, 3], `motion` [t, i, j, 1]."""

    def __post_init__(self) -> None:
        if self.found.shape != self.true.shape or self.found.ndim != 1:
            raise JmerError(
                f"clip {self.clip}: {self.found.shape} intensities were found, but "
                f"{self.true.shape} are true: they must be of the same frames."
            )
        for name in ("found", "true"):
            value = getattr(self, name)
            if not ((value >= 0) & (value <= 1)).all():  # nor where it is NaN
                wrong = value[~((value >= 0) & (value <= 1))][0]
                raise JmerError(
                    f"clip {self.clip}: an intensity of {wrong} is {name}; it must be "
                    f"from 0 to 1."
                )

    @property
    def positive(self) -> np.ndarray:
        """Whether each frame lies within an expression, [t]."""
        within = np.zeros(len(self.true), bool)
        for onset, offset in self.expressions:
            within[onset : offset + 1] = True
        return within

    @property
    def true_states(self) -> Int[np.ndarray, " t"]:
        """The state of each frame: neutral outside of expressions, and never within."""
        return states(np.where(self.positive, np.maximum(self.true, NEUTRAL), 0))

    def video(self, rule: Rule) -> Video:
        """Its intervals, each of the class of the clip."""
        found, true = rule.intervals(self.found), self.expressions
        labels = np.full(len(found), self.predicted), np.full(len(true), self.label)
        return Video(found, true, *labels)


def watch(
    clip: str,
    subject: str,
    logits: Float[np.ndarray, " k"],
    shown: Mapping[str, np.ndarray],
    true: Float[np.ndarray, " t"],
    expressions: Int[np.ndarray, "n 2"],
    label: int,
) -> Watched:
    """A test clip of a network whose `explain` returned `logits` and `shown` (without
    the axis of clips); its intensities are those of the last of the `t` frames.
    `expressions` are intervals of the `t` frames.

    Raises: JmerError as `Watched`, if the network tells no intensity, or naming the
    clip if there are too few frames.
    """
    if "intensity" not in shown:
        raise JmerError(
            f"clip {clip}: the network tells {', '.join(shown) or 'nothing'} and no "
            f"intensity, so nothing can be spotted; train one that does, such as "
            f"visual_memory with --model.intensity."
        )
    steps = len(shown["intensity"])
    if not 0 < steps <= len(true):
        raise JmerError(
            f"clip {clip}: {steps} intensities were found, but it has {len(true)} "
            f"frames; there must be at least one, and no more than frames."
        )
    seen = expressions - (len(true) - steps)
    return Watched(
        clip=clip,
        subject=subject,
        found=np.asarray(shown["intensity"], np.float64),
        true=np.asarray(true[-steps:], np.float64),
        expressions=np.maximum(seen[seen[:, 1] >= 0], 0),
        predicted=int(np.argmax(logits)),
        label=int(label),
        maps={name: shown[name] for name in MAPS if name in shown},
    )


def watch_all(
    clips: ClipSet, explained: Iterable[tuple[int, np.ndarray, Mapping]]
) -> list[Watched]:
    """The tested clips of a set, each as its index there, its logits, and what
    `explain` shows of it.

    Raises: JmerError as `watch`, if the set tells no intensity, or naming clips that
    cannot be scored: all of their frames are within an expression, or nobody annotated
    one.
    """
    if "intensity" not in clips.inputs:
        raise JmerError(
            f"{clips.name} has {', '.join(clips.inputs)} and no intensity, so there is "
            f"nothing to compare with: prepare it with modality=video."
        )
    found = [
        watch(
            clip=str(clips.clip_id[i]),
            subject=str(clips.subject[i]),
            logits=logits,
            shown=until_end(shown, there_of(clips.inputs, i)),
            true=clips.inputs["intensity"][i][: there_of(clips.inputs, i)[1]],
            expressions=expressions_of(clips, i),
            label=int(clips.label[i]),
        )
        for i, logits, shown in explained
    ]
    full = [clip for clip in found if clip.positive.all()]
    if full:
        names = ", ".join(f"{clip.clip} of {clip.subject}" for clip in full[:SHOWN])
        more = f" and {len(full) - SHOWN} more" if len(full) > SHOWN else ""
        raise JmerError(
            f"{clips.name}: all frames of {names}{more} lie within the annotated "
            f"expression, so nothing can be spotted there. Prepare whole recordings: "
            f"modality=video, resample=whole or native, and a context, from a source "
            f"that keeps the frames before the onset and after the offset, and train "
            f"on those."
        )
    return found


def there_of(inputs: Mapping[str, np.ndarray], i: int) -> tuple[int, int]:
    """How many frames clip `i` is stored with, and how many of them are there."""
    if "present" in inputs:
        return len(inputs["present"][i]), int(inputs["present"][i].sum())
    frames = len(inputs["intensity"][i])
    return frames, frames


def until_end(
    shown: Mapping[str, np.ndarray], there: tuple[int, int]
) -> dict[str, np.ndarray]:
    """What is shown of the last frames of a clip, but for those that fill it up."""
    beyond = there[0] - there[1]
    return {name: value[: max(len(value) - beyond, 0)] for name, value in shown.items()}


def expressions_of(clips: ClipSet, i: int) -> Int[np.ndarray, "n 2"]:
    """(onset, offset) of the expressions that a recording shows.

    Raises: JmerError naming it if its expression was not annotated.
    """
    onset, offset = int(clips.onset[i]), int(clips.offset[i])
    if not 0 <= onset <= offset:
        raise JmerError(
            f"{clips.name}: clip {clips.clip_id[i]} of subject {clips.subject[i]} has "
            f"no annotated onset and offset, so that spotting cannot be scored on it."
        )
    there = there_of(clips.inputs, i)[1]
    return annotated(clips.inputs["intensity"][i][:there], onset, offset)


def frame_roc(clips: Sequence[Watched]) -> Roc:
    """The ROC curve of all frames together.

    Raises: JmerError if none shows an expression, or all do.
    """
    return roc(
        np.concatenate([clip.found for clip in clips]),
        np.concatenate([clip.positive for clip in clips]),
    )


def spotting_record(
    clips: Sequence[Watched], classes: Sequence[str], rule: Rule
) -> dict[str, Any]:
    """The record of all clips, as JSON values.

    `auc` pools their frames; `intervals` and `strs` pool their intervals, a found one
    being of the class that its clip was given; `states` counts frames by true state
    (row) and found state (column).

    Raises: JmerError if there is no clip, or as `frame_roc`.
    """
    if not clips:
        raise JmerError("there is no clip to score: the run tested none.")
    videos = [clip.video(rule) for clip in clips]
    pooled = interval_score(videos)
    both = spot_then_recognise(videos, len(classes))
    return {
        "threshold": rule.threshold,
        "min_frames": rule.min_frames,
        "max_gap": rule.max_gap,
        "clips": len(clips),
        "frames": sum(len(clip.true) for clip in clips),
        "frames_of_expressions": sum(int(clip.positive.sum()) for clip in clips),
        AUC.name: frame_roc(clips).area,
        "mean_absolute_error": float(
            np.abs(np.concatenate([clip.found - clip.true for clip in clips])).mean()
        ),
        "intervals": {
            **pooled._asdict(),
            "precision": pooled.precision,
            "recall": pooled.recall,
            "f1": pooled.f1,
        },
        "analysis_f1": both.analysis,
        "strs": both.strs,
        "states": {"names": list(STATES), "counts": state_counts(clips).tolist()},
        "per_subject": _per_subject(clips, videos),
    }


def state_counts(clips: Sequence[Watched]) -> Int[np.ndarray, "6 6"]:
    """Frames by true state (row) and found state (column)."""
    counts = np.zeros((len(STATES), len(STATES)), int)
    for clip in clips:
        np.add.at(counts, (clip.true_states, states(clip.found)), 1)
    return counts


def _per_subject(
    clips: Sequence[Watched], videos: Sequence[Video]
) -> dict[str, dict[str, Any]]:
    made = {}
    for subject in sorted({clip.subject for clip in clips}):
        own = [i for i, clip in enumerate(clips) if clip.subject == subject]
        pooled = interval_score([videos[i] for i in own])
        positive = np.concatenate([clips[i].positive for i in own])
        mixed = positive.any() and not positive.all()
        made[subject] = {
            "clips": len(own),
            "auc": frame_roc([clips[i] for i in own]).area if mixed else None,
            "f1": pooled.f1,
        }
    return made


def frame_table(clips: Sequence[Watched]) -> str:
    """CSV with a row for each frame."""
    return csv_text([COLUMNS, *_frame_rows(clips)], "\n")


def _frame_rows(clips: Sequence[Watched]) -> Iterator[tuple[Any, ...]]:
    for clip in clips:
        columns = (clip.positive, clip.true, clip.found)
        both = clip.true_states, states(clip.found)
        for i, (within, true, found, *named) in enumerate(
            zip(*columns, *both, strict=True)
        ):
            names = [STATES[state] for state in named]
            figures = int(within), f"{true:.4f}", f"{found:.4f}"
            yield clip.subject, clip.clip, i, *figures, *names
