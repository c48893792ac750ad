"""The figures of a run for a notebook: those of its report, to be drawn into as well.

A figure shows itself in a notebook, whatever backend Matplotlib has there.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jmer.errors import JmerError
from jmer.report.draw.confusion import confusion_figure, draw_confusion
from jmer.report.draw.learning import draw_curves, learning_figure, panels_of
from jmer.report.draw.settings import own_settings
from jmer.report.draw.subjects import draw_subjects, subjects_figure
from jmer.runs.curves import held_out_unit, uf1_of_tests

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jmer.runs.run import Run


def plot_confusion(run: "Run", ax: "Axes | None" = None) -> "Figure | Axes":
    """See `Run.plot_confusion`."""
    found = run.confusion, run.metrics["classes"]
    return _drawn(confusion_figure, draw_confusion, ax, *found)


def plot_subjects(run: "Run", ax: "Axes | None" = None) -> "Figure | Axes":
    """See `Run.plot_subjects`."""
    found = run.metrics["per_subject"], run.metrics["acc"]
    return _drawn(subjects_figure, draw_subjects, ax, *found)


def plot_learning(run: "Run", ax: "Axes | None" = None) -> "Figure | Axes":
    """See `Run.plot_learning`."""
    curves = {**run.curves, **uf1_of_tests(run.metrics)}
    if not curves:
        raise JmerError(_without_curves(run))
    unit = held_out_unit(run)

    def draw_first(axes: "Axes", *_: Any) -> None:
        draw_curves(axes, {name: curves[name] for name in panels_of(curves)[0]}, unit)

    epochs = run.metrics.get("epochs")
    return _drawn(learning_figure, draw_first, ax, curves, epochs, unit)


def _drawn(
    new: Callable[..., "Figure"],
    draw: Callable[..., None],
    ax: "Axes | None",
    *found: Any,
) -> "Figure | Axes":
    with own_settings():
        if ax is None:
            return new(*found)
        draw(ax, *found)
    return ax


def _without_curves(run: "Run") -> str:
    if evaluated := run.experiment.get("identity", {}).get("evaluated"):
        return (
            f"{run.folder} has no learning curves, for it is an evaluation: it trained "
            f"nothing. Those of the training are in {evaluated}, if that is a run."
        )
    return (
        f"{run.folder} has no learning curves: its progress.jsonl has no evaluation. "
        f"Restore that file from a copy."
    )
