"""Lists of folds that were edited, moved or lost since a run was made by them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from listed_runs import (
    APART,
    MIXED,
    PEOPLE,
    listed_clips,
    listed_run,
    sides,
    write_lists,
)
from several import make, predictions_of

from jmer.audit.run import audit_against
from jmer.cli import main
from jmer.errors import JmerError, UsageError
from jmer.runs.held_out import kept_from_run
from jmer.runs.run import Run, load_run

TRAIN = {"f1": [PEOPLE[3]], "f2": [PEOPLE[0]]}
LEAKY = {"f1": [*PEOPLE[2:], ["toy01", "clip5"]], "f2": [PEOPLE[0]]}
CLEAN = sides(APART, TRAIN)
DIRTY = sides(MIXED, LEAKY)
WHO_TRAINS = ("subjects", "clips", "sessions")


def judged(run: Path, clips=None, **options):
    """The verdict on each rule, and what is said of the run."""
    found = audit_against(load_run(run), clips or listed_clips(), **options)
    return {f.rule: f.verdict for f in found.findings}, found


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (DIRTY, CLEAN),
        (CLEAN, DIRTY),
        (CLEAN, sides(APART, {**TRAIN, "f1": PEOPLE[2:]})),
        (CLEAN, {**CLEAN, "f3": CLEAN["f1"]}),
    ],
    ids=["cleaned", "soiled", "more train", "another fold"],
)
def test_who_trained_is_unknown_once_the_lists_have_changed(tmp_path, then, now):
    file = write_lists(tmp_path / "lists" / "d.json", then)
    run = listed_run(tmp_path / "run", file, train="listed")
    before, _ = judged(run)
    assert {before[rule] for rule in ("subjects", "clips")} <= {"ok", "warning"}
    assert (before["subjects"] == "warning") == (then is not CLEAN)
    write_lists(file, now)
    verdicts, found = judged(run)
    assert {verdicts[rule] for rule in (*WHO_TRAINS, "never")} == {"unknown"}
    (said,) = [line for line in found.about if line.startswith("folds not derived")]
    assert f"protocol.lists={file} has changed since {run} was made" in said
    (text,) = [f.text for f in found.findings if f.rule == "subjects"]
    assert "by the protocol lists say who trains" in text and "taken to" not in text
    # What it was, at another place.
    copy = write_lists(tmp_path / "copy.json", then)
    assert judged(run, lists=copy)[0] == before
    write_lists(file, then)
    assert judged(run)[0] == before


@pytest.mark.parametrize(
    "gone", [lambda file: file.unlink(), lambda file: file.write_text("{")]
)
def test_lists_that_cannot_be_read_tell_nothing(tmp_path, gone):
    file = write_lists(tmp_path / "d.json", CLEAN)
    run = listed_run(tmp_path / "run", file, train="listed")
    gone(file)
    verdicts, found = judged(run)
    assert {verdicts[rule] for rule in WHO_TRAINS} == {"unknown"}
    assert any(line.startswith("folds not derived") for line in found.about)
    # Without the set either, as a leaderboard has it.
    found = audit_against(load_run(run), None, missing="not read")
    assert {f.verdict for f in found.findings if f.rule in WHO_TRAINS} == {"unknown"}


def test_all_others_train_where_the_protocol_says_so(tmp_path):
    file = write_lists(tmp_path / "m.json", MIXED)
    run = listed_run(tmp_path / "run", file)
    write_lists(file, APART)
    verdicts, found = judged(run)
    assert verdicts["subjects"] == "warning"  # by the predictions
    (text,) = [f.text for f in found.findings if f.rule == "subjects"]
    assert "1 of 2" in text and "as the protocol says" in text
    file.unlink()
    assert judged(run)[0] == verdicts


def test_what_is_for_training_alone_accuses_nobody(tmp_path):
    """With subjects apart, a fold that tests somebody sees none of their clips."""
    file = write_lists(tmp_path / "a.json", APART)
    run = listed_run(tmp_path / "run", file, apart=True)
    clips = listed_clips()
    columns = ("label", "subject", "dataset", "onset", "apex", "offset", "action_units")
    more = dataclasses.replace(
        clips,
        **{name: np.tile(getattr(clips, name), 2) for name in columns},
        inputs={name: np.concatenate([x, x]) for name, x in clips.inputs.items()},
        clip_id=np.concatenate([clips.clip_id, [f"{c}_macro" for c in clips.clip_id]]),
        train_only=np.repeat([False, True], len(clips)),
        frame_rate=None,
        session=None,
    )
    assert judged(run, more)[0]["subjects"] == "ok"
    file.unlink()
    assert judged(run, more)[0]["subjects"] == "ok"


def test_lists_elsewhere_are_named(tmp_path, monkeypatch, capsys):
    """A relative path, from another folder, with another file of that name."""
    monkeypatch.chdir(tmp_path)
    write_lists(Path("lists/d.json"), CLEAN)
    run = listed_run(tmp_path / "run", Path("lists/d.json"), train="listed")
    before, _ = judged(run)
    other = tmp_path / "other"
    write_lists(other / "lists" / "d.json", DIRTY)
    monkeypatch.chdir(other)
    verdicts, found = judged(run)
    assert verdicts["subjects"] == "unknown"
    (said,) = [
        line for line in found.about if "name a copy of that with --lists" in line
    ]
    assert "lists/d.json" in said
    assert judged(run, lists=Path("../lists/d.json"))[0] == before
    assert judged(run, lists=Path("lists/d.json"))[0] == verdicts
    main(["audit", str(run), "--lists", "../lists/d.json"])
    assert "not derived" not in capsys.readouterr().out
    assert main(["audit", "--folds", "lists", "--lists", "lists"]) == 2
    assert "--lists goes with a run directory" in capsys.readouterr().err


def test_a_run_without_lists_has_none(tmp_path):
    run = make(tmp_path / "run", "net", predictions_of({"toy": 4}, 0.5))
    with pytest.raises(UsageError, match="by loso: leave it out"):
        judged(run, lists=tmp_path)


def test_folds_are_those_of_the_checkpoints(tmp_path, monkeypatch, capsys):
    file = write_lists(tmp_path / "a.json", APART)
    folder = listed_run(tmp_path / "run", file)
    clips = listed_clips()
    held = kept_from_run(load_run(folder), clips).clips
    assert {name: len(own) for name, own in held.items()} == {"f1": 12, "f2": 12}
    monkeypatch.setattr(Run, "held_out", held)
    for change in (lambda: write_lists(file, MIXED), file.unlink):
        change()
        capsys.readouterr()
        assert kept_from_run(load_run(folder), clips).clips == held
        said = capsys.readouterr().err
        assert str(file) in said and "that its checkpoints tell" in said
    # What was trained on is refused all the same.
    monkeypatch.setattr(Run, "held_out", {**held, "f2": held["f1"]})
    with pytest.raises(JmerError, match="is not the one that was trained"):
        kept_from_run(load_run(folder), clips)
