"""Run directories of networks with random weights, made without any training."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jmer.data.clips import ClipSet
from jmer.data.config import DataConfig
from jmer.data.extract import Extract
from jmer.files import write_json
from jmer.models.base import NetworkConfig
from jmer.runs.weights import structure
from jmer.scores.labels import kind_of
from jmer.scores.predictions import Predictions
from jmer.scores.recognition import score
from jmer.train.checkpoint import Checkpoints, Flat


def write_untrained_run(
    folder: Path,
    network: NetworkConfig,
    data: DataConfig,
    clips: ClipSet,
    seeds: Sequence[int] = (0,),
    units: tuple[int, ...] = (),
) -> Path:
    """A leave-one-subject-out run, whose every fold and seed has weights of its own,
    and whose predictions, some right and some wrong, no network made; with `units`, of
    these action units.
    """
    if units:
        clips = Extract(action_units=units).of(clips, {})
    folds = np.unique(clips.subject).tolist()
    tasks = [{"seed": s, "fold": f, "variant": 0} for s in seeds for f in folds]
    checkpoints = Checkpoints(folder / "checkpoints/pack-000")
    history = ("epoch", "alive", "loss", "test_logits", "inner_uf1", "inner_loss")
    checkpoints.save(
        1,
        {
            **random_weights(network, len(clips.classes), len(tasks)),
            **{f"history.{name}": np.ones((1, len(tasks))) for name in history},
            "selected": np.ones(len(tasks)),
        },
        {"tasks": tasks, "finished": True, "seconds": 0.0},
    )
    checkpoints.finish()
    checkpoints.close()
    made = guesses(clips, seeds)
    made.save(folder / "predictions.csv")
    about = {"variant": 0, "subject_independent": True}
    write_json(folder / "metrics.json", score(made) | about)
    model = dataclasses.asdict(network) | {"name": network.name}
    fields = dataclasses.asdict(data) | {"name": data.name}
    described = {
        "experiment": {
            "model": model,
            "data": {n: str(v) if n == "data_dir" else v for n, v in fields.items()},
            **({"extract": {"action_units": list(units)}} if units else {}),
        },
        "data": {"classes": list(clips.classes), "fingerprint": clips.fingerprint},
    }
    write_json(folder / "experiment.json", described)
    return folder


def random_weights(network: NetworkConfig, classes: int, tasks: int) -> Flat:
    """By path, task axis first; of a size that keeps what goes through a layer."""
    rng = np.random.default_rng(5)
    _, (params, stats) = structure(network, classes)
    shapes = {"params": params, "stats": stats}
    made = {}
    for path, leaf in _leaves(shapes).items():
        fan = max(int(np.prod(leaf.shape[:-1])), 1)
        values = rng.normal(size=(tasks, *leaf.shape)) / np.sqrt(fan)
        if path.endswith((".scale", ".var")):
            values = 1 + 0.2 * np.abs(values)
        made[path] = values.astype(np.float32)
    return made


def _leaves(tree: Any) -> dict[str, Any]:
    import jax

    from jmer import trees

    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {trees.path_name(path): leaf for path, leaf in leaves}


def guesses(clips: ClipSet, seeds: Sequence[int]) -> Predictions:
    n, k = len(clips), len(clips.classes)
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.ones(k), n * len(seeds))
    if clips.of_units:
        shares = rng.uniform(size=shares.shape)
    subject = np.tile(clips.subject, len(seeds))
    return Predictions(
        classes=clips.classes,
        dataset=np.tile(clips.dataset, len(seeds)),
        subject=subject,
        clip=np.tile(clips.clip_id, len(seeds)),
        fold=subject,
        seed=np.repeat(seeds, n),
        variant=np.zeros(len(subject), int),
        label=np.concatenate([clips.label] * len(seeds)),
        predicted=kind_of(clips.label).pick(shares),
        probabilities=shares.astype(np.float32),
    )
