"""Visual memory: intensity, what changes between frames, and classes of steps."""

import numpy as np
from scipy.special import softmax

from jmer.report.attention.case import Case, as_rgb
from jmer.report.attention.shaded import table_png
from jmer.report.draw.heat import Scale
from jmer.report.draw.spotting import intensity_png, maps_png
from jmer.report.pictures import roc_of
from jmer.report.render.blocks import Figure
from jmer.scores.intervals import annotated
from jmer.scores.spotting import MAPS, Rule, until_end, watch


def figures(case: Case) -> list[Figure]:
    """What the network tells of each step, a pair of frames: it is of the second."""
    shown, made = case.shown, list[Figure]()
    frames = as_rgb(case.inputs["clip"])
    if "present" in case.inputs:  # no figure shows what only fills up a clip
        length = len(frames), int(case.inputs["present"].sum())
        frames, shown = frames[: length[1]], until_end(shown, length)
    before = len(frames) - len(shown["step_logits"])
    if "intensity" in shown and "intensity" in case.inputs:
        true = case.inputs["intensity"][: len(frames)]
        watched = watch(
            *(case.clip, case.subject, case.logits, shown, true),
            annotated(true, *case.interval),
            case.label,
        )
        made.append(
            Figure(
                "figures/intensity.png",
                "Intensity of each frame",
                "Bars are the intensity that was found, shaded by the state of the "
                "frame, the line is the true one; below are the intervals of both, and "
                "the dotted line is the threshold of an expression.",
                intensity_png(watched, Rule(), before),
            )
        )
    maps = {name: shown[name] for name in MAPS if name in shown}
    if maps:
        made.append(
            Figure(
                "figures/maps.png",
                "What changes between frames",
                "Mean absolute differences between the features of neighbouring frames "
                "(equations 1 to 3 of the paper) and the mask of motion, at some of "
                "the steps, below the second frame of each; dark is large. Numbers are "
                "intensities.",
                maps_png(maps, shown.get("intensity"), frames[before:]),
            )
        )
    made.append(_steps(case, shown["step_logits"], before))
    if (spotted := roc_of(case.folder)) is not None:
        made.append(
            Figure(
                "figures/roc.png",
                "ROC curve of the frames of all test clips",
                "Of all test clips of this run, not of this one alone, as `jmer spot` "
                "drew it.",
                spotted,
            )
        )
    return made


def _steps(case: Case, logits: np.ndarray, before: int) -> Figure:
    shares = softmax(logits, -1)
    numbers = [str(before + i) for i in range(len(shares))]
    png = table_png(shares.T, case.classes, numbers, Scale(0, 1), across="frame")
    return Figure(
        "figures/steps.png",
        "Probability of each class at each frame",
        "Probability of each class at each frame; the class of the clip comes from all "
        "of them together.",
        png,
    )
