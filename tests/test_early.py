"""Tasks that stop early: the numbers of those that do not, fewer rows, and resuming."""

import dataclasses

import numpy as np
import pytest
from engine import (
    Killed,
    assert_same,
    assert_trees_close,
    make_program,
    result,
    tasks_of,
)
from numpy.testing import assert_allclose, assert_array_equal
from toy import make_clips

from jmer.errors import UsageError
from jmer.experiment import load_experiment
from jmer.runner.account import epochs_of, stopped
from jmer.train import pack
from jmer.train.early import smaller
from jmer.train.folds import Program, Running
from jmer.train.tasks import Task

EPOCHS, PATIENCE = 10, 2


@pytest.fixture(scope="module")
def clips():
    return make_clips(8)


@pytest.fixture(scope="module")
def program(clips):
    return make_program(clips, inner=True, patience=PATIENCE, chunk=8)


@pytest.fixture(scope="module")
def sizes():
    """Rows of the programs that were used, in order."""
    return []


@pytest.fixture(scope="module")
def early(clips, program, sizes, tmp_path_factory):
    """A pack whose tasks stop at different epochs."""
    made = Program.running

    def noted(self, table, data, turns):
        sizes.append((self.chunk, len(table.test)))
        return made(self, table, data, turns)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Program, "running", noted)
        folder = tmp_path_factory.mktemp("early")
        return result(program, clips, tasks_of(clips), folder, epochs=EPOCHS)


@pytest.fixture(scope="module")
def never(clips, tmp_path_factory):
    """The same without patience."""
    program = make_program(clips, inner=True, chunk=8)
    folder = tmp_path_factory.mktemp("never")
    return result(program, clips, tasks_of(clips), folder, epochs=EPOCHS)


def test_tasks_stop_by_the_rule(early):
    """By hand, from what was recorded of the inner clips."""
    for i in range(len(early.tasks)):
        best, when, stop = (-1.0, np.inf), 0, 0
        for epoch, uf1, loss in zip(
            early.epoch, early.inner_uf1[:, i], early.inner_loss[:, i], strict=True
        ):
            if uf1 > best[0] or (uf1 == best[0] and loss < best[1]):
                best, when = (uf1, loss), int(epoch)
            if not stop and epoch - when >= PATIENCE:
                stop = int(epoch)
        assert early.stopped[i] == stop
        assert early.selected[i] == when
    assert len(set(early.stopped.tolist())) > 1


def test_until_then_they_train_as_without(early, never):
    """And are the same evaluation after evaluation afterwards."""
    for i, stop in enumerate(early.stopped):
        last = int(stop) or EPOCHS
        for name in ("loss", "test_logits", "inner_uf1", "inner_loss"):
            found, expected = (getattr(x, name)[:, i] for x in (early, never))
            assert_allclose(found[:last], expected[:last], rtol=1e-3, atol=1e-4)
            after = found[last:]
            assert_array_equal(after, np.broadcast_to(found[last - 1], after.shape))
    same = (early.selected == never.selected).nonzero()[0]
    assert len(same)
    for name, value in early.weights.items():
        expected = never.weights[name][same]
        assert_allclose(value[same], expected, rtol=1e-3, atol=1e-4)


def test_tasks_that_are_done_leave_the_pack(early, sizes):
    assert sizes[0] == (8, 8) and sizes[-1][1] <= 4
    assert sizes == sorted(sizes, reverse=True)


def test_one_by_one_they_are_the_same(early, clips, tmp_path):
    """Also where a call of the program has several evaluations."""
    program = make_program(clips, inner=True, patience=PATIENCE, chunk=1, evaluations=3)
    alone = result(program, clips, tasks_of(clips), tmp_path, epochs=EPOCHS)
    assert_array_equal(alone.stopped, early.stopped)
    assert_array_equal(alone.selected, early.selected)
    assert_trees_close(alone.weights, early.weights, rtol=2e-3, atol=2e-4)
    assert_allclose(alone.test_logits, early.test_logits, rtol=2e-3, atol=2e-4)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "when", [pytest.param(3, marks=SLOW), pytest.param(6, marks=SLOW), 8]
)
def test_resumed_it_is_the_same_to_the_bit(early, clips, program, when, tmp_path):
    def kill(progress):
        if progress.epoch == when:
            raise Killed

    tasks = tasks_of(clips)
    with pytest.raises(Killed):
        result(program, clips, tasks, tmp_path, epochs=EPOCHS, watch=kill)
    again = result(program, clips, tasks, tmp_path, epochs=EPOCHS)
    assert_same(again, early)
    assert_array_equal(again.stopped, early.stopped)


def test_where_all_have_stopped_nothing_more_is_trained(clips, tmp_path, monkeypatch):
    made, calls = Running.advance, []

    def counted(self, state, first, counts):
        calls.append(first)
        return made(self, state, first, counts)

    monkeypatch.setattr(Running, "advance", counted)
    program = make_program(clips, inner=True, patience=1, chunk=1)
    seen = []
    found = result(
        *(program, clips, tasks_of(clips), tmp_path),
        **{"epochs": EPOCHS, "watch": lambda progress: seen.append(progress.epoch)},
    )
    assert len(calls) == found.stopped.max() < EPOCHS
    assert found.epoch.tolist() == seen == list(range(1, EPOCHS + 1))
    last = found.test_logits[len(calls) - 1 :]
    assert_array_equal(last, np.broadcast_to(last[0], last.shape))


def test_what_it_saved_is_told(early):
    counts = np.where(early.stopped > 0, early.stopped, EPOCHS)
    assert_array_equal(epochs_of(early), counts)
    wanted = set(early.tasks[:3])
    assert stopped([early], wanted) == {
        **{"tasks": 3, "early": int((counts[:3] < EPOCHS).sum())},
        **{"epochs_trained": int(counts[:3].sum()), "epochs_in_all": 3 * EPOCHS},
    }
    plain = dataclasses.replace(early, stopped=None)
    assert_array_equal(epochs_of(plain), EPOCHS)


@pytest.mark.parametrize(
    ("chunk", "left", "rows"),
    [
        (8, 5, None),  # more than half
        (8, 4, 4),
        (8, 3, 3),
        (8, 1, 1),
        (4, 3, 3),
        (2, 4, 4),
        (1, 1, None),  # skipped by themselves
    ],
)
def test_a_pack_shrinks_by_halves(program, chunk, left, rows):
    tasks = [Task(0, f"s{i}") for i in range(left)]
    found = smaller(dataclasses.replace(program, chunk=chunk), tasks, 8)
    assert rows == (None if found is None else len(found.rows(tasks)))


def test_several_seeds_are_not_filled_with_repeats(program):
    tasks = [Task(seed, f"s{i}") for seed in range(3) for i in range(1 + seed)]
    found = smaller(program, tasks, 24)
    assert found.chunk == 1 and len(found.rows(tasks)) == 6


def test_a_run_that_is_not_asked_to_stop_has_the_state_it_had(clips):
    trainer = make_program(clips, inner=True).trainer
    state = trainer.init(tasks_of(clips)[0].key())
    assert state.stopped is None and state.average is None
    assert pack.History([], []).records == []


def test_the_experiment_says_when():
    experiment = load_experiment("quickstart")
    assert "patience" not in experiment.identity()
    asked = dataclasses.replace(experiment, selection="inner", patience=5)
    assert asked.identity()["patience"] == 5
    with pytest.raises(UsageError, match=r"patience=5 needs .*--selection inner"):
        dataclasses.replace(experiment, patience=5)
    with pytest.raises(UsageError, match="patience="):
        dataclasses.replace(experiment, selection="inner", patience=-1)
