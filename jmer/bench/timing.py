"""What is measured: packs, batch modes, precisions and layouts, in turn."""

import dataclasses
import itertools
import statistics
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import numpy as np

from jmer.bench.torch_loop import Loop, Processes
from jmer.data.clips import ClipSet
from jmer.data.random_clips import RandomClips
from jmer.data.splits import Fold, make_folds
from jmer.experiment import Experiment
from jmer.nn.lowering.choice import current
from jmer.runner.features import seen_by_tasks
from jmer.runner.plan import make_plan
from jmer.runner.session import Session, as_divided
from jmer.train.probe import Layout, Probe, out_of_memory, step_flops

SUBJECTS, PER_SUBJECT = 26, 10  # of CASME II, about, where a set does not say
FEW = 8
FEW_STEPS = 400  # an epoch of more steps, over all tasks, is measured in part
PART = 3


@dataclasses.dataclass(frozen=True)
class Grid:
    """The values to combine; an empty tuple leaves the experiment's own."""

    packs: tuple[int, ...] = ()
    chunks: tuple[int, ...] = ()
    lowerings: tuple[Any, ...] = ()
    batches: tuple[Any, ...] = ()
    dtypes: tuple[Any, ...] = ()
    devices: tuple[int, ...] = ()


@dataclasses.dataclass
class TimedProgram:
    """One program that is timed, round after round."""

    label: str
    pack: int
    layout: Layout
    batches: str
    dtype: str
    probe: Probe
    flops: float  # of a fold and epoch, as the mathematics needs
    clips: float  # of a fold and epoch, on average
    seconds: list[float] = dataclasses.field(default_factory=list)

    def round(self) -> None:
        self.seconds.append(self.probe.epoch_seconds() / self.pack)


def few_clips(experiment: Experiment) -> RandomClips:
    """Random clips of the network's shapes, of few people."""
    return _random_clips(experiment, (FEW,) * FEW)


def bench_clips(experiment: Experiment) -> RandomClips:
    """Random clips of the network's shapes, with folds of the data set's sizes."""
    if isinstance(experiment.data, RandomClips):
        return experiment.data
    sizes = experiment.data.subject_sizes or (PER_SUBJECT,) * SUBJECTS
    return _random_clips(experiment, sizes)


def peer_folds(experiment: Experiment, clips: ClipSet) -> list[Fold]:
    """What a loop has to do for each fold: clips that choose the epoch are not learnt
    from, and are answered with those of the test."""
    folds = make_folds(experiment.protocol, clips)
    return [
        dataclasses.replace(fold, train=learnt, test=np.append(fold.test, inner))
        for fold, (learnt, inner) in zip(
            folds, as_divided(experiment, folds, clips), strict=True
        )
    ]


def _random_clips(experiment: Experiment, sizes: tuple[int, ...]) -> RandomClips:
    network = experiment.model
    return RandomClips(
        shapes=tuple(zip(network.inputs, network.input_shapes, strict=True)),
        sizes=sizes,
        dtype=experiment.data.stored_as,
        classes=network.usual_classes,
    )


def make_cells(
    experiment: Experiment, grid: Grid, say: Callable[[str], Any]
) -> list[TimedProgram]:
    """Compiles every combination; one that does not fit the device is left out, and
    said so.
    """
    clips = bench_clips(experiment).clips()
    folds = make_folds(experiment.protocol, clips)
    seen = seen_by_tasks(experiment.model, clips, current(), say)
    cells = []
    for batches, dtype, devices, lowering in itertools.product(
        grid.batches or (experiment.batches,),
        grid.dtypes or (experiment.dtype,),
        grid.devices or (experiment.engine.devices,),
        grid.lowerings or (experiment.engine.lowering,),
    ):
        engine = dataclasses.replace(
            experiment.engine, devices=devices, lowering=lowering
        )
        variant = dataclasses.replace(
            experiment, batches=batches, dtype=dtype, engine=engine
        )
        session = Session(variant, clips, folds, seen)
        cells += _cells(session, grid, say)
    return cells


def _cells(
    session: Session, grid: Grid, say: Callable[[str], Any]
) -> list[TimedProgram]:
    work = session.work(session.tasks)
    every = len(session.tasks)
    plan = make_plan(session.experiment.engine, work, say)
    flops = step_flops(session.trainer, session.data) / session.trainer.plan.size
    cells: list[TimedProgram] = []
    for pack in grid.packs or (every,):
        pack = min(pack, every)
        for chunk in grid.chunks or (plan.layout.chunk,):
            devices = min(plan.layout.devices, pack)
            chunk = min(chunk, -(-pack // devices))
            layout = dataclasses.replace(plan.layout, devices=devices, chunk=chunk)
            whole = pack * work.trainer.plan.steps <= FEW_STEPS
            label = (
                f"{pack} folds, {session.experiment.batches}, {session.dtype_name}, "
                f"{layout}"
            )
            if label in {cell.label for cell in cells}:
                continue
            say(f"compiling {label}")
            try:
                probe = Probe(layout, work.first(pack), steps=None if whole else PART)
                probe.warm_up()
            except jax.errors.JaxRuntimeError as error:
                if not out_of_memory(error):
                    raise
                say("  does not fit this device")
                continue
            cells.append(
                TimedProgram(
                    label,
                    pack,
                    layout,
                    session.experiment.batches,
                    session.dtype_name,
                    probe,
                    flops * session.training_clips,
                    session.training_clips,
                )
            )
    return cells


def interleave(
    cells: Sequence[TimedProgram],
    peers: Sequence[Loop | Processes],
    *,
    rounds: int,
    say: Callable[[str], Any],
) -> dict[str, list[float]]:
    """Times every cell and peer once a round, so that noise meets all alike.

    Returns the peers' seconds for a fold and epoch.
    """
    peer_seconds: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for peer in peers:
        peer.epoch_seconds()  # the first allocates
    for number in range(rounds):
        start = time.monotonic()
        for cell in cells:
            cell.round()
        for peer in peers:
            peer_seconds[peer.name].append(peer.epoch_seconds())
        say(f"round {number + 1} of {rounds}: {time.monotonic() - start:.1f} s")
    return peer_seconds


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median and ends, with the values themselves."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "rounds": list(values),
    }


def memory_slope(cells: Sequence[TimedProgram]) -> float | None:
    """Bytes on a device for one more task in the pack: least squares over cells that
    are laid out alike, on as many devices, as most of them are; None with fewer than
    two packs of those. Chunks may grow with the pack.
    """

    def kind(cell: TimedProgram) -> Hashable:
        layout = dataclasses.replace(cell.layout, chunk=1)
        return (layout, cell.batches, cell.dtype)

    most = Counter(map(kind, cells)).most_common(1)[0][0]
    alike = [cell for cell in cells if kind(cell) == most]
    tasks = [cell.pack / cell.layout.devices for cell in alike]
    if len(set(tasks)) < 2:
        return None
    sizes = [cell.probe.bytes for cell in alike]
    return float(np.polyfit(tasks, sizes, 1)[0])
