"""What saves memory, and changes no result: values made anew, batches in parts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine import assert_trees_close, make_program, table_of, tasks_of, train
from numeric import close, normal
from toy import make_clips

from jmer import nn
from jmer.errors import UsageError
from jmer.experiment import EngineConfig
from jmer.models.hsta import HstaConfig
from jmer.models.meranet import MeranetConfig
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.nn import remat
from jmer.nn.dropout import use_part
from jmer.runner.plan import Plan, fit
from jmer.train.probe import Layout, Probe, Work
from jmer.train.step import Data

HSTA = HstaConfig(
    depth=(2, 1, 1),
    num_frames=2,
    size=8,
    patch_v=4,
    patch_s=4,
    dim_v=8,
    dim_s=4,
    heads=2,
    mlp_ratio=1,
)
MERANET = MeranetConfig(frames=2, size=8, width=4, reduction=4, st_kernel=3)
SHAPES = {"clip": (2, 8, 8, 3), "special": (2, 8, 8, 3)}


def clips_of(network):
    clips = make_clips()
    inputs = {
        name: (50 * normal(i, len(clips), *SHAPES[name]) + 100).astype(np.float32)
        for i, name in enumerate(network.inputs)
    }
    return dataclasses.replace(clips, inputs=inputs)


def trained(network, lowering, *, chunk=1, **changes):
    """Two tasks after an epoch, as `changes` have the trainer."""
    clips = clips_of(network)
    program = make_program(clips, network=network, lowering=lowering, chunk=chunk)
    trainer = dataclasses.replace(program.trainer, **changes)
    program = dataclasses.replace(program, trainer=trainer)
    return train(program, clips, tasks_of(clips)[:2], epochs=1)


@pytest.mark.parametrize("lowering", nn.LOWERINGS)
def test_values_that_are_made_anew_are_the_same(lowering):
    kept = trained(HSTA, lowering)
    assert_trees_close(trained(HSTA, lowering, remat=True), kept)


@pytest.mark.slow
@pytest.mark.parametrize("lowering", nn.LOWERINGS)
def test_batch_norm_moves_its_statistics_once(lowering):
    kept = trained(MERANET, lowering)
    assert_trees_close(trained(MERANET, lowering, remat=True), kept, rtol=1e-3)


# 2 and 4 divide a batch of 4; 3 does not. The dropout of the whole is that of the parts.
@pytest.mark.parametrize(
    ("lowering", "parts", "chunk"),
    [
        ("patches", 2, 1),
        pytest.param("patches", 3, 2, marks=pytest.mark.slow),
        pytest.param("backend", 4, 1, marks=pytest.mark.slow),
        pytest.param("backend", 3, 2, marks=pytest.mark.slow),
    ],
)
def test_a_batch_in_parts_moves_the_weights_as_it_does_whole(lowering, parts, chunk):
    whole = trained(HSTA, lowering, chunk=chunk)
    assert_trees_close(trained(HSTA, lowering, chunk=chunk, accumulate=parts), whole)


def test_parts_lose_the_elements_of_the_whole():
    x, key = 1 + abs(normal(0, 12, 5)), jax.random.key(3)
    for rate in (0.25, 0.2):  # a byte for each element, and two
        whole = nn.dropout(x, rate, key)
        for count in (2, 3, 4):
            parts = []
            for i, part in enumerate(np.split(x, count)):
                with use_part(jnp.int32(i), count):
                    parts.append(nn.dropout(part, rate, key))
            close(jnp.concatenate(parts), whole)


def test_parts_are_refused_where_statistics_are_of_a_whole_batch():
    clips = clips_of(MERANET)
    trainer = make_program(clips, network=MERANET).trainer
    assert not trainer.takes_parts
    with pytest.raises(UsageError, match=r"--engine.accumulate 2: meranet .*--engine"):
        Layout(1, 1, "patches", accumulate=2).trainer(trainer)
    Layout(1, 1, "patches", remat=True).trainer(trainer)
    assert VisualMemoryConfig().clips_apart
    assert not VisualMemoryConfig(steps_count="by-intensity").clips_apart


def hsta_work():
    clips = clips_of(HSTA)
    program, tasks = make_program(clips, network=HSTA), tasks_of(clips)[:2]
    data = Data.of(clips.inputs, clips.label)
    table = table_of(program, clips, tasks)
    return Work(program.trainer, tuple(tasks), table, data, 10, eval_every=2)


@pytest.mark.slow
def test_one_task_that_is_too_large_saves_memory_first_by_layers_then_by_parts():
    work, said = hsta_work(), []
    layout = Layout(1, 1, "patches")
    plan = Plan(layout, 1, "first guess")
    sizes = [
        Probe(dataclasses.replace(layout, **saving), work.first(1)).bytes
        for saving in ({}, {"remat": True}, {"remat": True, "accumulate": 2})
    ]
    limit = sizes[1] if sizes[1] < sizes[0] else sizes[2]
    found, _ = fit(plan, work, limit, said.append)
    assert found.layout.remat and found.bytes <= limit
    assert Plan.of(found.record()) == found
    assert "made anew" in said[-1] or "in parts" in said[-1]
    kept = EngineConfig(remat="off", accumulate=1)
    with pytest.raises(Exception, match="one task needs"):
        fit(plan, work, limit, engine=kept)


def test_equal_layers_in_a_loop_are_the_layers_one_after_another():
    layers = [
        nn.TransformerBlock(6, 2, hidden=5, drop_path=rate, rngs=nnx_rngs(i))
        for i, rate in enumerate((0.0, 0.3, 0.6))
    ]
    x, key = normal(0, 4, 3, 6), jax.random.key(1)
    depth = [one.depth(4, jax.random.fold_in(key, i)) for i, one in enumerate(layers)]
    expected = x
    for one, kept in zip(layers, depth, strict=True):
        expected = one(expected, kept=kept)
    for on in (False, True):
        with remat.use_remat(on):
            actual = remat.repeated(layers, in_order, jnp.asarray(x), depth)
        close(actual, expected)


def in_order(layer, x, kept):
    return layer(x, kept=kept)


def nnx_rngs(seed):
    from flax import nnx

    return nnx.Rngs(params=seed)
