"""What saves memory, and changes no result: values made anew, batches in parts."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine import assert_trees_close, make_program, table_of, tasks_of
from flax import nnx
from numeric import close, normal
from toy import make_clips

from jmer import nn
from jmer.errors import JmerError, UsageError
from jmer.experiment import EngineConfig
from jmer.models.hsta import HstaConfig
from jmer.models.meranet import MeranetConfig
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.nn import remat
from jmer.nn.dropout import use_part
from jmer.runner.plan import Plan, fit
from jmer.train.probe import Layout, Work
from jmer.train.step import Data

# One stream of one unit: compiling takes most of the time.
HSTA = HstaConfig(
    depth=(1, 0, 1),
    streams="v",
    csta=False,
    num_frames=2,
    size=8,
    patch_v=4,
    patch_s=4,
    dim_v=8,
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


@functools.cache
def started(tasks):
    """The states of so many tasks before any update, which no lowering changes."""
    trainer = make_program(clips_of(HSTA), network=HSTA).trainer
    return jax.jit(jax.vmap(trainer.init))(jax.random.split(jax.random.key(0), tasks))


@functools.cache
def stepped(lowering="patches", tasks=1, **changes):
    """A state after one update of HSTA by four clips, one of which does not count."""
    clips = clips_of(HSTA)
    trainer = make_program(clips, network=HSTA, lowering=lowering).trainer
    trainer = dataclasses.replace(trainer, **changes)
    batch = Data.of(clips.inputs, clips.label).take(jnp.arange(4))
    label, weight = jnp.asarray(clips.label[:4]), jnp.float32([1, 1, 0, 1])

    def step(state, key):
        return trainer.step(state, key, batch, label, weight)

    keys = jax.random.split(jax.random.key(0), tasks)
    return jax.jit(jax.vmap(step))(started(tasks), keys)


@pytest.mark.parametrize("lowering", nn.LOWERINGS)
def test_values_that_are_made_anew_are_the_same(lowering):
    assert_trees_close(stepped(lowering, remat=True), stepped(lowering))


# 2 divides a batch of 4; 3 does not. The dropout of the whole is that of the parts.
@pytest.mark.parametrize(("parts", "tasks"), [(2, 1), (3, 1), (4, 2)])
def test_a_batch_in_parts_moves_the_weights_as_it_does_whole(parts, tasks):
    assert_trees_close(stepped(tasks=tasks, accumulate=parts), stepped(tasks=tasks))


def test_both_at_once():
    made = stepped("backend", remat=True, accumulate=2)
    assert_trees_close(made, stepped("backend"))


def test_batch_norm_moves_its_statistics_once():
    block = nn.ResidualBlock(3, 4, rank=2, rngs=nnx.Rngs(params=0))
    x, weight = jnp.asarray(normal(0, 5, 4, 4, 3)), jnp.float32([1, 1, 0, 1, 1])

    def run(on):
        graphdef, params, stats = nnx.split(block, nnx.Param, nnx.BatchStat)

        def loss(params):
            model = nnx.merge(graphdef, params, stats, copy=True)
            with remat.use_remat(on):
                y = model(x, train=True, weight=weight)
            return (y**2).sum(), nnx.state(model, nnx.BatchStat)

        return jax.jit(jax.grad(loss, has_aux=True))(params)

    assert_trees_close(run(True), run(False))


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
    trainer = make_program(clips_of(MERANET), network=MERANET).trainer
    assert not trainer.takes_parts
    with pytest.raises(UsageError, match=r"--engine.accumulate 2: meranet .*--engine"):
        Layout(1, 1, "patches", accumulate=2).trainer(trainer)
    Layout(1, 1, "patches", remat=True).trainer(trainer)
    assert VisualMemoryConfig().clips_apart
    assert not VisualMemoryConfig(steps_count="by-intensity").clips_apart


def test_one_task_that_is_too_large_saves_first_by_layers_then_by_parts(monkeypatch):
    clips = clips_of(HSTA)
    program, tasks = make_program(clips, network=HSTA), tasks_of(clips)[:2]
    data, table = Data.of(clips.inputs, clips.label), table_of(program, clips, tasks)
    work = Work(program.trainer, tuple(tasks), table, data, 10, eval_every=2)
    sizes = {(False, 1): 90e9, (True, 1): 80e9, (True, 2): 50e9, (True, 4): 30e9}
    monkeypatch.setattr(
        "jmer.train.folds.Program.compiled",
        lambda self, table, data: (self.trainer.remat, self.trainer.accumulate),
    )
    monkeypatch.setattr("jmer.train.folds.device_bytes", sizes.get)
    plan, said = Plan(Layout(1, 1, "patches"), 1, "first guess"), []
    for limit, saving in ((95e9, (False, 1)), (85e9, (True, 1)), (40e9, (True, 4))):
        found, _ = fit(plan, work, limit, said.append)
        assert (found.layout.remat, found.layout.accumulate) == saving
        assert Plan.of(found.record()) == found
    assert "batches in 4 parts" in said[-1] and "50 GB" in said[-1]
    for pinned in ({"remat": "off", "accumulate": 1}, {"accumulate": 1}):
        with pytest.raises(JmerError, match="one task needs"):
            fit(plan, work, 40e9, engine=EngineConfig(**pinned))


def test_equal_layers_in_a_loop_are_the_layers_one_after_another():
    layers = [
        nn.TransformerBlock(6, 2, hidden=5, drop_path=rate, rngs=nnx.Rngs(params=i))
        for i, rate in enumerate((0.0, 0.3, 0.6))
    ]
    x, key = jnp.asarray(normal(0, 4, 3, 6)), jax.random.key(1)
    depth = [one.depth(4, jax.random.fold_in(key, i)) for i, one in enumerate(layers)]
    expected = x
    for one, kept in zip(layers, depth, strict=True):
        expected = one(expected, kept=kept)

    def call(layer, x, kept):
        return layer(x, kept=kept)

    for on in (False, True):
        with remat.use_remat(on):
            close(remat.repeated(layers, call, x, depth), expected)
