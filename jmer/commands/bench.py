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
from jmer.errors import UsageError, quoted
from jmer.files import require_writable, write_json
from jmer.files.places import expanded
from jmer.text import did_you_mean

if TYPE_CHECKING:
    from rich.console import Console

    from jmer.bench.timing import Grid
    from jmer.bench.torch_loop import Loop, Processes
    from jmer.data.clips import ClipSet
    from jmer.data.splits import Fold
    from jmer.experiment import Experiment

# One experiment of each network, at its paper's size, and the machines that a table has
# where nothing else is asked for.
TABLED = (
    *("ststnet_megc2019", "stanet_casme2", "resnet3d_casme2", "meranet_casme2"),
    *("hsta_casme2", "aman_casme2", "visual_memory_casme2", "offapexnet_megc2019"),
)
TABLED_ON = ("v5e-4", "h100")
ROUNDS = 7
LOWERINGS = ("backend", "patches", "tpu", "gpu")  # of `nn.lowering`, which needs JAX


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
    add("--lowerings", nargs="+", default=[], metavar="NAME")
    add("--batches", nargs="+", default=[], choices=("own", "shared"))
    add("--dtypes", nargs="+", default=[], choices=("float32", "bfloat16"))
    add("--devices", nargs="+", type=int, default=[], help="devices (CPU: threads)")
    add("--batch-size", type=int, help="clips in a batch")
    add(
        "--small",
        action="store_true",
        help="the network's small size, and 8 people of 8 clips in batches of 8",
    )
    add("--seeds", nargs="+", type=int, default=[], help="as of `jmer run`")
    add("--variants", nargs="+", default=[], help="as of `jmer run`")
    add("--remat", action="store_true", help="layers made anew for the gradients")
    add("--accumulate", type=int, metavar="N", help="a batch in N parts")
    add("--rounds", type=int, help=f"times that all are measured (default {ROUNDS})")
    add("--plan-seconds", type=float, help="time to choose a layout in")
    add("--peer", choices=("torch",), help="time a PyTorch loop beside it")
    add("--json", type=_place, metavar="OUT", help="write all that was measured")
    add(
        "--table",
        type=_place,
        metavar="PLACE",
        help="write PLACE.json and PLACE.md for --target; what is there is not "
        "compiled again. Without FILE, all networks",
    )
    add(
        "--estimates",
        nargs="+",
        type=_place,
        metavar="FILE",
        help="a table of --target, then measurements to set beside it",
    )
    add(
        "--compare", nargs=2, type=_place, metavar=("OLD", "NEW"), help="two such files"
    )
    return parser


def bench(words: Sequence[str]) -> int:
    """Runs the command; 1 if a comparison found something slower."""
    options = _parser().parse_args(words)
    if options.table:
        options.files = options.files or [Path(name) for name in TABLED]
        options.target = options.target or list(TABLED_ON)
    if options.estimates:
        return _estimates(options.estimates)
    if not options.files and not options.compare:
        raise UsageError("jmer bench needs an experiment file, or --compare OLD NEW.")
    if options.rounds is not None and options.rounds < 1:
        raise UsageError(f"--rounds {options.rounds} must be at least 1")
    for name in ("peer", "rounds", "plan_seconds"):
        if options.target and getattr(options, name) is not None:
            raise UsageError(
                f"--target compiles and times nothing: leave out "
                f"--{name.replace('_', '-')}."
            )
    if len(options.files) > 1 and not options.target:
        raise UsageError("jmer bench times one experiment; with --target, several.")
    if not options.compare:
        found = (shipped.find(_place(file)) for file in options.files)
        options.files = list(dict.fromkeys(found))
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

    experiment = _experiment(options.file, options)
    if options.peer:
        from jmer.bench.torch_loop import require_plain

        require_plain(experiment, options.file)
    use_cpu_cores(max(options.devices, default=None))
    say = functools.partial(console.print, style="dim")
    say("measuring what the device can do")
    ceilings = measure_ceilings()
    cells = make_cells(experiment, grid, say)
    with contextlib.ExitStack() as stack:
        peers = _peers(options, experiment, stack) if options.peer else []
        rounds = options.rounds or ROUNDS
        seconds = interleave(cells, peers, rounds=rounds, say=say)
    results = summary(
        _name(options.file, options), experiment, cells, seconds, ceilings
    )
    show(results, console)
    if options.json:
        write_json(options.json, results)
        console.print(f"written: {options.json}")
    return 0


def _estimates(files: Sequence[Path]) -> int:
    if len(files) < 2:
        raise UsageError(
            "--estimates needs a table of jmer bench --target, and then at least one "
            "file that jmer bench FILE --json OUT wrote on the device."
        )
    from jmer.bench.beside_estimates import pairs, show

    show(pairs(files[0], files[1:]), _console())
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

    wanted = [machines.target(name) for name in dict.fromkeys(options.target)]
    for machine in wanted:
        if (most := max(options.devices, default=1)) > machine.devices:
            raise UsageError(
                f"--devices {most}: {machine.name} has {machine.devices}. Name a "
                f"larger machine, or leave out --devices."
            )
    _require_place(options.json)
    table = options.table and options.table.with_suffix(".json")
    _require_place(table)
    machines.prepare_for_compilers()
    from jmer.bench import elsewhere, forecast
    from jmer.bench.aims import aims
    from jmer.bench.kept import Kept
    from jmer.bench.target_page import write_page

    console = _console()
    say = functools.partial(console.print, style="dim")
    failed = []
    kept = Kept(table)
    for file in options.files:
        experiment = _experiment(file, options)
        for machine in wanted:
            for aim in aims(experiment, _grid(options), machine):
                try:
                    elsewhere.compiled_for(aim, _name(file, options), kept, say)
                except elsewhere.TooLarge as error:
                    failed.append(str(error))
                    say(f"error: {error}")
    content = kept.finish()
    forecast.show(kept.records, console)
    if table:
        write_page(table.with_suffix(".md"), content)
        console.print(f"written: {table} and {table.with_suffix('.md')}")
    if options.json:
        write_json(options.json, kept.summary())
        console.print(f"written: {options.json}")
    talking = [record for record in kept.records if record["collectives"]]
    return 1 if failed or talking else 0


def _require_place(file: Path | None) -> None:
    """Raises: JmerError if that could not be written once all is measured."""
    if file is not None:
        if file.is_dir():
            raise UsageError(f"--json {file} is a folder: name a file in it.")
        require_writable(file)


def _name(file: Path, options: argparse.Namespace) -> str:
    return file.stem + "_small" * options.small


def _experiment(file: Path, options: argparse.Namespace) -> "Experiment":
    """As the options want it; weights that its network reads from files are not needed,
    since clips are random."""
    from jmer.experiment import load_experiment

    experiment = load_experiment(file)
    network = experiment.model.without_files
    experiment = dataclasses.replace(experiment, model=network)
    if options.small:
        from jmer.bench.timing import FEW, few_clips
        from jmer.sweep.small import made_small

        experiment, _ = made_small(experiment)
        experiment = dataclasses.replace(
            experiment,
            data=few_clips(experiment),
            batch_size=min(experiment.batch_size, FEW),
        )
    given: dict[str, Any] = {
        "batch_size": options.batch_size,
        "seeds": tuple(options.seeds),
        "variants": tuple(options.variants),
    }
    experiment = dataclasses.replace(
        experiment,
        **{name: value for name, value in given.items() if value not in (None, ())},
    )
    of_engine = {
        "plan_seconds": options.plan_seconds,
        "remat": "on" if options.remat else None,
        "accumulate": options.accumulate,
    }
    asked = {name: value for name, value in of_engine.items() if value is not None}
    engine = dataclasses.replace(experiment.engine, **asked)
    return dataclasses.replace(experiment, engine=engine)


def _grid(options: argparse.Namespace) -> "Grid":
    from jmer.bench.timing import Grid

    everything = 10**9
    try:
        packs = [everything if n == "all" else int(n) for n in options.packs]
    except ValueError as error:
        raise UsageError(
            f"--packs {' '.join(options.packs)}: numbers or all"
        ) from error
    for name in options.lowerings:
        if name not in LOWERINGS:
            raise UsageError(
                f"--lowerings {quoted(name)}: no such lowering"
                f"{did_you_mean(name, LOWERINGS)}. There are {', '.join(LOWERINGS)}."
            )
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
    file: Path, options: argparse.Namespace
) -> "tuple[Experiment, ClipSet, list[Fold]]":
    """What a worker process needs; made there, since an experiment of a file of its
    own cannot be sent.
    """
    from jmer.bench.timing import bench_clips, peer_folds

    experiment = _experiment(file, options)
    clips = bench_clips(experiment).clips()
    return experiment, clips, peer_folds(experiment, clips)


def _peers(
    options: argparse.Namespace,
    experiment: "Experiment",
    stack: contextlib.ExitStack,
) -> "list[Loop | Processes]":
    import jax

    from jmer.bench.timing import bench_clips, peer_folds
    from jmer.bench.torch_loop import Loop, Processes, import_torch, variants

    cuda = import_torch().cuda.is_available()
    clips = bench_clips(experiment).clips()
    folds = peer_folds(experiment, clips)
    peers: list[Loop | Processes] = [
        Loop(experiment, clips, folds, variant) for variant in variants(cuda)
    ]
    if jax.default_backend() == "cpu" and not cuda:
        make = functools.partial(_make, options.file, options)
        each = len(experiment.seeds) * len(experiment.variant_values)
        processes = Processes(make, trainings=each * len(folds))
        stack.callback(processes.close)
        peers.append(processes)
    return peers
