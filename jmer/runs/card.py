"""A run at a glance, for a notebook: in its own colours, light or dark."""

import html
from typing import TYPE_CHECKING

from jmer.runs.folder import SPOTTED, SPOTTING
from jmer.scores.labels import CLASSES
from jmer.scores.recognition import band
from jmer.text import counted, duration, points

if TYPE_CHECKING:
    from jmer.runs.run import Run

QUIET = "opacity:.75"
CELL = "padding:.15em .8em;text-align:right;border:0"
SCORE = "display:inline-block;margin-right:1.5em;white-space:nowrap"
HEAD = f"{CELL};font-weight:normal;{QUIET}"
SHARE = "background:rgba(90,140,200,{:.2f})"
MOST = 8
"""Classes of which the confusion is shown; of more, the picture is."""


def card(run: "Run") -> str:
    """Scores with their intervals, the confusion matrix, and how it came about.

    No colour but shades that let those of the notebook through; no resource from
    elsewhere; whatever names hold, they are text.
    """
    found = run.metrics
    parts = [
        f"<b>{html.escape(str(run.experiment.get('name', run.folder.name)))}</b> "
        f'<span style="{QUIET}">{html.escape(str(run.folder))}</span>',
        _scores(run),
        f'<div style="{QUIET}">{html.escape(_facts(run))}</div>',
        *(f"<div><b>!</b> {html.escape(text)}</div>" for text in _warnings(run)),
    ]
    if run.kind is CLASSES and 0 < len(found["classes"]) <= MOST:
        parts.append(_confusion(run))
    return f'<div style="max-width:60em;overflow-x:auto">{"".join(parts)}</div>'


def _scores(run: "Run") -> str:
    cells = []
    for name, metric in run.kind.reported.items():
        ends = band(run.metrics, name)
        range_ = "" if ends is None else f" [{ends[0]:.3f}, {ends[1]:.3f}]"
        cells.append(
            f'<div style="{SCORE}"><span style="{QUIET}">{metric.label}</span> '
            f'<b style="font-size:1.3em">{points(run.metrics.get(name))}</b>'
            f'<span style="{QUIET}">{range_}</span></div>'
        )
    return f"<div>{''.join(cells)}</div>"


def _facts(run: "Run") -> str:
    found = run.metrics
    told = [
        str(found["protocol"]),
        counted(found["n_samples"], "clip"),
        counted(found["n_subjects"], "subject"),
        counted(len(found["seeds"]), "seed"),
        f"epoch: {found['selection']}",
        *(["[95 % intervals over subjects]"] if found["n_subjects"] > 1 else []),
        duration(found["wall_seconds"]),
    ]
    if (run.folder / SPOTTING / SPOTTED).is_file():
        told.append("spotting: in its report")
    return " · ".join(told)


def _warnings(run: "Run") -> list[str]:
    found, told = run.metrics, []
    if run.experiment["experiment"].get("small") is True:
        told.append("A small size (--small): these numbers compare with nothing.")
    if not found["subject_independent"]:
        told.append("The same people are in training and in test.")
    if found["diverged"]:
        tasks = counted(len(found["diverged"]), "task")
        told.append(f"{tasks} diverged, and left out.")
    return told


def _confusion(run: "Run") -> str:
    classes = [html.escape(str(name)) for name in run.metrics["classes"]]
    head = "".join(f'<th style="{HEAD}">{name}</th>' for name in classes)
    rows = []
    for name, row in zip(classes, run.confusion.tolist(), strict=True):
        total = sum(row) or 1
        cells = "".join(
            f'<td style="{CELL};{SHARE.format(0.6 * count / total)}">{count:g}</td>'
            for count in row
        )
        rows.append(f'<tr><th style="{HEAD}">{name}</th>{cells}</tr>')
    return (
        f'<table style="border-collapse:collapse;border:0;margin-top:.4em"><thead><tr>'
        f'<th style="{HEAD}">true ╲ recognised as</th>{head}</tr></thead><tbody>'
        f"{''.join(rows)}</tbody></table>"
    )
