"""A pack goes on from any checkpoint as if it had never stopped."""

import numpy as np
import pytest
from engine import (
    Killed,
    assert_same,
    make_program,
    result,
    tasks_of,
    train_saved,
)

from jmer.errors import JmerError
from jmer.optim import AdamConfig, SgdConfig
from jmer.train.checkpoint import Checkpoints


@pytest.mark.parametrize("mode", ["own", "shared"])
@pytest.mark.parametrize("stop", [1, 3])
@pytest.mark.parametrize("inner", [False, True], ids=["last", "inner"])
def test_resumed_equals_uninterrupted_bit_for_bit(clips, tmp_path, mode, stop, inner):
    program = make_program(clips, mode=mode, inner=inner, optim=AdamConfig(lr=0.01))
    tasks = tasks_of(clips)
    whole = result(program, clips, tasks, tmp_path / "whole")

    def kill(progress):
        if progress.epoch == stop:
            raise Killed

    with pytest.raises(Killed):
        result(program, clips, tasks, tmp_path / "cut", watch=kill)
    seen = []
    resumed = result(
        program, clips, tasks, tmp_path / "cut", watch=lambda p: seen.append(p.epoch)
    )
    assert seen and seen[0] > 1 - (stop == 1) and seen[-1] == 4
    assert_same(whole, resumed)


def test_fresh_tasks_start_from_given_weights(clips, tmp_path):
    """Those that are given, in every task; a resumed task goes on from its own."""
    program = make_program(clips, optim=SgdConfig(lr=1e-12), inner=True)
    tasks = tasks_of(clips)
    usual = result(program, clips, tasks, tmp_path / "usual")
    name = "params.block.conv.kernel"
    given = {name: np.full((1, *usual.weights[name].shape[1:]), 0.25, np.float32)}
    started = result(program, clips, tasks, tmp_path / "started", start=given)
    for path, value in started.weights.items():
        if path == name:
            np.testing.assert_allclose(value, 0.25)
        elif path.startswith("params"):
            np.testing.assert_allclose(value, usual.weights[path], atol=1e-9)

    def kill(progress):
        if progress.epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        result(program, clips, tasks, tmp_path / "cut", watch=kill)
    resumed = result(program, clips, tasks, tmp_path / "cut", start=given)
    assert_same(usual, resumed)


@pytest.mark.parametrize(
    ("path", "shape", "words"),
    [
        ("params.block.conv.kernel", (5, 5, 3, 5), r"has shape \(5, 5, 3, 5\), but"),
        ("params.block.cone.kernel", (3, 3, 3, 5), "has no params.block.cone.kernel"),
    ],
)
def test_weights_of_another_network_are_refused(clips, tmp_path, path, shape, words):
    start = {path: np.zeros((1, *shape), np.float32)}
    with pytest.raises(JmerError, match=words):
        result(make_program(clips), clips, tasks_of(clips), tmp_path, start=start)


def test_another_number_of_devices_can_go_on(clips, tmp_path):
    """3 tasks fill 4 devices with one row too many; none of it is saved."""
    tasks = tasks_of(clips)[:3]
    whole = result(make_program(clips), clips, tasks, tmp_path / "whole")

    def kill(progress):
        if progress.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        result(
            make_program(clips, devices=4), clips, tasks, tmp_path / "cut", watch=kill
        )
    resumed = result(make_program(clips), clips, tasks, tmp_path / "cut")
    np.testing.assert_allclose(
        whole.test_logits, resumed.test_logits, rtol=1e-3, atol=1e-4
    )
    assert resumed.test_logits.shape[1] == 3


def test_history_has_every_evaluation(clips, tmp_path):
    tasks = tasks_of(clips)
    out = result(make_program(clips), clips, tasks, tmp_path / "pack", epochs=5)
    assert out.epoch.tolist() == [1, 2, 3, 4, 5]
    assert out.test_logits.shape == (5, len(tasks), 3, 3)
    assert out.alive.all() and out.selected.tolist() == [5] * len(tasks)


def test_selected_epoch_is_the_best_on_inner_clips(clips, tmp_path):
    program = make_program(clips, inner=True, optim=AdamConfig(lr=0.05))
    records = []
    out = result(
        program,
        clips,
        tasks_of(clips),
        tmp_path / "pack",
        epochs=6,
        watch=lambda p: records.append(p.record.inner_uf1),
    )
    scores = np.array(records)
    best = scores.max(0)
    chosen = scores[out.selected - 1, np.arange(scores.shape[1])]
    np.testing.assert_array_equal(chosen, best)


def test_checkpoint_of_another_network_is_refused(clips, tmp_path):
    tasks = tasks_of(clips)
    checkpoints = Checkpoints(tmp_path / "pack")
    arrays = {"params.block.conv.kernel": np.zeros((4, 5, 5, 3, 2), np.float32)}
    checkpoints.save(1, arrays, {"tasks": [], "finished": False, "seconds": 0.0})
    checkpoints.finish()
    with pytest.raises(JmerError, match="another network"):
        train_saved(make_program(clips), clips, tasks, checkpoints)
    checkpoints.close()
