"""Files that belong together are never read in a mixture of two groups."""

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
from fabricated import make_run
from test_weights import make_weights

import jmer
from jmer.errors import JmerError
from jmer.files import write_group
from jmer.runner.outcome import write_scored
from jmer.runs.run import load_run, read_run
from jmer.runs.weights import ARRAYS, INDEX
from jmer.train.tasks import Task


class Killed(BaseException):
    """What no one catches."""


def kill_at(patch, number):
    """Lets so many changes of files pass, and none after: as of a dead process, not
    even those that tidy up."""
    left = [number]

    def ends(call):
        def called(*words, **options):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return call(*words, **options)

        return called

    for owner, name in (
        (os, "fsync"),
        (os, "fchmod"),
        (Path, "replace"),
        (Path, "unlink"),
        (Path, "chmod"),
        (Path, "mkdir"),
    ):
        patch.setattr(owner, name, ends(getattr(owner, name)))
    return left


def deaths(write):
    """Calls `write` dying at each of its changes in turn; how often it has died."""
    for number in itertools.count():
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, number)
            try:
                write()
            except Killed:
                pass
            else:
                return
        yield number


def weights_of(subject, value):
    weights = make_weights()
    return type(weights)(
        config=weights.config,
        classes=weights.classes,
        tasks=(Task(0, subject),),
        arrays={p: np.full_like(x[:1], value) for p, x in weights.arrays.items()},
        sources=(f"{subject}.pth",),
    )


@pytest.mark.parametrize("stamped", [True, False])
def test_no_subject_has_the_weights_of_another(tmp_path, stamped):
    """`stamped`: whether the index over which is imported has the hash of its arrays;
    those of older versions have none."""
    folder, seen = tmp_path / "W", set()
    first, second = weights_of("s1", 1.0), weights_of("s2", 2.0)

    def begin():
        first.save(folder)
        if not stamped:
            index = json.loads((folder / INDEX).read_text())
            for name in ("arrays_sha256", "sealed", "seal"):
                del index[name]
            (folder / INDEX).write_text(json.dumps(index))

    begin()
    count = 0
    for _ in deaths(lambda: second.save(folder)):
        count += 1
        try:
            found = jmer.load_model(folder)
        except JmerError as error:
            assert "import" in str(error)
            seen.add("refused")
        else:
            subject = found.tasks[0].fold
            values = {float(x.flat[0]) for x in found.arrays.values()}
            assert values == {{"s1": 1.0, "s2": 2.0}[subject]}
            seen.add(subject)
        begin()
    second.save(folder)
    assert jmer.load_model(folder).tasks == second.tasks
    assert count >= 8 and {"s1", "refused"} <= seen


def test_arrays_of_another_import_are_noticed(tmp_path):
    weights_of("s1", 1.0).save(tmp_path / "a")
    weights_of("s2", 2.0).save(tmp_path / "b")
    (tmp_path / "a" / ARRAYS).write_bytes((tmp_path / "b" / ARRAYS).read_bytes())
    with pytest.raises(JmerError, match=rf"{INDEX} is of another {ARRAYS}"):
        jmer.load_model(tmp_path / "a")


def test_a_group_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    write_group(tmp_path, {"a": b"1", "b": b"1"})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JmerError, match="No space left"):
        write_group(tmp_path, {"a": b"2", "b": b"2"})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {
        "a": b"1",
        "b": b"1",
    }


def test_scores_are_those_of_the_predictions_beside_them(tmp_path):
    runs = [make_run(tmp_path / f"r{w}", name="r", wrong_every=w) for w in (2, 3)]
    first, second = ((load_run(r).predictions, load_run(r).metrics) for r in runs)
    folder = runs[0]
    count = 0
    for _ in deaths(lambda: write_scored(folder, *second)):
        count += 1
        try:
            run = read_run(folder)
        except JmerError as error:
            assert "no finished run" in str(error)
        else:
            accuracy = (run.predictions.predicted == run.predictions.label).mean()
            assert abs(accuracy - run.metrics["acc"]) < 1e-9
        write_scored(folder, *first)
    assert count >= 8
