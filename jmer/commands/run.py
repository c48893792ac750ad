"""The command that trains and tests."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jmer.commands.parsing import parse, read_file
from jmer.errors import UsageError
from jmer.text import duration

if TYPE_CHECKING:
    from jmer.scores.metrics import Metric


def run(words: list[str]) -> int:
    file, rest = read_file("run", words)
    from jmer.commands.options import RunOptions
    from jmer.commands.targets import asking
    from jmer.data.asking import asked_as
    from jmer.sweep.cells import load_sweep

    sweep = load_sweep(file)
    default = RunOptions(sweep.base, run_dir=Path("runs") / file.stem)
    options = parse(RunOptions, f"jmer run {shlex.quote(words[0])}", rest, default)
    sweep = sweep.over(options.experiment, options.sweep)
    if options.cells and sweep.single:
        raise UsageError(f"cells={options.cells}: {words[0]} is no sweep")
    cells = sweep.choose(options.cells)
    from jmer.runner.interrupt import Interruption
    from jmer.runner.plan import keep_compiled_programs
    from jmer.runner.progress import make_view
    from jmer.runner.run import run
    from jmer.runs.folder import command_line
    from jmer.train.hosts import connect
    from jmer.train.mesh import use_cpu_cores

    use_cpu_cores(options.experiment.engine.devices)
    keep_compiled_programs()
    connect(options.coordinator, options.num_processes, options.process_id)
    about: dict[str, Any] = {
        "name": file.stem,
        "command": command_line(),
        "run_dir": options.run_dir,
        "overwrite": options.overwrite,
        "wait": options.wait,
    }
    asked = asking(sweep, ["run", *words], words[0])
    with asked_as(asked), Interruption() as interruption:
        about["stopping"] = interruption.asked
        if not sweep.single:
            from jmer.sweep.run import run_sweep

            text = run_sweep(sweep.cells, chosen=cells, make_view=make_view, **about)
            print(text or "", end="")
            return 0
        metrics = run(options.experiment, view=make_view(), **about)
    if metrics is not None:  # of several processes, the first one has them
        print_summary(metrics, options.run_dir)
    return 0


def print_summary(metrics: dict[str, Any], folder: Path) -> None:
    from rich.console import Console

    from jmer.runs.folder import REPORT
    from jmer.scores.metrics import headlines, reported

    def scored(metric: "Metric") -> str:
        low, high = metrics["ci95"][metric.name]
        return f"{metric.label} {metrics[metric.name]:.4f} ({low:.3f} to {high:.3f})"

    say = Console(soft_wrap=True, highlight=False).print
    say("  ".join(map(scored, reported().values())))
    say(
        f"  {metrics['protocol']}; {metrics['n_samples']} clips; selection "
        f"{metrics['selection']}; 95% intervals over subjects"
    )
    first = headlines()[0]
    if metrics["oracle"]:
        say(
            f"  inflated, for comparison: {first.label} "
            f"{metrics['oracle'][first.name]:.4f} with the epoch chosen on the test "
            f"subject"
        )
    if metrics["diverged"]:
        say(f"  {len(metrics['diverged'])} tasks diverged and are left out")
    say(f"  {duration(metrics['wall_seconds'])}; report: {folder / REPORT}.html")
