"""Every network keeps the promises of the engine, at a tiny size, in both precisions.

`tests/test_folds.py` has them in depth for one network.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine import (
    assert_resumes,
    assert_trees_close,
    assert_trees_equal,
    make_program,
    row,
    table_of,
    tasks_of,
    train,
    trees_differ,
)
from toy import clips_for

from jmer.models.aman import AmanConfig
from jmer.models.base import describe, networks
from jmer.models.hsta import HstaConfig
from jmer.models.meranet import MeranetConfig, Resnet3dConfig
from jmer.models.offapexnet import OffApexNetConfig
from jmer.models.resnet18 import Resnet18Config
from jmer.models.stanet import STANetConfig
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.optim import SgdConfig
from jmer.train.canary import sing
from jmer.train.step import Data

# Random numbers where the paper has them: augmentation, dropout, stochastic depth.
NETWORKS = [
    STANetConfig(frames=3, size=33, width=2, levels=1, lstm=3, flip=True),
    MeranetConfig(frames=4, size=19, width=2, reduction=2, st_kernel=3),
    Resnet3dConfig(frames=4, size=19, width=2),
    # Trained on clips as they are, its frozen part inline.
    AmanConfig(k=2, n=2, frames=3, size=19, width=2, magnify="linear", pretrain="none"),
    Resnet18Config(size=9, shown=19, width=2),
    HstaConfig(
        depth=(1, 1, 2),
        num_frames=2,
        stored_frames=4,
        size=9,
        patch_v=4,
        patch_s=3,
        dim_v=6,
        dim_s=4,
        heads=2,
        mlp_ratio=2,
    ),
    VisualMemoryConfig(frames=4, steps=2, size=16, width=2, hidden=3),
    OffApexNetConfig(filters=(2, 3), hidden=(5,), size=9, unit=255.0),
]
# Rounding grows through many layers of normalisation, the more the fewer values they
# see: all clips in a batch, and few steps.
OPTIONS = {"optim": SgdConfig(lr=0.003), "batch_size": 12}
EPOCHS = 2


@pytest.fixture(
    # Those whose parts are others' too are tested with the slow ones.
    params=[
        pytest.param(
            config,
            id=config.name,
            marks=[pytest.mark.slow] * config.name.startswith("resnet"),
        )
        for config in NETWORKS
    ],
    name="network",
)
def _network(request):
    return request.param


def test_all_networks_are_here():
    others = {"ststnet", "magnet"}  # in test_folds.py; no classifier
    tested = {config.name for config in NETWORKS}
    assert {kind.name for kind in networks()} - others == tested


def test_networks_are_listed_with_their_sizes():
    sizes = {kind.name: describe(kind())["parameters"] for kind in networks()}
    assert sizes == {
        "aman": 2_782_784 + 8_397_319,
        "hsta": 81_887_623,
        "magnet": 928_144,
        "meranet": 33_256_851,
        "offapexnet": 807_909,
        "resnet3d": 33_167_811,
        "stanet": 12_883_332,
        "resnet18": 11_180_103,
        "ststnet": 1_683,
        "visual_memory": 28_066_887,
    }


@pytest.mark.parametrize(
    ("mode", "dtype", "close"),
    [
        ("own", jnp.float32, {"rtol": 2e-3, "atol": 2e-4}),
        pytest.param(
            *("shared", jnp.bfloat16, {"rtol": 0.03, "atol": 0.01}),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["own batches", "shared batches in bfloat16"],
)
def test_every_promise(network, mode, dtype, close, tmp_path):
    """Together as alone; nothing of a held-out subject, which the canary sees too;
    resumed as never stopped.

    One test, since compiling takes most of its time.
    """
    clips = clips_for(network)
    tasks = tasks_of(clips)
    options = {"network": network, "mode": mode, "dtype": dtype, **OPTIONS}
    program = make_program(clips, chunk=3, **options)
    together, record = train(program, clips, tasks, EPOCHS)
    assert record.alive.all()
    for leaf in jax.tree.leaves(together.params):
        assert leaf.dtype == np.float32

    lowering = "backend" if dtype == jnp.float32 else "patches"
    # As many rows, so that what makes their first states is compiled once.
    alone = make_program(clips, chunk=1, lowering=lowering, **options)
    state, own = train(alone, clips, tasks, EPOCHS)
    assert_trees_close(together.params, state.params, **close)
    assert_trees_close(together.stats, state.stats, **close)
    if dtype == jnp.float32:
        assert_trees_close(record.test_logits, own.test_logits, **close)
    key = table_of(program, clips, tasks).key
    first = first_states(program, key)
    for index in range(len(tasks)):  # of itself, whatever the others and its place
        same = first_states(program, key[np.full(len(tasks), index)])
        assert_trees_equal(row(first, index), row(same, -1))

    other, _ = train(program, with_another_subject(clips, tasks[1].fold), tasks, EPOCHS)
    assert_trees_equal(row(together, 1), row(other, 1))
    assert trees_differ(row(together.params, 0), row(other.params, 0))
    data = Data.of(clips.inputs, clips.label)
    assert sing(program, tasks, table_of(program, clips, tasks), data).clips == 4

    assert_resumes(program, clips, tasks, tmp_path)


def first_states(program, key):
    """On the host, of the tasks' keys."""
    return jax.device_get(program.first_states(jax.device_put(key, program.per_task)))


def with_another_subject(clips, subject):
    """`clips` with other pixels and labels of one subject."""
    chosen = clips.subject == subject
    rng = np.random.default_rng(1)
    inputs = {}
    for name, value in clips.inputs.items():
        noise = rng.integers(0, 255, value.shape).astype(value.dtype)
        own = chosen.reshape(-1, *(1,) * (value.ndim - 1))
        inputs[name] = np.where(own, noise, value)
    label = np.where(chosen, (clips.label + 1) % 3, clips.label)
    return dataclasses.replace(clips, inputs=inputs, label=label)
