"""Runs by lists of folds, and their clips, without a training."""

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from several import CLASSES, make, predictions_of
from toy import make_clips

from jmer.data.clips import ClipSet
from jmer.data.listed import ClipLists
from jmer.experiment import load_experiment
from jmer.files import read_json, write_json
from jmer.files.seal import unsealed

PEOPLE = ["toy00", "toy01", "toy02", "toy03"]
APART = {"f1": PEOPLE[:2], "f2": PEOPLE[2:]}
MIXED = {
    "f1": ["toy00", *(["toy01", f"clip{c}"] for c in range(3))],
    "f2": [*(["toy01", f"clip{c}"] for c in range(3, 6)), *PEOPLE[2:]],
}


def listed_clips() -> ClipSet:
    """Those that the predictions of the runs are of: four people, six clips each."""
    found = predictions_of({"toy": 4}, 0.5)
    return replace(
        make_clips(len(found), 1, size=2),
        classes=CLASSES,
        **{name: getattr(found, name) for name in ("dataset", "subject", "label")},
        clip_id=found.clip,
    )


def write_lists(file: Path, folds: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(folds), encoding="utf-8")
    return file


def sides(test: dict, train: dict) -> dict:
    return {name: {"test": own, "train": train[name]} for name, own in test.items()}


def listed_run(folder: Path, lists: Path, *, network: str = "net", **options) -> Path:
    """A finished run by these lists, of which half is right."""
    clips = listed_clips()
    protocol = ClipLists(lists=lists, **options)
    found = predictions_of({"toy": 4}, 0.5, seed=len(network))
    folds = protocol.divided(clips, np.arange(len(clips)))
    tested = np.stack([own for _, own in folds])
    names = np.array([name for name, _ in folds])
    found = replace(found, fold=names[tested.argmax(0)])
    made = dataclasses.replace(load_experiment("quickstart"), protocol=protocol)
    make(folder, network, found, protocol=f"{len(folds)} folds from lists of clips")
    about = read_json(folder / "experiment.json")
    about["experiment"]["protocol"] = made.resolved()["protocol"]
    kept = made.identity()["protocol"]
    about["data"]["fingerprint"] = clips.fingerprint
    about["identity"] = {"protocol": kept, "data_fingerprint": clips.fingerprint}
    write_json(folder / "experiment.json", unsealed(about))
    return folder
