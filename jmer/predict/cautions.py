"""What a prediction cannot know, said plainly."""

from collections.abc import Mapping, Sequence

import numpy as np

from jmer.predict.conditions import Conditions
from jmer.predict.faces import Look
from jmer.predict.members import Members
from jmer.predict.recipe import Seen
from jmer.predict.source import Source, frame_rate
from jmer.scores.labels import UNITS, LabelKind

DRAWN = "synthetic"
"""What sets call clips of drawn faces."""
FAR = 1.25
"""Rates that differ by more than this factor are said to be far apart."""
SMALL = 80
"""Side of a face below which the motion of its skin is hardly a pixel."""
APART = 0.1
"""Intensity by which trainings that have learnt the same do not differ."""
MANY = 0.1
"""Share of the clips outside of what is usual from which on it is said: of the training
set itself, 0.05 are."""


def of_training(members: Members, seen: Seen) -> list[str]:
    """What the run was trained on."""
    about = members.run.experiment["data"]
    clips, subjects = about.get("n_clips", "?"), about.get("n_subjects", "?")
    name = members.network.name
    if seen.synthetic or {*members.run.metrics["per_dataset"]} == {DRAWN}:
        return [
            f"{name} was trained on synthetic faces alone ({clips} clips of {subjects} "
            f"drawn faces): nothing is known of how it does on real ones."
        ]
    return [
        f"{name} was trained on {clips} clips of {subjects} people of {seen.data}: "
        f"expressions that were brought about in a laboratory, or posed, in one light "
        f"and from one side. How it does elsewhere is not known."
    ]


def of_rate(source: Source, known: Conditions, rate: float) -> list[str]:
    """Of a frame rate that is not the training set's."""
    own = frame_rate(source)
    if not known.frame_rate:
        return [
            "The training set has no frame rate, or none that is known here: the video "
            f"is seen at {rate:.4g} frames a second (--rate)."
        ]
    if max(own, known.frame_rate) <= FAR * min(own, known.frame_rate):
        return []
    return [
        f"The video has {own:.4g} frames a second, the training set "
        f"{known.frame_rate:.4g}: "
        + (
            "what is quick is missed between frames."
            if own < known.frame_rate
            else "motion from frame to frame is smaller than in training."
        )
    ]


def of_faces(
    looks: Sequence[tuple[int, Look]], seen: Seen, which: str, side: int
) -> list[str]:
    """Of faces that are small, gone or several; `side` is the frame's shorter one."""
    made = []
    blind = [look for _, look in looks if not look.faces]
    several = [look for _, look in looks if look.faces > 1]
    if blind:
        made.append(
            f"There was no face in {len(blind)} of {len(looks)} frames in which one "
            f"was looked for: nothing is said of the times after them."
        )
    if several:
        most = max(look.faces for look in several)
        whose = f"the {which} one" if not which.isdecimal() else f"number {which}"
        made.append(
            f"There are up to {most} faces: {whose} is followed. Choose with --face "
            f"left, right, largest or a number from the left."
        )
    boxes = [look.box for _, look in looks if look.box is not None]
    if boxes:
        width = float(np.median([max(box[2:]) for box in boxes]))
        if width < SMALL:
            made.append(
                f"The face is {width:.0f} pixels large: motion of its skin is hardly "
                f"a pixel, and lost in noise."
            )
    sides = [look.side for _, look in looks if look.side is not None]
    cut = float(np.median(sides)) if sides else float(side)
    if cut < seen.recipe.size:
        made.append(
            f"What is cut out is {cut:.0f} pixels wide and enlarged to "
            f"{seen.recipe.size}: the network sees less detail than in training."
        )
    return made


def of_distance(
    known: Conditions, measures: Mapping[str, Sequence[tuple[float, float]]]
) -> list[str]:
    """Of clips that are unlike those of the training set: `measures` has `MEASURES` of
    each clip, by feature."""
    made = []
    for name, rows in measures.items():
        usual = known.measures.get(name)
        if usual is None or not len(rows):
            continue
        values = np.array(rows).T
        for (measure, bounds), found in zip(usual.items(), values, strict=True):
            low, middle, high = bounds
            outside = float(((found < low) | (found > high)).mean())
            if outside > MANY:
                made.append(
                    f"{outside:.0%} of the clips have a {measure} of {name} outside "
                    f"of what 95% of the training clips had ({low:.3g} to {high:.3g}, "
                    f"mostly about {middle:.3g}; here about {np.median(found):.3g}): "
                    f"the network judges what it has not seen."
                )
    return made


def of_members(spread: float) -> list[str]:
    """Of trainings that tell other intensities; `spread` is their mean standard
    deviation."""
    if spread < APART:
        return []
    return [
        f"The trainings disagree on how far moments show an expression (by "
        f"{spread:.2f} on average): some may not have learnt to spot, and what half of "
        f"them do not see is not found. Ask one of them with --fold, of another run "
        f"that spots with --spotter-fold."
    ]


def without_spotter(classes: Sequence[str], kind: LabelKind) -> str:
    """Of classes that take an expression for granted, or units of which some may be
    shown."""
    if kind is UNITS:
        return (
            f"Nothing was spotted: each window is asked which of {', '.join(classes)} "
            f"it shows, by a network that was trained on clips of expressions alone. "
            f"Add --spotter RUN with a run that tells the intensity of frames."
        )
    return (
        f"Nothing was spotted: the network knows no face at rest, so that each window "
        f"is given one of {', '.join(classes)}, whether or not anything moved. Add "
        f"--spotter RUN with a run that tells the intensity of frames."
    )
