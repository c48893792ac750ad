"""Whether the figures follow from the predictions, and what they are worth."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jmer.audit.finding import Finding
from jmer.scores.labels import UNITS, kind_in
from jmer.scores.metrics import label_of
from jmer.scores.units import constant_one
from jmer.text import counted, points

TOLERANCE = 1e-6
FEW_SUBJECTS, FEW_CLIPS = 10, 100


def differences(stated: Any, derived: Any, where: str = "") -> Iterator[dict[str, str]]:
    """What two nested values that JSON knows disagree in; numbers to six digits."""
    if isinstance(stated, dict) and isinstance(derived, dict):
        for key in derived:
            if key in stated:
                place = f"{where}.{key}" if where else str(key)
                yield from differences(stated[key], derived[key], place)
    elif isinstance(stated, list) and isinstance(derived, list | tuple):
        if len(stated) != len(derived):
            yield _row(where, f"{len(stated)} values", f"{len(derived)} values")
            return
        for i, (a, b) in enumerate(zip(stated, derived, strict=True)):
            yield from differences(a, b, f"{where}.{i}")
    elif _number(stated) and _number(derived):
        if not abs(stated - derived) <= TOLERANCE:
            yield _row(where, f"{stated:.6g}", f"{derived:.6g}")
    elif stated != derived:
        yield _row(where, str(stated), str(derived))


def as_printed(value: Any) -> str:
    """A score as it is printed, or what stands in its place."""
    return points(value) if _number(value) else repr(value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _row(where: str, stated: str, derived: str) -> dict[str, str]:
    return {"figure": where, "stated": stated, "derived": derived}


def check_balance(scores: dict[str, Any]) -> Finding:
    """Whether the interval of the result lies above what always the same answer gets.

    `scores` is what `jmer.scores.recognition.score` returns. Of action units, that
    answer is that all of them are shown.
    """
    if kind_in(scores) is UNITS:
        return _unit_balance(scores)
    sizes = {name: part["n"] for name, part in scores["per_class"].items()}
    total, most = sum(sizes.values()), max(sizes, key=lambda name: sizes[name])
    share = sizes[most] / total
    present = sum(n > 0 for n in sizes.values())
    # Recall of that class is 1 and its precision the share; the others have nothing.
    trivial = {"acc": share, "uf1": 2 * share / (1 + share) / present}
    least = min((n, name) for name, n in sizes.items() if n)
    text = (
        f"{share:.0%} of the clips are {most}, and {counted(least[0], 'is', 'are')} "
        f"{least[1]}: always answering {most} has ACC {points(trivial['acc'])} and UF1 "
        f"{points(trivial['uf1'])}."
    )
    rows = tuple({"class": name, "clips": n} for name, n in sizes.items())
    if scores["n_subjects"] < 2:
        return Finding(
            "balance", "unknown", f"{text} One subject has no interval.", rows
        )
    below = [
        f"{label_of(name)} {points(scores[name])} (from {scores['ci95'][name][0]:.3f})"
        for name, least_score in trivial.items()
        if scores["ci95"][name][0] <= least_score
    ]
    if below:
        text += f" The result is not above that by its interval: {', '.join(below)}."
        return Finding("balance", "warning", text, rows)
    return Finding(
        "balance", "ok", f"{text} The result is above by its interval.", rows
    )


def _unit_balance(scores: dict[str, Any]) -> Finding:
    sizes = {name: part["n"] for name, part in scores["per_class"].items()}
    counts = np.array([*sizes.values()])
    always = float(UNITS.metrics["f1"](constant_one(counts, scores["n_samples"])))
    rare, most = (f(sizes, key=lambda name: sizes[name]) for f in (min, max))
    text = (
        f"{counted(sizes[most], 'clip')} of {scores['n_samples']} show {most}"
        f"{f', {sizes[rare]} {rare}' if len(sizes) > 1 else ''}: always answering that "
        f"{'all units are' if len(sizes) > 1 else 'it is'} shown has F1 "
        f"{points(always)}."
    )
    rows = tuple({"action unit": name, "clips": n} for name, n in sizes.items())
    if scores["n_subjects"] < 2:
        said = f"{text} One subject has no interval."
        return Finding("balance", "unknown", said, rows)
    if (low := scores["ci95"]["f1"][0]) <= always:
        text += (
            f" The result is not above that by its interval: F1 "
            f"{points(scores['f1'])} (from {low:.3f})."
        )
        return Finding("balance", "warning", text, rows)
    return Finding(
        "balance", "ok", f"{text} The result is above by its interval.", rows
    )


def check_size(subjects: int, clips: int) -> Finding:
    """Whether the numbers are large enough for what is usually concluded from them."""
    half = 0.98 / clips**0.5  # of a share of one half, the widest there is
    text = (
        f"{counted(clips, 'clip')} of {counted(subjects, 'subject')}: an accuracy has "
        f"an interval of up to ±{100 * half:.1f} points, before clips of one person "
        f"resemble one another."
    )
    few = []
    if subjects < FEW_SUBJECTS:
        few.append(f"intervals from fewer than {FEW_SUBJECTS} subjects are too narrow")
    if clips < FEW_CLIPS:
        few.append(f"fewer than {FEW_CLIPS} clips tell little apart")
    if few:
        said = "; ".join(few)
        return Finding("size", "warning", f"{text} {said[0].upper()}{said[1:]}.")
    return Finding("size", "ok", text)
