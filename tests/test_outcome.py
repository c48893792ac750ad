"""Honest and oracle predictions, from a history made by hand."""

import numpy as np
import pytest

from jmer.data.splits import Loso, make_folds
from jmer.errors import JmerError
from jmer.runner.outcome import chosen_epochs, oracle_predictions, selected_predictions
from jmer.train.pack import PackResult
from jmer.train.tasks import Task


def history(clips, right, *, alive=None, selected=None):
    """Two evaluations; `right[e][f]` says whether fold f is right at evaluation e."""
    folds = make_folds(Loso(), clips)
    logits = np.zeros((2, len(folds), 3, 3), np.float32)
    for e in range(2):
        for f, fold in enumerate(folds):
            wanted = (clips.label[fold.test] + (not right[e][f])) % 3
            logits[e, f, np.arange(3), wanted] = 5
    tasks = tuple(Task(0, fold.name) for fold in folds)
    result = PackResult(
        tasks=tasks,
        epoch=np.array([5, 10]),
        alive=np.ones((2, len(folds)), bool) if alive is None else alive,
        loss=np.zeros((2, len(folds))),
        test_logits=logits,
        inner_uf1=np.full((2, len(folds)), np.nan),
        inner_loss=np.full((2, len(folds)), np.nan),
        selected=np.full(len(folds), 10) if selected is None else selected,
        seconds=1.0,
        weights={},
    )
    return [result], set(tasks), folds, clips


def correct(predictions):
    return {
        fold: bool((p.predicted == p.label).all())
        for fold in np.unique(predictions.fold).tolist()
        for p in [predictions.select(fold=fold)]
    }


def test_the_last_epoch_and_the_best_one(clips):
    right = [[True, False, False, True], [False, True, False, True]]
    given = history(clips, right)
    wanted = {"s0": False, "s1": True, "s2": False, "s3": True}
    assert correct(selected_predictions(*given)) == wanted
    assert correct(oracle_predictions(*given)) == {**wanted, "s0": True}


def test_the_selected_epoch_is_each_tasks_own(clips):
    right = [[True] * 4, [False] * 4]
    given = history(clips, right, selected=np.array([5, 10, 5, 10]))
    found = correct(selected_predictions(*given))
    assert found == {"s0": True, "s1": False, "s2": True, "s3": False}


def test_epochs_of_each_task(clips):
    right = [[True, False, True, True], [False, True, True, True]]
    alive = np.array([[True] * 4, [True, True, False, True]])
    given = history(clips, right, alive=alive, selected=np.array([10, 5, 5, 10]))
    expected = {"selected": [10, 5, 10], "oracle": [5, 10, 5]}
    assert chosen_epochs(*given) == expected


def test_diverged_tasks_are_left_out(clips):
    alive = np.array([[True] * 4, [True, False, True, True]])
    given = history(clips, [[True] * 4] * 2, alive=alive)
    assert set(selected_predictions(*given).fold) == {"s0", "s2", "s3"}
    with pytest.raises(JmerError, match="every task diverged"):
        selected_predictions(*history(clips, [[True] * 4] * 2, alive=alive & False))


def test_probabilities_are_the_softmax(clips):
    p = selected_predictions(*history(clips, [[True] * 4] * 2))
    top = np.exp(5) / (np.exp(5) + 2)
    np.testing.assert_allclose(p.probabilities.max(1), top, rtol=1e-6)
