"""What a run's networks show of the clips that they were tested on, and its scores."""

import csv
import dataclasses
import json
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import roc_auc_score

import jmer
from jmer.cli import main
from jmer.errors import JmerError
from jmer.runs.explain import explained, find_clip, set_of

EXPERIMENT = '''"""Spotting that takes seconds."""

from data_builders.synthetic import Synthetic
from jmer.data.splits import KFold
from jmer.experiment import EngineConfig, Experiment
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.optim import SgdConfig

EXPERIMENT = Experiment(
    model=VisualMemoryConfig(
        frames=12, steps=11, size=32, width=2, hidden=5, augmented=False
    ),
    data=Synthetic(
        modality="clip", subjects=4, clips=12, length=12, size=32, expressions=1
    ),
    optim=SgdConfig(lr=0.01),
    epochs=1,
    batch_size=4,
    seeds=(0, 3),
    protocol=KFold(2),
    engine=EngineConfig(plan_seconds=0),
)
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("spot")
    (place / "tiny.py").write_text(EXPERIMENT)
    data = ("--data.data-dir", str(place / "tfds"))
    run_dir = place / "run"
    words = ["run", str(place / "tiny.py"), "--run-dir", str(run_dir), *data]
    assert main(words) == 0
    return run_dir


@pytest.fixture(scope="module")
def run(folder):
    return jmer.load_run(folder)


@pytest.fixture(scope="module")
def clips(run):
    return set_of(run)


def test_every_tested_clip_is_shown_by_who_held_it_out(run, clips):
    shown = list(explained(run, clips, batch=5))
    assert len(shown) == len(run.predictions) == 2 * len(clips)
    p = run.predictions
    known = {
        (int(seed), str(fold), str(clip)): row
        for seed, fold, clip, row in zip(
            p.seed, p.fold, p.clip, p.probabilities, strict=True
        )
    }
    for one in shown:
        key = (one.task.seed, one.task.fold, str(clips.clip_id[one.index]))
        chances = np.exp(one.logits) / np.exp(one.logits).sum()
        assert_allclose(chances, known[key], atol=1e-5)
        assert one.shown["intensity"].shape == (11,)
        assert one.shown["contrast"].shape == (11, 4, 4, 3)


def test_a_clip_may_be_chosen(run, clips):
    index = find_clip(clips, str(clips.clip_id[5]))
    shown = list(explained(run, clips, [index]))
    assert index == 5 and {one.index for one in shown} == {5} and len(shown) == 2
    with pytest.raises(JmerError, match=r"has no clip nobody; it has "):
        find_clip(clips, "nobody")


def test_spotting_of_a_run_is_scored(folder, clips, capsys):
    assert main(["spot", str(folder), "--seed", "3", "--most", "1"]) == 0
    record = json.loads((folder / "spotting/spotting.json").read_text())
    with (folder / "spotting/frames.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 11 * len(clips) == record["frames"]
    true = np.array([float(row["true"]) for row in rows])
    for row, value in zip(rows, true, strict=True):
        i = find_clip(clips, row["clip"])
        frame = int(row["frame"]) + 1  # the network tells of all but the first
        assert_allclose(value, clips.inputs["intensity"][i][frame], atol=1e-4)
    found = np.array([float(row["found"]) for row in rows])
    within = np.array([int(row["expression"]) for row in rows])
    for row, inside in zip(rows, within, strict=True):
        i = find_clip(clips, row["clip"])
        assert inside == (clips.onset[i] <= int(row["frame"]) + 1 <= clips.offset[i])
    area = roc_auc_score(within, found)
    assert_allclose(record["auc"], area, atol=0.01)  # of rounded values
    assert f"AUC of {len(rows)} frames {record['auc']:.4f}" in capsys.readouterr().out
    names = {path.name for path in (folder / "spotting/figures").iterdir()}
    assert names == {"roc.png", "intensity-01.png", "maps-01.png"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seed", "1"), "seed=1: .* has 0, 3"),
        (("--threshold", "0"), "threshold=0.0 must be above 0"),
        (("--most", "-1"), "most=-1 must not be negative"),
    ],
)
def test_wrong_options_are_named(folder, words, said, capsys):
    assert main(["spot", str(folder), *words]) == 2
    assert re.search(said, capsys.readouterr().err)


def test_another_set_is_refused(run, clips):
    other = dataclasses.replace(clips, label=(clips.label + 1) % 3)
    with pytest.raises(JmerError, match=r"was trained on a set with fingerprint"):
        next(explained(run, other))
