"""Programs of an experiment for machines that are not here: one for each layout."""

import dataclasses
import itertools
from collections.abc import Iterator

import jax
import numpy as np

from jmer import trees
from jmer.bench.timing import Grid, bench_clips
from jmer.data.clips import ClipSet
from jmer.data.splits import make_folds
from jmer.experiment import Experiment
from jmer.models.base import Inputs, NetworkConfig
from jmer.runner.plan import as_asked, smaller
from jmer.runner.session import Session
from jmer.targets import machines
from jmer.train.first_guesses import Guess, first_guess
from jmer.train.folds import Program
from jmer.train.mesh import compute_dtype, make_mesh
from jmer.train.planner import candidates
from jmer.train.probe import Layout, Work


@dataclasses.dataclass(frozen=True)
class Aim:
    """One program for one machine."""

    machine: machines.Target
    experiment: Experiment
    work: Work
    layout: Layout
    pinned: bool = True
    """Whether somebody asked for so many tasks; else `jmer run` would make packs."""

    @property
    def program(self) -> Program:
        mesh = make_mesh(self.layout.devices, machines.devices(self.machine))
        return Program(
            self.layout.trainer(self.work.trainer),
            mesh,
            self.layout.chunk,
            options=machines.compiler_options(self.machine),
        )

    @property
    def per_device(self) -> int:
        """Tasks in the program of each device, repeated ones too."""
        return len(self.program.rows(self.work.tasks)) // self.layout.devices

    @property
    def state_bytes(self) -> float:
        """Of one task, with its row of the table."""
        state = jax.eval_shape(self.work.trainer.init, jax.random.key(0))
        return trees.size(state) + trees.size(self.work.table) / len(self.work.tasks)

    def smaller(self, size: int | None) -> "Aim | None":
        """What `jmer run` would try next if this needs `size` bytes of a device (None:
        too many); None if nothing is left to take away."""
        limit = self.machine.chip.memory
        found = smaller(self.layout, self.per_device, size, self.state_bytes, limit)
        if found is None:
            return None
        layout, tasks = found
        work = self.work.first(tasks * layout.devices)
        return dataclasses.replace(self, layout=layout, work=work)

    def __str__(self) -> str:
        return (
            f"{self.machine.name}: {len(self.work.tasks):,} tasks, "
            f"{self.experiment.batches}, {np.dtype(self.work.trainer.dtype).name}, "
            f"{self.layout}"
        )


def aims(experiment: Experiment, grid: Grid, machine: machines.Target) -> Iterator[Aim]:
    """Every combination of the grid; what it leaves open is as `jmer run` would have
    it on that machine."""
    clips = bench_clips(experiment).empty()
    folds = make_folds(experiment.protocol, clips)
    for batches, dtype in itertools.product(
        grid.batches or (experiment.batches,), grid.dtypes or (experiment.dtype,)
    ):
        variant = dataclasses.replace(experiment, batches=batches, dtype=dtype)
        session = Session(variant, clips, folds, _seen(experiment.model, clips))
        platform = machine.chip.platform
        trainer = dataclasses.replace(
            session.trainer, dtype=compute_dtype(dtype, platform)
        )
        whole = session.work(session.tasks)
        whole = dataclasses.replace(whole, trainer=trainer)
        guess = first_guess(whole.trainer, whole.data, platform)
        for pack in grid.packs or (len(whole.tasks),):
            work = whole.first(min(pack, len(whole.tasks)))
            for layout in _layouts(work, variant, grid, machine, guess):
                yield Aim(machine, variant, work, layout, pinned=bool(grid.packs))


def _layouts(
    work: Work,
    experiment: Experiment,
    grid: Grid,
    machine: machines.Target,
    guess: Guess | None,
) -> Iterator[Layout]:
    given = experiment.engine
    seen = set()
    for devices, chunk, lowering in itertools.product(
        grid.devices or (given.devices or machine.devices,),
        grid.chunks or (given.chunk,),
        grid.lowerings or (None if given.lowering == "auto" else given.lowering,),
    ):
        devices = min(devices, machine.devices, len(work.tasks))
        layout = next(
            candidates(
                work.tasks,
                machine.chip.platform,
                together=work.trainer.plan.together,
                devices=[devices],
                chunk=chunk and min(chunk, -(-len(work.tasks) // devices)),
                lowering=lowering,
                guess=guess,
            )
        )
        layout = as_asked(layout, given)
        if layout not in seen:
            seen.add(layout)
            yield layout


def _seen(network: NetworkConfig, clips: ClipSet) -> Inputs:
    """The shapes of what tasks see of the clips, as arrays that take no memory."""
    inputs = {name: clips.inputs[name] for name in network.inputs}
    if not network.has_prefix:
        return inputs
    made = jax.eval_shape(network.prefix, inputs)
    return {
        name: np.broadcast_to(np.zeros((), array.dtype), array.shape)
        for name, array in made.items()
    }
