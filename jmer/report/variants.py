"""The variants of a run, each as a run of its own."""

from collections.abc import Sequence
from typing import Any

from jmer.runs.run import Run


def each_variant(name: str, run: Run) -> list[tuple[str, Run]]:
    """All variants that have results, each called `name` and what sets it apart; a run
    that has but one keeps its name.
    """
    known: Sequence[dict[str, Any]] = run.metrics.get("variants", ())
    if len(known) < 2:
        return [(name, run)]
    numbers = sorted(set(run.predictions.variant.tolist()))
    values = [variant["values"] for variant in known]
    return [
        (f"{name}, {_apart(own, values)}", run.of_variant(number))
        for number, own in zip(numbers, values, strict=True)
    ]


def _apart(own: dict[str, float], every: Sequence[dict[str, float]]) -> str:
    """The fields in which the variants differ."""
    differ = [n for n in own if any(other.get(n) != own[n] for other in every)]
    return shown({name: own[name] for name in differ})


def shown(values: dict[str, float]) -> str:
    """The numbers of a variant by their fields."""
    return ", ".join(f"{name}={value:g}" for name, value in values.items()) or "–"
