"""Weights are tested on nothing that they may have seen: by start and by evaluate."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from sealing import reseal
from test_start import EXPERIMENT, trained
from toy import make_clips

from jmer.data.splits import ClipKFold, KFold, Loso, make_folds
from jmer.errors import JmerError
from jmer.files import write_json
from jmer.runner import evaluate as evaluates
from jmer.runner.evaluate import kept_from
from jmer.runs.explain import explained
from jmer.runs.held_out import BY_CLIPS, BY_NAME
from jmer.runs.held_out import held_out as held_out_of
from jmer.runs.run import find_weights, load_run
from jmer.runs.weights import INDEX, Weights
from jmer.train.tasks import Task


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Trained by clips, in two folds, fold0 and fold1."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    return trained(folder, make_clips(), protocol=ClipKFold(2), epochs=1)


def leak(folder, clips, protocol):
    """What is said of the folds that a protocol makes; empty where it may be tested."""
    folds = make_folds(protocol, clips)
    try:
        kept = kept_from(folder, find_weights(folder), clips)
        kept.refuse_leaks(folds, clips, "REMEDY")
    except JmerError as error:
        return str(error)
    return ""


def saved(folder, clips, protocol, *, held_out=True, **fields):
    """Weights without arrays, in a folder of their own, of the folds of a protocol."""
    folds = make_folds(protocol, clips)
    Weights(
        config=EXPERIMENT.model,
        classes=clips.classes,
        tasks=tuple(Task(0, fold.name) for fold in folds),
        arrays={"params.x": np.zeros((len(folds), 1))},
        held_out=held_out_of(folds, clips) if held_out else None,
        **fields,
    ).save(folder)
    return folder


def test_a_run_may_be_tested_on_its_own_folds(run):
    assert leak(run.folder, make_clips(), ClipKFold(2)) == ""
    assert run.held_out == run.weights.held_out
    assert {fold: len(own) for fold, own in run.held_out.items()} == {
        "fold0": 6,
        "fold1": 6,
    }


@pytest.mark.parametrize(
    "protocol", [KFold(2), ClipKFold(2, split_seed=1), ClipKFold(3)], ids=str
)
def test_folds_of_the_same_name_with_other_clips_are_leaks(run, protocol):
    said = leak(run.folder, make_clips(), protocol)
    assert "did not hold out of its fold of that name" in said and "REMEDY" in said


def test_other_sets_with_the_same_subjects_are_leaks(tmp_path):
    folder = saved(tmp_path / "W", make_clips(), Loso())
    clips = make_clips()
    assert leak(folder, clips, Loso()) == ""
    other = dataclasses.replace(clips, dataset=np.full(len(clips), "other"))
    assert "tests clip clip0" in leak(folder, other, Loso())
    renamed = dataclasses.replace(
        clips, clip_id=np.array([f"{name}b" for name in clips.clip_id])
    )
    assert "tests clip clip0b" in leak(folder, renamed, Loso())
    assert "tests clip clip12" in leak(folder, make_clips(5), Loso())


def test_a_fold_that_held_out_only_some_clips_of_its_subject_is_a_leak(tmp_path):
    clips = make_clips()
    folder = saved(tmp_path / "W", clips, Loso())
    index = json.loads((folder / INDEX).read_text())
    index["held_out"]["s2"].pop()
    write_json(folder / INDEX, index)
    assert "fold s2 tests clip clip8" in leak(folder, clips, Loso())


def test_subjects_known_by_the_name_of_a_file_may_be_tested_alone(tmp_path):
    clips = make_clips()
    sources = tuple(f"s{i}.pth sha256 00" for i in range(4))
    folder = saved(tmp_path / "W", clips, Loso(), held_out=False, sources=sources)
    assert leak(folder, clips, Loso()) == ""
    assert kept_from(folder, find_weights(folder), clips).known == BY_NAME
    folder = saved(tmp_path / "K", clips, KFold(2), held_out=False)
    assert "names of files alone" in leak(folder, clips, KFold(2))


def test_imported_weights_cannot_change_their_subjects(tmp_path):
    clips = make_clips()
    sources = tuple(f"s{i}.pth sha256 00" for i in range(4))
    folder = saved(tmp_path / "W", clips, Loso(), held_out=False, sources=sources)
    index = json.loads((folder / INDEX).read_text())
    index["tasks"][0]["fold"], index["tasks"][1]["fold"] = "s1", "s0"
    write_json(folder / INDEX, index)
    assert "calls weights of s0.pth those of s1" in leak(folder, clips, Loso())


@pytest.mark.parametrize("noted", [True, False])
def test_edited_predictions_do_not_clear_a_leak(run, tmp_path, monkeypatch, noted):
    """`noted`: whether the checkpoints say what was held out; those of older versions
    do not, but the protocol does."""
    folder = shutil.copytree(run.folder, tmp_path / "run")
    if not noted:
        monkeypatch.setattr("jmer.runs.run.Run.held_out", None)
    assert leak(folder, make_clips(), ClipKFold(2)) == ""
    file = folder / "predictions.csv"
    text = file.read_text()
    swapped = text.replace("fold0", "foldX").replace("fold1", "fold0")
    file.write_text(swapped.replace("foldX", "fold1"))
    assert "was changed after the run" in leak(folder, make_clips(), ClipKFold(2))
    with pytest.raises(JmerError, match="was changed after the run"):
        next(explained(load_run(folder), make_clips()))


def test_evaluation_refuses_and_records(run, tmp_path, monkeypatch):
    clips = make_clips()
    monkeypatch.setattr(evaluates, "load", lambda data: clips)

    def evaluated(name, protocol):
        evaluates.evaluate(
            dataclasses.replace(EXPERIMENT, protocol=protocol),
            weights=run.folder,
            name=name,
            command="jmer evaluate",
            run_dir=tmp_path / name,
            overwrite=False,
        )
        return load_run(tmp_path / name)

    with pytest.raises(JmerError, match=r"may have trained on\. Evaluate on"):
        evaluated("leak", KFold(2))
    assert not (tmp_path / "leak").exists()
    found = evaluated("own", ClipKFold(2))
    assert found.metrics["held_out"] == found.experiment["held_out"] == BY_CLIPS


def test_clips_that_chose_an_epoch_were_not_held_out(tmp_path):
    """Nor does it matter to those that were how the epoch was chosen."""
    clips = make_clips(subjects=5)
    fields = {"selection": "inner", "inner_fraction": 0.3, "epochs": 1}
    run = trained(tmp_path / "inner", clips, protocol=KFold(2), **fields)
    assert leak(run.folder, clips, KFold(2)) == ""
    folds = {fold.name: fold.test for fold in make_folds(KFold(2), clips)}
    for fold, own in run.held_out.items():
        assert own == {clips.names[i] for i in folds[fold]}
    assert "may have trained on" in leak(run.folder, clips, KFold(2, split_seed=3))


def test_a_protocol_of_the_users_own_is_known_by_the_checkpoints(
    run, tmp_path, monkeypatch
):
    folder = shutil.copytree(run.folder, tmp_path / "run")
    file = folder / "experiment.json"
    file.write_text(file.read_text().replace("ClipKFold", "MyOwn"))
    reseal(folder)
    assert leak(folder, make_clips(), ClipKFold(2)) == ""
    monkeypatch.setattr("jmer.runs.run.Run.held_out", None)  # of older versions
    assert leak(folder, make_clips(), ClipKFold(2)) == ""
