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
from jmer.optim import AdamConfig
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
