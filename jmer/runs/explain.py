"""What trained networks have to show of clips that they were tested on."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from data_builders import datasets
from jmer.arrays import Array
from jmer.data.clips import ClipSet
from jmer.data.config import DataConfig
from jmer.data.extract import Extract
from jmer.data.find import config_at
from jmer.data.load import load_prepared
from jmer.data.random_clips import RandomClips
from jmer.errors import JmerError, UsageError
from jmer.files.recorded import made_from
from jmer.models.base import Inputs, NetworkConfig
from jmer.own.origin import is_ours, known, not_ours, note_change
from jmer.own.packages import DATASETS, NETWORKS
from jmer.runs.folder import DESCRIPTION
from jmer.runs.held_out import kept_from_run
from jmer.runs.run import Run
from jmer.scores.labels import UNITS
from jmer.scores.predictions import Predictions
from jmer.shipped.beside import loaded
from jmer.train.numerics import pinned
from jmer.train.tasks import Task

MOST_RANDOM = 4_000_000_000
"""Bytes of random clips that are made because a run says so."""


@dataclasses.dataclass(frozen=True)
class Explained:
    """One clip by the weights of one training that had not seen it."""

    task: Task
    index: int
    """Of the clip in its set."""
    logits: np.ndarray
    """[classes], float32."""
    shown: dict[str, np.ndarray]
    """What the network's `explain` returns beside them, without the axis of clips."""
    weights: dict[str, np.ndarray]
    """Arrays of the training by path (`params.…`, `stats.…`)."""


def explained(
    run: Run,
    clips: ClipSet,
    chosen: Sequence[int] | None = None,
    *,
    which: Callable[[Task], bool] = lambda task: True,
    batch: int = 8,
) -> Iterator[Explained]:
    """Every tested clip of a run, or the `chosen` of them, by each training that held
    it out, or `which` of these, at the epoch that was selected.

    Raises: JmerError if the set is not the run's, if the network tells no classes
    apart, or if a chosen clip was not tested.
    """
    _require_same(run, clips)
    weights = run.weights
    network, (graphdef, states) = weights.config, weights.states()

    @jax.jit
    def show(
        state: tuple[nnx.State, nnx.State], inputs: Inputs
    ) -> tuple[Array, Mapping[str, Array]]:
        model = nnx.merge(graphdef, *state)
        logits, shown = network.explain(model, inputs)
        if clips.of_units:
            logits = network.predict_units(model, inputs)
        return logits, shown

    kept_from_run(run, clips)  # or its predictions were edited
    number = {clip: i for i, clip in enumerate(clips.names)}
    tested = {t: own for t, own in sorted(_tested(run, number).items()) if which(t)}
    wanted = set(range(len(clips)) if chosen is None else chosen)
    for i in sorted(wanted.difference(*tested.values())) if chosen is not None else ():
        raise JmerError(
            f"{run.folder} tested no clip {'/'.join(clips.names[i][1:])}: it is for "
            f"training alone, or its training diverged. Name another clip."
        )
    rows = {task: row for row, task in enumerate(weights.tasks)}
    for task, own_clips in tested.items():
        held_out = [i for i in own_clips if i in wanted]
        if not held_out:
            continue
        own_weights = {path: x[rows[task]] for path, x in weights.arrays.items()}
        state = jax.tree.map(lambda x, row=rows[task]: x[row], states)
        for start in range(0, len(held_out), batch):
            part = held_out[start : start + batch]
            index = np.resize(part, batch)  # one shape, so that one program serves
            inputs = {name: clips.inputs[name][index] for name in network.inputs}
            with pinned():  # whatever a notebook has set
                logits, shown = jax.device_get(show(state, inputs))
            for i, clip in enumerate(part):
                own = {name: value[i] for name, value in shown.items()}
                yield Explained(task, clip, logits[i], own, own_weights)


def set_of(run: Run, **places: Path | None) -> ClipSet:
    """The data set of a run, if it is prepared; `places` are fields of its
    configuration, such as `data_dir`, where those of the run are on another machine;
    None is that of the run. Its source is looked at only if `manual_dir` is given.

    Whoever wrote the run named these places: nothing is made, written or deleted there.

    Raises: JmerError if it cannot be read, or is another by now (NotPrepared if it is
    not there).
    """
    config = data_of(run, **places)
    if isinstance(config, RandomClips) and config.bytes > MOST_RANDOM:
        raise JmerError(
            f"the random clips of {run.folder} take {config.bytes / 1e9:.3g} GB, and "
            f"are not made for a run of unknown origin beyond {MOST_RANDOM / 1e9:g}."
        )
    # The places that a run names are only read: no source is searched for it.
    if places.get("manual_dir") is None:
        config = config.without_source()
    clips = load_prepared(config)
    if recorded := run.experiment["experiment"].get("extract"):
        part = made_from(Extract, recorded, run.folder / DESCRIPTION, "extract")
        if part != Extract():
            clips = part.of(clips, run.weights.config.shapes)
    _require_same(run, clips)
    return clips


def data_of(run: Run, **places: Path | None) -> DataConfig:
    """The configuration of a run's data set, with other `places`.

    Raises: JmerError if this jmer does not know the set.
    """
    file = run.folder / DESCRIPTION
    fields = dict(run.experiment["experiment"].get("data", {}))
    if "name" not in fields:
        raise JmerError(
            f"{file} names no data set. The file was edited or damaged: restore it, or "
            f"run the experiment again."
        )
    kind = _kind_of(run, fields.pop("name"))
    made = made_from(kind, fields, file, "experiment.data")
    given = {name: place for name, place in places.items() if place is not None}
    return dataclasses.replace(made, **given)


def _kind_of(run: Run, name: str) -> type[DataConfig]:
    """The class, if it is ours, its module was run already, or a package brings it: a
    run from a stranger runs no code unasked."""
    noted = run.experiment["data"]
    place = noted.get("kind", "")  # runs of older versions lack it
    ours = {kind.name: kind for kind in datasets()}
    if place and not is_ours(place):
        kind = known(DataConfig, noted, DATASETS)
        if kind is None:
            network = run.experiment.get("network", {})
            needed = [network] if _is_not_there(network) else []
            what = f"{run.folder} was trained on data set"
            raise not_ours(what, noted, needed)
        note_change(kind, noted, run.folder / DESCRIPTION)
        return kind
    if place and loaded(place.partition(":")[0]):
        return config_at(place)
    if name not in ours:
        raise JmerError(
            f"{run.folder} was trained on data set {name}, which this jmer does not "
            f"know: install the version that trained it."
        )
    return ours[name]


def _is_not_there(network: Mapping[str, str]) -> bool:
    """Whether a network is somebody's own, and its module was not run."""
    place = network.get("kind", "")
    if not place or is_ours(place):
        return False
    return known(NetworkConfig, network, NETWORKS) is None


def seed_of(run: Run, asked: int | None = None) -> int:
    """The seed that is asked for, or the first one of a run.

    Raises: UsageError if the run has no such seed; JmerError if it has no weights.
    """
    run.require_weights()
    seeds = sorted({task.seed for task in run.tasks})
    if asked is None:
        return seeds[0]
    if asked not in seeds:
        raise UsageError(f"seed={asked}: {run.folder} has {', '.join(map(str, seeds))}")
    return asked


def find_clip(clips: ClipSet, name: str) -> int:
    """The index of the clip of that name, or of `subject/clip`, where names repeat.

    Raises: JmerError if there is none, or more than one.
    """
    found = [
        i
        for i, (_, subject, clip) in enumerate(clips.names)
        if name in (clip, f"{subject}/{clip}")
    ]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join("/".join(clips.names[i][1:]) for i in found[:4])
        raise JmerError(f"several clips are called {name}: give one of {several}.")
    some = ", ".join(clip for _, _, clip in clips.names[:4])
    raise JmerError(f"{clips.name} has no clip {name}; it has {some}, …")


def typical(predictions: Predictions, most: int = 8) -> list[int]:
    """Rows of clips to look at: of each class the clip that was recognised, and then
    of each the one that was not, whose true class has the median probability among
    its like; no more than `most`.

    Of action units, the same of the clips that show each, the mean probability of
    what they show counting.
    """
    p = predictions
    if p.kind is UNITS:
        return _typical_units(p, most)
    trust = p.probabilities[np.arange(len(p)), p.label]
    chosen: list[int] = []
    for right in (True, False):
        for label in range(len(p.classes)):
            rows = np.flatnonzero(
                (p.label == label) & ((p.predicted == label) == right)
            )
            if len(rows):
                ranked = rows[np.argsort(trust[rows], kind="stable")]
                chosen.append(int(ranked[(len(rows) - 1) // 2]))
    return sorted(chosen[:most])


def _typical_units(p: Predictions, most: int) -> list[int]:
    trust = (p.probabilities * p.label).sum(1) / np.maximum(p.label.sum(1), 1)
    chosen: dict[int, None] = {}
    for found in (True, False):
        for unit in range(len(p.classes)):
            rows = np.flatnonzero(p.label[:, unit] & (p.predicted[:, unit] == found))
            if len(rows):
                ranked = rows[np.argsort(trust[rows], kind="stable")]
                chosen[int(ranked[(len(rows) - 1) // 2])] = None
    return sorted([*chosen][:most])


def _tested(run: Run, number: dict[tuple[str, ...], int]) -> dict[Task, list[int]]:
    """The clips that each training was tested on."""
    p = run.predictions
    made: dict[Task, list[int]] = {}
    columns = (p.seed, p.fold, p.variant, p.dataset, p.subject, p.clip)
    for seed, fold, variant, *clip in zip(*columns, strict=True):
        task = Task(int(seed), str(fold), int(variant))
        made.setdefault(task, []).append(number[tuple(map(str, clip))])
    return made


def _require_same(run: Run, clips: ClipSet) -> None:
    trained = run.experiment["data"].get("fingerprint")
    if clips.fingerprint != trained:
        raise JmerError(
            f"{run.folder} was trained on a set with fingerprint {trained}, but that "
            f"of {clips.name} is {clips.fingerprint}: its files have changed, or it "
            f"was prepared otherwise. Run the experiment again."
        )
