"""Every network keeps the promises of the engine, at a tiny size, in both precisions.

`tests/test_folds.py` has them in depth for one network.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from engine import (
    Killed,
    assert_same,
    assert_trees_close,
    assert_trees_equal,
    make_program,
    result,
    row,
    tasks_of,
    train,
    trees_differ,
)
from toy import clips_for

from jmer.models.base import describe, networks
from jmer.models.hsta import HstaConfig
from jmer.models.meranet import MeranetConfig, Resnet3dConfig
from jmer.models.stanet import STANetConfig
from jmer.optim import SgdConfig

# Random numbers where the paper has them: augmentation, dropout, stochastic depth.
NETWORKS = [
    STANetConfig(frames=3, size=33, width=2, levels=1, lstm=3, flip=True),
    MeranetConfig(frames=4, size=19, width=2, reduction=2, st_kernel=3),
    Resnet3dConfig(frames=4, size=19, width=2),
    HstaConfig(
        depth=(1, 1, 2),
        num_frames=2,
        size=9,
        patch_v=4,
        patch_s=3,
        dim_v=6,
        dim_s=4,
        heads=2,
        mlp_ratio=2,
    ),
]
# Rounding grows through many layers of normalisation, the more the fewer values they
# see: all clips in a batch, and few steps.
OPTIONS = {"optim": SgdConfig(lr=0.003), "batch_size": 12}
EPOCHS = 2


@pytest.fixture(params=NETWORKS, ids=lambda config: config.name, name="network")
def _network(request):
    return request.param


def test_all_networks_are_here():
    others = {"ststnet"}  # in test_folds.py
    tested = {config.name for config in NETWORKS}
    assert {kind.name for kind in networks()} - others == tested


def test_networks_are_listed_with_their_sizes():
    sizes = {kind.name: describe(kind())["parameters"] for kind in networks()}
    assert sizes == {
        "hsta": 81_887_623,
        "meranet": 33_256_851,
        "resnet3d": 33_167_811,
        "stanet": 12_883_332,
        "ststnet": 1_683,
    }


@pytest.mark.parametrize("mode", ["own", "shared"])
def test_a_fold_in_a_pack_equals_the_fold_alone(network, mode):
    clips = clips_for(network)
    tasks = tasks_of(clips)
    options = {"network": network, "mode": mode, **OPTIONS}
    program = make_program(clips, chunk=3, **options)
    together, record = train(program, clips, tasks, EPOCHS)
    alone = make_program(clips, chunk=1, lowering="backend", **options)
    state, own = train(alone, clips, tasks[1:2], EPOCHS)
    assert_trees_close(row(together, 1), row(state, 0), rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(
        record.test_logits[1], own.test_logits[0], rtol=2e-3, atol=2e-3
    )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["f32", "bf16"])
def test_nothing_of_a_held_out_subject_reaches_its_fold(network, dtype):
    """Bit for bit, in batches that all folds share."""
    clips = clips_for(network)
    tasks = tasks_of(clips)
    options = {"network": network, "mode": "shared", "dtype": dtype, **OPTIONS}
    program = make_program(clips, chunk=3, **options)
    states, record = train(program, clips, tasks, EPOCHS)
    assert record.alive.all()
    held_out = clips.subject == tasks[1].fold
    noise = clips_for(network, seed=1).inputs
    inputs = {}
    for name, value in clips.inputs.items():
        of_clip = held_out.reshape(-1, *(1,) * (value.ndim - 1))
        inputs[name] = np.where(of_clip, noise[name], value)
    label = np.where(held_out, (clips.label + 1) % 3, clips.label)
    changed = dataclasses.replace(clips, inputs=inputs, label=label)
    other, _ = train(program, changed, tasks, EPOCHS)
    assert_trees_equal(row(states, 1), row(other, 1))
    assert trees_differ(row(states.params, 0), row(other.params, 0))


def test_a_fold_in_a_pack_equals_the_fold_alone_in_bfloat16(network):
    clips = clips_for(network)
    tasks = tasks_of(clips)
    options = {"network": network, "mode": "shared", "dtype": jnp.bfloat16, **OPTIONS}
    together, alone = (
        train(make_program(clips, chunk=chunk, **options), clips, some, EPOCHS)[0]
        for chunk, some in ((3, tasks), (1, tasks[1:2]))
    )
    assert_trees_close(
        row(together.params, 1), row(alone.params, 0), rtol=0.03, atol=0.01
    )
    assert together.params.flat_state().leaves[0].dtype == np.float32


def test_resumed_equals_uninterrupted_bit_for_bit(network, tmp_path):
    clips = clips_for(network)
    program = make_program(
        clips, network=network, mode="shared", dtype=jnp.bfloat16, chunk=3, **OPTIONS
    )
    tasks = tasks_of(clips)
    whole = result(program, clips, tasks, tmp_path / "whole", epochs=3)

    def kill(progress):
        if progress.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        result(program, clips, tasks, tmp_path / "cut", epochs=3, watch=kill)
    epochs = []
    resumed = result(
        program,
        clips,
        tasks,
        tmp_path / "cut",
        epochs=3,
        watch=lambda progress: epochs.append(progress.epoch),
    )
    assert epochs == [2, 3]  # the first was saved
    assert_same(whole, resumed)
