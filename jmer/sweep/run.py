"""The cells of a sweep: run, and gone on with."""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from jmer.errors import JmerError
from jmer.files import Changed, write_json
from jmer.files.lock import tell
from jmer.report.sweep import cells_of, is_sweep, write_sweep
from jmer.runner.outcome import AllDiverged
from jmer.runner.progress import View
from jmer.runner.reported import NotReported, reported
from jmer.runner.run import run
from jmer.runner.together import require_same_options
from jmer.runs.folder import SCORES_TEX, SWEEP, contents, owning, require_folder
from jmer.runs.older import former
from jmer.sweep.cells import Cell
from jmer.sweep.plan import plan_sweep, plan_text
from jmer.train import hosts


def run_sweep(
    cells: Sequence[Cell],
    *,
    chosen: Sequence[Cell],
    name: str,
    command: str,
    run_dir: Path,
    overwrite: bool,
    make_view: Callable[[], View],
    wait: bool = False,
    stopping: Callable[[], bool] = lambda: False,
    changed: Sequence[str] = (),
) -> str | None:
    """Runs the chosen cells that are not finished, each in its folder in `run_dir`, and
    returns the report of all finished ones as Markdown (of several processes, the
    first). `changed` is what a small size changed of each.

    Raises: JmerError as `run` (NotReported once all other cells have run), or if
    `run_dir` is something else; KeyboardInterrupt once `stopping` says so.
    """
    cells, chosen = (as_begun(some, run_dir) for some in (cells, chosen))
    experiments = {cell.name: cell.experiment for cell in chosen}
    require_same_options(experiments, run_dir=run_dir, overwrite=overwrite)
    hosts.first_then_all(lambda: _require_own(run_dir, cells, overwrite))
    with contextlib.closing(make_view()) as view:
        plans = plan_sweep(chosen, run_dir, overwrite, view.say, stopping)
        described = [{"name": cell.name, "folder": cell.folder} for cell in cells]
        about = {"name": name, "command": command, "cells": described}
        hosts.first_then_all(lambda: _begin(run_dir, cells, overwrite, about))
        for line in plan_text(plans, run_dir):
            view.say(line)
    unreported: list[NotReported] = []
    for one in plans:
        if stopping():
            raise KeyboardInterrupt
        # A process may have been killed before it had written the last of the report.
        if one.stage == "finished" and (one.folder / SCORES_TEX).exists():
            continue
        view = make_view()
        view.say(f"cell {one.cell.name}")
        try:
            run(
                one.cell.experiment,
                name=f"{name}: {one.cell.name}",
                command=command,
                run_dir=one.folder,
                overwrite=overwrite,
                view=view,
                wait=wait,
                stopping=stopping,
                changed=changed,
            )
        except AllDiverged as error:  # of this cell; the others may learn
            view.say(f"cell {one.cell.name} has no result: {error}")
        except NotReported as error:
            view.say(f"cell {one.cell.name}: {error}")
            unreported.append(error)
        jax.clear_caches()  # a program takes memory as long as it might be wanted
    if not hosts.is_first():
        return None
    with owning(run_dir, wait=True):
        text = reported(write_sweep, run_dir)
    if unreported:
        raise unreported[0]
    return text


def _begin(
    run_dir: Path, cells: Sequence[Cell], overwrite: bool, about: dict[str, Any]
) -> None:
    # For a moment only: jobs may run different cells of one sweep at once, and each
    # cell has a lock of its own.
    with owning(run_dir, wait=True):
        _require_own(run_dir, cells, overwrite)
        if is_sweep(run_dir) and _known(run_dir) is None:
            tell(f"{run_dir / SWEEP} was edited or damaged: it is written anew")
        write_json(run_dir / SWEEP, about)


def as_begun(cells: Sequence[Cell], folder: Path) -> list[Cell]:
    """The cells by the names that they have in `folder`, where an older version may
    have begun the sweep."""
    there = (_known(folder) if is_sweep(folder) else None) or {}
    return [
        dataclasses.replace(cell, name=before)
        if cell.name not in there and (before := former(cell.name)) in there
        else cell
        for cell in cells
    ]


def _known(folder: Path) -> dict[str, Path] | None:
    """The cells of a sweep; None if its list is damaged: each cell knows by itself
    whose it is."""
    try:
        return cells_of(folder)
    except Changed:
        return None


def _require_own(folder: Path, cells: Sequence[Cell], overwrite: bool) -> None:
    """Raises: JmerError if `folder` holds anything but this sweep, or a part of it."""
    require_folder(folder)
    if not contents(folder):
        return
    if not is_sweep(folder):
        raise JmerError(
            f"{folder} has files but no {SWEEP} of jmer: it is no sweep. Choose an "
            f"empty or new folder with --run-dir."
        )
    gone = (_known(folder) or {}).keys() - {cell.name for cell in cells}
    if gone and not overwrite:
        raise JmerError(
            f"{folder} is another sweep, with a cell {min(gone)!r}: choose another "
            f"--run-dir, or forget it with --overwrite."
        )
