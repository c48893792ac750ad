"""Testing weights that are trained already, each on its own held-out subject."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jmer.arrays import Array
from jmer.data import load
from jmer.data.clips import ClipSet
from jmer.data.splits import Fold, make_folds
from jmer.errors import JmerError
from jmer.experiment import Experiment
from jmer.models.base import Inputs
from jmer.models.origin import origin
from jmer.report import write_report
from jmer.runner.outcome import join, predict, write_scored
from jmer.runner.reported import reported
from jmer.runner.session import check_inputs
from jmer.runs.environment import environment
from jmer.runs.folder import marks, owning
from jmer.runs.held_out import KeptFrom, kept_from_run, kept_from_weights
from jmer.runs.opening import open_run
from jmer.runs.run import find_weights, load_run
from jmer.runs.weights import INDEX, Weights
from jmer.scores.predictions import Predictions
from jmer.scores.recognition import score
from jmer.train.numerics import pinned

REMEDY = (
    "Evaluate on the data set and protocol that the weights were trained with: their "
    "own folds."
)


def evaluate(
    experiment: Experiment,
    *,
    weights: Path,
    name: str,
    command: str,
    run_dir: Path,
    overwrite: bool,
    wait: bool = False,
) -> dict[str, Any]:
    """Tests the weights of each fold on its test clips, and writes the reports.

    `weights` is a folder of imported weights or a run directory. The network is
    theirs; the data set and the protocol are the experiment's. With `wait`, begins once
    another run in that folder has ended.

    Raises: JmerError if a fold has no weights, they do not fit the data, or may have
    trained on a clip that the fold tests; InUse if another process has `run_dir`.
    """
    with pinned(), owning(run_dir, wait=wait):
        return _evaluate(experiment, weights, name, command, run_dir, overwrite)


def _evaluate(
    experiment: Experiment,
    weights: Path,
    name: str,
    command: str,
    run_dir: Path,
    overwrite: bool,
) -> dict[str, Any]:
    loaded = find_weights(weights)
    clips = experiment.extract.of(load(experiment.data), loaded.config.shapes)
    check_inputs(loaded.config, clips)
    folds = make_folds(experiment.protocol, clips)
    check_cover(loaded, folds, clips, weights)
    kept = kept_from(weights, loaded, clips)
    kept.refuse_leaks(folds, clips, REMEDY)
    identity = {
        "evaluated": str(weights.absolute()),
        "sources": list(loaded.sources),
        "data_fingerprint": clips.fingerprint,
        "protocol": experiment.identity()["protocol"],
    }
    description = {
        "name": name,
        "command": command,
        "experiment": experiment.resolved(),
        "identity": identity,
        **marks(identity),
        "held_out": kept.known,
        "network": origin(experiment.model),
        "data": {**experiment.data.origin, **clips.summary()},
        **environment(),
    }
    open_run(run_dir, description, overwrite=overwrite)
    start = time.monotonic()
    predictions = predict_folds(loaded, folds, clips)
    metrics = {
        "protocol": experiment.protocol.describe(folds, clips),
        "selection": "imported weights",
        "held_out": kept.known,
        "batches": None,
        "subject_independent": experiment.protocol.keeps_apart(folds, clips),
        **score(predictions.select(variant=int(predictions.variant.min()))),
        "oracle": None,
        "diverged": [],
        "wall_seconds": time.monotonic() - start,
        "throughput": None,
    }
    write_scored(run_dir, predictions, metrics)
    reported(write_report, run_dir, metrics)
    return metrics


def check_cover(
    weights: Weights, folds: Sequence[Fold], clips: ClipSet, folder: Path
) -> None:
    """Raises: JmerError if a fold has no weights, or the classes are others."""
    have = {task.fold for task in weights.tasks}
    missing = sorted({fold.name for fold in folds} - have)
    if missing:
        raise JmerError(
            f"{folder} has no weights for {len(missing)} of {len(folds)} folds, first "
            f"for {missing[0]!r}; it has {', '.join(sorted(have)[:4])}… Give weights "
            f"that were trained with this protocol, or import one checkpoint for "
            f"each held-out subject."
        )
    if weights.classes != clips.classes:
        raise JmerError(
            f"{folder} was trained on classes {weights.classes}, but {clips.name} has "
            f"{clips.classes}."
        )


def kept_from(folder: Path, weights: Weights, clips: ClipSet) -> KeptFrom:
    """What the weights in a folder were kept from, whichever it holds."""
    if (folder / INDEX).is_file():
        return kept_from_weights(weights, folder)
    return kept_from_run(load_run(folder), clips)


def predict_folds(
    weights: Weights, folds: Sequence[Fold], clips: ClipSet
) -> Predictions:
    """Predictions of every fold by every seed's weights that belong to it."""
    graphdef, state = weights.states()
    config = weights.config
    answer = config.predict_units if clips.of_units else config.predict

    @jax.jit
    def logits(state: tuple[nnx.State, nnx.State], inputs: Inputs) -> Array:
        return answer(nnx.merge(graphdef, *state), inputs)

    longest = max(len(fold.test) for fold in folds)
    by_name = {fold.name: fold for fold in folds}
    parts = []
    for row, task in enumerate(weights.tasks):
        if task.fold not in by_name:
            continue
        test = by_name[task.fold].test
        # One shape for all folds, so that one program serves them all.
        index = np.resize(test, longest)
        inputs = {
            name: jnp.asarray(clips.inputs[name][index]) for name in config.inputs
        }
        own = jax.tree.map(lambda x, row=row: jnp.asarray(x[row]), state)
        output = np.asarray(logits(own, inputs))[: len(test)]
        parts.append(predict(task, test, output, clips))
    return join(parts)
