"""The command that trains and tests."""

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jmer.commands.parsing import parse, read_file
from jmer.errors import UsageError
from jmer.text import duration

if TYPE_CHECKING:
    from jmer.scores.metrics import Metric

NEXT = "\n  "  # line, of what is said of a run


def run(words: list[str]) -> int:
    file, rest = read_file("run", words)
    from jmer.commands.options import RunOptions
    from jmer.commands.targets import asking
    from jmer.data.asking import asked_as
    from jmer.sweep.cells import load_sweep
    from jmer.sweep.given import given_in, require_read
    from jmer.sweep.small import small_cells, told

    sweep = load_sweep(file)
    default = RunOptions(sweep.base, run_dir=Path("runs") / file.stem)
    options = parse(RunOptions, f"jmer run {shlex.quote(words[0])}", rest, default)
    sweep = sweep.over(options.experiment, options.sweep, options.cells)
    if options.cells and sweep.single:
        raise UsageError(f"cells={options.cells}: {words[0]} is no sweep")
    cells = sweep.choose(options.cells)
    given = given_in(rest, options.experiment)
    whole = every = list(sweep.cells)
    changed: tuple[str, ...] = ()
    if options.experiment.small:
        every, changed = small_cells(sweep, whole, given)
        cells = [cell for cell in every if cell.name in {c.name for c in cells}]
    made = [cell.experiment for cell in (*whole, *every)]
    require_read(given | {*sweep.values}, made, sweep.fields)
    from jmer.files.lock import tell
    from jmer.runner.interrupt import Interruption
    from jmer.runner.plan import keep_compiled_programs
    from jmer.runner.progress import announce, views
    from jmer.runner.run import run
    from jmer.runs.folder import command_line
    from jmer.train import hosts
    from jmer.train.mesh import use_cpu_cores

    if options.experiment.small:
        tell(told(changed))
    experiment = options.experiment if not sweep.single else every[0].experiment
    launch = hosts.launched(
        options.coordinator,
        options.num_processes,
        options.process_id,
        alone=options.alone,
    )
    use_cpu_cores(experiment.engine.devices)
    keep_compiled_programs()
    about: dict[str, Any] = {
        "name": file.stem,
        "command": command_line(),
        "run_dir": options.run_dir,
        "overwrite": options.overwrite,
        "wait": options.wait,
        "changed": changed,
    }
    with (
        asked_as(asking(sweep, ["run", *words], words[0])),
        Interruption(announce) as interruption,
        views() as make_view,
        hosts.together(
            launch,
            alone=options.alone,
            seconds=options.meeting_seconds,
            say=tell,
            stopping=interruption.asked,
        ) as stopping,
    ):
        about["stopping"] = stopping
        if not sweep.single:
            from jmer.sweep.run import run_sweep

            text = run_sweep(every, chosen=cells, make_view=make_view, **about)
            print(text or "", end="")
            return 0
        with scored_at_least(options.run_dir):
            metrics = run(experiment, view=make_view(), **about)
    if metrics is not None:  # of several processes, the first one has them
        print_summary(metrics, options.run_dir)
    return 0


@contextlib.contextmanager
def scored_at_least(folder: Path) -> Iterator[None]:
    """Prints the scores of a run whose report fails before the error is shown."""
    from jmer.runner.reported import NotReported

    try:
        yield
    except NotReported as error:
        if error.metrics is not None:
            print_summary(error.metrics, folder, reported=False)
        raise


def print_summary(
    metrics: Mapping[str, Any], folder: Path, *, reported: bool = True
) -> None:
    from rich.console import Console

    from jmer.runs.folder import REPORT
    from jmer.scores.labels import kind_in

    kind = kind_in(metrics)

    def scored(metric: "Metric") -> str:
        low, high = metrics["ci95"][metric.name]
        return f"{metric.label} {metrics[metric.name]:.4f} ({low:.3f} to {high:.3f})"

    console = Console(soft_wrap=True, highlight=False, markup=False)
    say, scores = console.print, [*map(scored, kind.reported.values())]
    # No number is broken in two where a terminal is narrow.
    whole = not console.is_terminal or len("  ".join(scores)) <= console.width
    say(("  " if whole else "\n").join(scores))
    say(
        f"  {metrics['protocol']}; {metrics['n_samples']} clips; selection "
        f"{metrics['selection']};{' ' if whole else NEXT}95% intervals over subjects"
    )
    first = kind.headlines[0]
    if metrics["oracle"]:
        say(
            f"  inflated, for comparison: {first.label} "
            f"{metrics['oracle'][first.name]:.4f} with the epoch chosen on the test "
            f"subject"
        )
    if metrics["diverged"]:
        say(f"  {len(metrics['diverged'])} tasks diverged and are left out")
    if left := metrics.get("seeds_left_out"):
        say(f"  seeds {', '.join(map(str, left))} are trained, too, and left out")
    where = f"; report: {folder / REPORT}.html" if reported else ""
    say(f"  {duration(metrics['wall_seconds'])}{where}")
