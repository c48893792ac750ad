"""`jmer bench FILE`, also for machines that are not here, and `--compare OLD NEW`."""

import argparse
import contextlib
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jmer import shipped
from jmer.commands.mistakes import OneLineParser
from jmer.errors import UsageError
from jmer.files import make_folder, write_json
from jmer.files.places import expanded

if TYPE_CHECKING:
    from rich.console import Console

    from jmer.bench.timing import Grid
    from jmer.bench.torch_loop import Loop, Processes
    from jmer.data.clips import ClipSet
    from jmer.data.splits import Fold
    from jmer.experiment import Experiment

LOWERINGS = ("backend", "patches")  # of `jmer.nn.lowering`, which needs JAX


def _place(text: str) -> Path:
    return expanded(Path(text))


def _parser() -> argparse.ArgumentParser:
    # Not tyro: a benchmark should run where little more than JAX is installed.
    parser = OneLineParser(
        prog="jmer bench",
        description="Time the training of an experiment on random clips.",
        epilog="Several values of an option are combined with those of all others.",
    )
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE", help="experiment: a file, or one of jmer's")
    add(
        "--target",
        action="append",
        default=[],
        metavar="MACHINE",
        help="compile for it instead, without a device: v5e-4, v5p-8, v6e-1, h100-8 …",
    )
    add("--packs", nargs="+", default=[], metavar="N", help="folds, or `all`")
    add("--chunks", nargs="+", type=int, default=[], help="folds side by side")
    add("--lowerings", nargs="+", default=[], choices=LOWERINGS)
    add("--batches", nargs="+", default=[], choices=("own", "shared"))
    add("--dtypes", nargs="+", default=[], choices=("float32", "bfloat16"))
    add("--devices", nargs="+", type=int, default=[], help="devices (CPU: threads)")
    add("--batch-size", type=int, help="clips in a batch")
    add("--remat", action="store_true", help="layers made anew for the gradients")
    add("--accumulate", type=int, metavar="N", help="a batch in N parts")
    add("--rounds", type=int, default=7, help="times that all are measured (default 7)")
    add("--plan-seconds", type=float, help="time to choose a layout in")
    add("--peer", choices=("torch",), help="time a PyTorch loop beside it")
    add("--json", type=_place, metavar="OUT", help="write all that was measured")
    add(
        "--compare", nargs=2, type=_place, metavar=("OLD", "NEW"), help="two such files"
    )
    return parser


def bench(words: Sequence[str]) -> int:
    """Runs the command; 1 if a comparison found something slower."""
    options = _parser().parse_args(words)
    if not options.files and not options.compare:
        raise UsageError("jmer bench needs an experiment file, or --compare OLD NEW.")
    if options.rounds < 1:
        raise UsageError(f"--rounds {options.rounds} must be at least 1")
    if options.target and options.peer:
        raise UsageError("--target compiles and times nothing: leave out --peer.")
    if len(options.files) > 1 and not options.target:
        raise UsageError("jmer bench times one experiment; with --target, several.")
    if not options.compare:
        options.files = [shipped.find(_place(file)) for file in options.files]
    if options.target:
        return _elsewhere(options)
    from jmer.bench.results import compare, show, summary

    console = _console()
    if options.compare:
        slower = compare(options.compare, console)
        return 1 if slower else 0
    (options.file,) = options.files
    grid = _grid(options)
    _require_place(options.json)
    from jmer.bench.ceilings import measure_ceilings
    from jmer.bench.timing import interleave, make_cells
    from jmer.train.mesh import use_cpu_cores

    experiment = _experiment(
        options.file,
        options.batch_size,
        plan_seconds=options.plan_seconds,
        **_saving(options),
    )
    use_cpu_cores(max(options.devices, default=None))
    say = functools.partial(console.print, style="dim")
    say("measuring what the device can do")
    ceilings = measure_ceilings()
    cells = make_cells(experiment, grid, say)
    with contextlib.ExitStack() as stack:
        peers = _peers(options, experiment, stack) if options.peer else []
        seconds = interleave(cells, peers, rounds=options.rounds, say=say)
    results = summary(options.file.stem, experiment, cells, seconds, ceilings)
    show(results, console)
    if options.json:
        write_json(options.json, results)
        console.print(f"written: {options.json}")
    return 0


def _console() -> "Console":
    """One that is wide enough for the tables where nobody looks at a terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=160)


def _elsewhere(options: argparse.Namespace) -> int:
    """Compiles for machines that are not here; 1 if a program did not fit, or would
    have devices talk."""
    from jmer.targets import machines

    wanted = [machines.target(name) for name in options.target]
    _require_place(options.json)
    machines.prepare_for_compilers()
    from jmer.bench import elsewhere, forecast

    console = _console()
    say = functools.partial(console.print, style="dim")
    records, failed = [], []
    for file in options.files:
        experiment = _experiment(file, options.batch_size, **_saving(options))
        for machine in wanted:
            for aim in elsewhere.aims(experiment, _grid(options), machine):
                try:
                    record = elsewhere.compiled_for(aim, say)
                except elsewhere.TooLarge as error:
                    failed.append(str(error))
                    say(f"error: {error}")
                    continue
                records.append({"experiment": file.stem, **record})
    forecast.show(records, console)
    if options.json:
        write_json(options.json, forecast.summary(records))
        console.print(f"written: {options.json}")
    talking = [record for record in records if record["collectives"]]
    return 1 if failed or talking else 0


def _require_place(file: Path | None) -> None:
    """Raises: JmerError if that could not be written once all is measured."""
    if file is not None:
        make_folder(file.parent)
        if file.is_dir():
            raise UsageError(f"--json {file} is a folder: name a file in it.")


def _experiment(file: Path, batch_size: int | None, **engine: Any) -> "Experiment":
    """That of the file, with other fields of its engine where they are given."""
    from jmer.experiment import load_experiment

    experiment = load_experiment(file)
    if batch_size is not None:
        experiment = dataclasses.replace(experiment, batch_size=batch_size)
    given = {name: value for name, value in engine.items() if value is not None}
    changed = dataclasses.replace(experiment.engine, **given)
    return dataclasses.replace(experiment, engine=changed)


def _saving(options: argparse.Namespace) -> dict[str, Any]:
    """Fields of the engine that save memory, as they were asked for."""
    remat = "on" if options.remat else None
    return {"remat": remat, "accumulate": options.accumulate}


def _grid(options: argparse.Namespace) -> "Grid":
    from jmer.bench.timing import Grid

    everything = 10**9
    try:
        packs = [everything if n == "all" else int(n) for n in options.packs]
    except ValueError as error:
        raise UsageError(
            f"--packs {' '.join(options.packs)}: numbers or all"
        ) from error
    counted = ("chunks", options.chunks), ("devices", options.devices)
    for name, values in (("packs", packs), *counted):
        if min(values, default=1) < 1:
            raise UsageError(f"--{name} must be at least 1, not {min(values)}")
    return Grid(
        tuple(packs),
        tuple(options.chunks),
        tuple(options.lowerings),
        tuple(options.batches),
        tuple(options.dtypes),
        tuple(options.devices),
    )


def _make(
    file: Path, batch_size: int | None
) -> "tuple[Experiment, ClipSet, list[Fold]]":
    """What a worker process needs; made there, since an experiment of a file of its
    own cannot be sent.
    """
    from jmer.bench.timing import bench_clips
    from jmer.data.splits import make_folds

    experiment = _experiment(file, batch_size)
    clips = bench_clips(experiment).clips()
    return experiment, clips, make_folds(experiment.protocol, clips)


def _peers(
    options: argparse.Namespace,
    experiment: "Experiment",
    stack: contextlib.ExitStack,
) -> "list[Loop | Processes]":
    import jax

    from jmer.bench.timing import bench_clips
    from jmer.bench.torch_loop import Loop, Processes, import_torch, variants
    from jmer.data.splits import make_folds

    cuda = import_torch().cuda.is_available()
    clips = bench_clips(experiment).clips()
    folds = make_folds(experiment.protocol, clips)
    peers: list[Loop | Processes] = [
        Loop(experiment, clips, folds, variant) for variant in variants(cuda)
    ]
    if jax.default_backend() == "cpu" and not cuda:
        make = functools.partial(_make, options.file, options.batch_size)
        processes = Processes(make)
        stack.callback(processes.close)
        peers.append(processes)
    return peers
