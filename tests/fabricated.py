"""A finished run that was never trained: small, and the same everywhere."""

import dataclasses
import json
from pathlib import Path

import numpy as np
from flax import nnx

from jmer.files import write_json
from jmer.models.ststnet import STSTNetConfig
from jmer.scores.predictions import Predictions
from jmer.scores.recognition import score
from jmer.train.checkpoint import Checkpoints, flatten
from jmer.train.tasks import Task

CLASSES = ("negative", "positive", "surprise")
MODEL = STSTNetConfig(size=8, filters=(2,))
EPOCHS = (1, 2, 3)
SUBJECTS = {"sub01": "casme2", "sub02": "casme2", "sub03": "casme2", "sub04": "samm"}
SUBJECTS |= {"sub05": "samm", "sub06": "smic"}
SEEDS, CLIPS = (0, 1), 5


def make_predictions(wrong_every: int) -> Predictions:
    """Every clip by every seed; about one in `wrong_every` is taken for another."""
    rows = [
        (dataset, subject, f"{subject}_{c}", subject, seed, 0, (i + c) % 3)
        for seed in SEEDS
        for i, (subject, dataset) in enumerate(SUBJECTS.items())
        for c in range(CLIPS)
    ]
    names = ("dataset", "subject", "clip", "fold", "seed", "variant", "label")
    values = map(np.array, zip(*rows, strict=True))
    columns = dict(zip(names, values, strict=True))
    label = columns["label"]
    wrong = (np.arange(len(rows)) * 7 + columns["seed"]) % wrong_every == 0
    predicted = np.where(wrong, (label + 1) % 3, label)
    shares = (np.eye(3)[predicted] * 0.7 + 0.1).astype(np.float32)
    return Predictions(CLASSES, **columns, predicted=predicted, probabilities=shares)


def make_run(folder: Path, *, name: str, wrong_every: int) -> Path:
    """A run directory with all that a finished one has, but its reports."""
    folder.mkdir(parents=True)
    predictions = make_predictions(wrong_every)
    predictions.save(folder / "predictions.csv")
    about = {
        "protocol": f"loso over {len(SUBJECTS)} subjects",
        "selection": "last",
        "batches": "own",
        "subject_independent": True,
        "oracle": None,
        "variant": 0,
        "variants": [],
        "diverged": [],
        "wall_seconds": 2.0,
        "throughput": None,
    }
    write_json(folder / "metrics.json", {**about, **score(predictions)})
    description = {
        "name": name,
        "command": f"jmer run experiments/{name}.py",
        "experiment": {"model": {"name": "ststnet", "size": 8, "filters": [2]}},
        "versions": {},
        "device": {"kind": "cpu", "count": 1, "platform": "cpu"},
        "revision": None,
        "data": {
            "name": "made up",
            "config": "flow8",
            "fingerprint": "0123456789abcdef",
            "classes": list(CLASSES),
        },
        "created": "2026-01-02T03:04:05",
    }
    write_json(folder / "experiment.json", description)
    events = [
        {"event": "evaluation", "pack": 0, "epoch": epoch, "loss": 1.2 / epoch}
        | {"test_acc": 1 - 0.5 / epoch, "inner_uf1": None}
        for epoch in EPOCHS
    ]
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (folder / "progress.jsonl").write_text(lines)
    _save_weights(folder / "checkpoints" / "pack-0000")
    return folder


def _save_weights(folder: Path) -> None:
    tasks = [Task(seed, fold) for seed in SEEDS for fold in SUBJECTS]
    model = MODEL.build(3, dtype=np.float32, rngs=nnx.Rngs(0))
    _, *states = nnx.split(model, nnx.Param, nnx.BatchStat)
    one = flatten({"params": states[0], "stats": states[1]})
    f, e = len(tasks), len(EPOCHS)
    arrays = {name: np.stack([value] * f) for name, value in one.items()}
    arrays |= {
        "history.epoch": np.array(EPOCHS),
        "history.alive": np.ones((e, f), bool),
        "history.loss": np.outer(1.2 / np.array(EPOCHS), np.ones(f)),
        "history.test_logits": np.zeros((e, f, CLIPS, 3)),
        "history.inner_uf1": np.full((e, f), np.nan),
        "selected": np.full(f, EPOCHS[-1]),
    }
    named = [dataclasses.asdict(task) for task in tasks]
    meta = {"tasks": named, "finished": True, "seconds": 2.0}
    checkpoints = Checkpoints(folder)
    try:
        checkpoints.save(EPOCHS[-1] + 1, arrays, meta)
        checkpoints.finish()
    finally:
        checkpoints.close()
