"""The weights that trainings begin with, where those are not random."""

import dataclasses
from collections.abc import Sequence

import jax

from jmer import trees
from jmer.data.clips import ClipSet
from jmer.data.splits import Fold
from jmer.errors import JmerError
from jmer.experiment import Experiment
from jmer.files import content_hash
from jmer.runs.folder import PREDICTIONS
from jmer.runs.held_out import kept_from_run
from jmer.runs.importers import read_trunk
from jmer.runs.run import Run, load_run
from jmer.runs.weights import Weights, structure
from jmer.train.checkpoint import Flat
from jmer.train.tasks import Task

REMEDY = "Start from a run of the same data set and protocol."


@dataclasses.dataclass(frozen=True)
class Start:
    """Arrays by path, of a trunk that all trainings share (`shared`) and of another
    run's trainings, each for its own fold; where both have one, the trunk's counts.
    """

    shared: Flat = dataclasses.field(default_factory=dict)
    run: Weights | None = None
    paths: tuple[str, ...] = ()
    """What is taken of `run`."""
    identity: dict[str, str] = dataclasses.field(default_factory=dict)
    """Hashes of where the arrays come from, for the identity of the run."""

    def of(self, tasks: Sequence[Task]) -> Flat:
        """The arrays of these tasks, task axis first; of length 1 where all share one.

        Raises: JmerError if the run lacks a fold or a seed.
        """
        arrays: Flat = {}
        if self.run is not None:
            rows = [_row(self.run, task) for task in tasks]
            arrays = {path: self.run.arrays[path][rows] for path in self.paths}
        return arrays | {path: value[None] for path, value in self.shared.items()}


def read_start(experiment: Experiment, folds: Sequence[Fold], clips: ClipSet) -> Start:
    """What `pretrained` and `start_from` of an experiment say.

    Raises: JmerError if a file is of another network; if the run has trained a fold on
    what the same fold tests here; if a weight that training leaves as it is would be
    random.
    """
    network = experiment.model
    shared, digest = read_trunk(network, experiment.pretrained)
    start = Start(dict(shared), identity={"pretrained": digest})
    params, stats = structure(network, len(clips.classes))[1]
    leaves = jax.tree_util.tree_leaves_with_path({"params": params, "stats": stats})
    shapes = {trees.path_name(path): leaf.shape for path, leaf in leaves}
    if experiment.start_from is not None:
        run = load_run(experiment.start_from)
        kept_from_run(run, clips).refuse_leaks(folds, clips, REMEDY)
        fits = {
            p for p, x in run.weights.arrays.items() if x.shape[1:] == shapes.get(p)
        }
        if not fits:
            raise JmerError(
                f"{run.folder} has no weights that fit {network.name}: its network is "
                f"{run.weights.config.name}, or of another size."
            )
        start = dataclasses.replace(
            start,
            run=run.weights,
            paths=tuple(sorted(fits)),
            identity={**start.identity, "start_from": _digest(run)},
        )
    known = {*start.shared, *start.paths}
    random = [
        path
        for path in sorted(shapes.keys() - known)
        if path.startswith("params.") and network.frozen(tuple(path.split(".")[1:]))
    ]
    if random:
        raise JmerError(
            f"{len(random)} weights of {network.name} are not trained and have no "
            f"values, the first {random[0]}: give a run that trained them as "
            f"--start-from RUN, or a checkpoint as --pretrained FILE."
        )
    return start


def _row(weights: Weights, task: Task) -> int:
    """Of the same fold and seed, or the only seed; its first variant."""
    seeds = {known.seed for known in weights.tasks}
    seed = next(iter(seeds)) if len(seeds) == 1 else task.seed
    return weights.index(task.fold, seed)


def _digest(run: Run) -> str:
    """Of what its weights predict, which tells them apart as well as their values."""
    return content_hash(run.folder / PREDICTIONS)
