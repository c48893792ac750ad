"""Many tasks at once give what each gives alone, and nothing passes between them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine import (
    assert_trees_close,
    assert_trees_equal,
    make_program,
    row,
    table_of,
    tasks_of,
    train,
    trees_differ,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numeric import first_of
from toy import make_clips

from jmer import trees
from jmer.models.ststnet import STSTNetConfig
from jmer.nn.lowering.choice import LOWERINGS
from jmer.optim import AdamConfig, SgdConfig
from jmer.train.compiling import FEW_PASSES, ONCE
from jmer.train.numerics import BITS_BY_KERNEL
from jmer.train.step import Data
from jmer.train.tasks import Task

# Read together and apart: batches of 10 are large beside the 3 clips held out.
MODES = {
    "own": {"mode": "own"},
    "own together": {"mode": "own", "batch_size": 10},
    "shared": {"mode": "shared"},
}
LAYOUTS = {
    "one by one": {"chunk": 1},
    "side by side": {"chunk": 4},
    "in chunks": {"chunk": 2},
    "library": {"chunk": 4, "lowering": "backend"},
    "as a TPU": {"chunk": 4, "lowering": "tpu"},
    "as a GPU": {"chunk": 4, "lowering": "gpu"},
}


@pytest.fixture(
    params=["own", pytest.param("own together", marks=pytest.mark.slow), "shared"],
    name="mode",
)
def _mode(request):
    return MODES[request.param]


@pytest.mark.parametrize(
    ("layout", "devices"), [*((name, 1) for name in LAYOUTS), ("in chunks", 2)]
)
def test_a_fold_in_a_pack_equals_the_fold_alone(clips, mode, layout, devices):
    tasks = tasks_of(clips)
    together, record = train(
        make_program(clips, **mode, **LAYOUTS[layout], devices=devices), clips, tasks
    )
    alone = make_program(clips, **mode, chunk=1, lowering="backend")
    for i, task in list(enumerate(tasks))[::2]:
        state, own = train(alone, clips, [task])
        assert_trees_close(row(together, i), row(state, 0))
        assert_trees_close(row(record.test_logits, i), row(own.test_logits, 0))


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 99), st.sampled_from(sorted(MODES)), st.data())
def test_any_part_of_the_tasks_trains_the_same(seed, mode, data):
    clips = make_clips(seed=seed)
    tasks = tasks_of(clips, seeds=(0, 1))
    some = st.lists(st.sampled_from(tasks), min_size=3, max_size=3, unique=True)
    chosen = data.draw(some)
    program = make_program(clips, **MODES[mode])
    everything, _ = train(program, clips, tasks, epochs=2)
    part, _ = train(program, clips, chosen, epochs=2)
    for i, task in enumerate(chosen):
        assert_trees_close(row(part, i), row(everything, tasks.index(task)))


def fewest(clips, held_out, options):
    """Clips of the smallest batch of an epoch that are trained on, at least."""
    held, size = int((clips.subject == held_out).sum()), options["batch_size"]
    own = options["mode"] == "own"
    rest = (len(clips.subject) - held * own) % size or size
    return rest if own else rest - held


@pytest.mark.slow
@settings(max_examples=4, deadline=None)
@given(st.data())
def test_random_networks_and_splits_keep_every_promise(data):
    """Together as alone, and nothing of a held-out subject: any sizes, any layout."""
    draw = data.draw
    size = draw(st.integers(4, 9))
    network = STSTNetConfig(
        size=size,
        filters=tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))),
        dropout=draw(st.sampled_from([0.0, 0.3, 0.5])),
    )
    subjects = draw(st.integers(3, 5))
    clips = make_clips(subjects, draw(st.integers(2, 4)), size=size)
    options = {
        "network": network,
        "mode": draw(st.sampled_from(["own", "shared"])),
        "batch_size": draw(st.integers(2, 12)),
    }
    layout = {
        "chunk": draw(st.integers(2, 3)),
        "lowering": draw(st.sampled_from(LOWERINGS)),
        "devices": draw(st.integers(1, 2)),
    }
    tasks = tasks_of(clips)
    program = make_program(clips, **options, **layout)
    together, record = train(program, clips, tasks, epochs=2)
    alone = make_program(clips, **options, chunk=1, lowering="backend")
    i = draw(st.integers(0, subjects - 1))
    state, own = train(alone, clips, [tasks[i]], epochs=2)
    if fewest(clips, tasks[i].fold, options) > 3:  # of fewer, norms enlarge roundings
        assert_trees_close(row(together, i), row(state, 0))
        assert_trees_close(row(record.test_logits, i), row(own.test_logits, 0))
    held_out = np.flatnonzero(clips.subject == tasks[i].fold)
    other, _ = train(program, with_noise(clips, held_out), tasks, epochs=2)
    assert_trees_equal(row(together, i), row(other, i))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=17),
    st.integers(1, 5),
    st.integers(1, 4),
)
def test_rows_hold_every_task_in_chunks_of_one_seed(seeds, chunk, devices):
    tasks = [Task(seed, f"s{i}") for i, seed in enumerate(seeds)]
    program = make_program(make_clips(), chunk=chunk, devices=devices)
    rows = program.rows(tasks)
    assert set(rows) == set(range(len(tasks)))
    assert len(rows) % (chunk * devices) == 0
    for part in rows.reshape(-1, chunk):
        assert len({tasks[i].seed for i in part}) == 1
    # No more is repeated than fills a chunk of each seed, and the devices.
    groups = [seeds.count(seed) for seed in set(seeds)]
    chunks = sum(-(-n // chunk) for n in groups)
    assert len(rows) == -(-chunks // devices) * devices * chunk


def with_noise(clips, index):
    """`clips` with other pixels, labels kept, at `index`."""
    flow = clips.inputs["apex_flow"].copy()
    noise = np.random.default_rng(99).normal(0, 50, flow[index].shape)
    flow[index] = noise.astype(flow.dtype)
    return dataclasses.replace(clips, inputs={"apex_flow": flow})


def with_labels(clips, index):
    label = clips.label.copy()
    label[index] = (label[index] + 1) % 3
    return dataclasses.replace(clips, label=label)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "inner",
    [pytest.param(False, marks=pytest.mark.slow), True],
    ids=["last", "inner"],
)
def test_nothing_of_a_held_out_subject_reaches_its_fold(mode, layout, inner):
    """Bit for bit, in parameters, statistics, optimiser and choice of epoch."""
    clips = make_clips(5, 4)
    program = make_program(
        clips, **mode, **LAYOUTS[layout], inner=inner, optim=AdamConfig(lr=0.01)
    )
    tasks = tasks_of(clips)
    states, record = train(program, clips, tasks)
    for i in (0, 3):
        held_out = np.flatnonzero(clips.subject == tasks[i].fold)
        for changed in (with_labels(clips, held_out), with_noise(clips, held_out)):
            other, other_record = train(program, changed, tasks)
            assert_trees_equal(row(states, i), row(other, i))
            np.testing.assert_array_equal(record.loss[i], other_record.loss[i])
            # Others learn from that subject, or choose their epoch by it.
            assert trees_differ(states, other)
        # With other pixels it is tested otherwise.
        test, noisy = record.test_logits[i], other_record.test_logits[i]
        assert (test[: len(held_out)] != noisy[: len(held_out)]).any()


def test_nothing_held_out_reaches_balanced_batches():
    clips = make_clips(5, 4)
    program = make_program(clips, sampling="balanced", optim=AdamConfig(lr=0.01))
    tasks = tasks_of(clips)
    states, _ = train(program, clips, tasks)
    held_out = np.flatnonzero(clips.subject == "s3")
    for changed in (with_noise(clips, held_out), with_labels(clips, held_out)):
        other, _ = train(program, changed, tasks)
        assert_trees_equal(row(states, 3), row(other, 3))
        assert trees_differ(row(states, 1), row(other, 1))


@pytest.mark.parametrize("sampling", ["shuffled", "balanced"])
def test_a_balanced_or_augmented_fold_in_a_pack_equals_the_fold_alone(clips, sampling):
    options = {"sampling": sampling, "network": Brightened(size=7, filters=(2, 3))}
    tasks = tasks_of(clips)
    together, _ = train(make_program(clips, chunk=4, **options), clips, tasks)
    alone = make_program(clips, chunk=1, lowering="backend", **options)
    for i in (0, 2):
        state, _ = train(alone, clips, [tasks[i]])
        assert_trees_close(row(together, i), row(state, 0))


class Brightened(STSTNetConfig):
    """Adds the same random number to all pixels of a clip, in training."""

    def augment(self, inputs, key, version):
        flow = inputs["apex_flow"]
        change = jax.random.normal(key, (flow.shape[0], 1, 1, 1))
        return {"apex_flow": flow + change.astype(flow.dtype)}


class Thrice(STSTNetConfig):
    """Shows each clip as it is, brighter, and brighter still."""

    versions = 3

    def augment(self, inputs, key, version):
        flow = inputs["apex_flow"]
        return {"apex_flow": flow + version.reshape(-1, 1, 1, 1).astype(flow.dtype)}


@pytest.mark.parametrize("sampling", ["shuffled", "balanced"])
def test_versions_of_clips_train_as_if_they_were_clips(clips, sampling):
    """Bit for bit: the set that has all of them, in the order of their numbers."""
    options = {"sampling": sampling, "batch_size": 5, "chunk": 2}
    tasks = tasks_of(clips)[:2]
    sizes = {"size": 7, "filters": (2, 3)}
    versions = make_program(clips, network=Thrice(**sizes), **options)
    found, record = train(versions, clips, tasks)
    columns = {
        f.name: np.repeat(getattr(clips, f.name), 3, axis=0)
        for f in dataclasses.fields(clips)
        if f.name not in ("name", "classes", "inputs")
    }
    columns["clip_id"] = np.array([f"{i}" for i in range(3 * len(clips))])
    flow = np.repeat(clips.inputs["apex_flow"], 3, axis=0)
    flow = flow + (np.arange(len(flow)) % 3).astype(flow.dtype).reshape(-1, 1, 1, 1)
    longer = dataclasses.replace(clips, **columns, inputs={"apex_flow": flow})
    program = make_program(longer, network=STSTNetConfig(**sizes), **options)
    expected, other = train(program, longer, tasks)
    assert_trees_equal(found.params, expected.params)
    assert_trees_equal(record.loss, other.loss)
    logits = other.test_logits[:, ::3]
    np.testing.assert_allclose(record.test_logits, logits, rtol=1e-5, atol=1e-6)

    held_out = clips.subject == tasks[0].fold
    noisy, _ = train(versions, with_noise(clips, np.flatnonzero(held_out)), tasks)
    assert_trees_equal(row(found.params, 0), row(noisy.params, 0))


def test_augmentation_changes_training_and_no_evaluation(clips, mode):
    sizes = {"size": 7, "filters": (2, 3), "dropout": 0.0}
    programs = [
        make_program(clips, **mode, network=kind(**sizes))
        for kind in (STSTNetConfig, Brightened)
    ]
    plain, bright = (train(p, clips, tasks_of(clips))[0] for p in programs)
    assert trees_differ(plain.params, bright.params)
    data, every = Data.of(clips.inputs, clips.label), jnp.arange(len(clips))
    logits = [
        p.trainer.logits(row(plain, 0), data, every, jnp.ones(len(clips)))
        for p in programs
    ]
    np.testing.assert_array_equal(*logits)


def test_one_training_clip_changes_its_fold(clips, mode):
    program, tasks = make_program(clips, **mode), tasks_of(clips)
    states, _ = train(program, clips, tasks)
    changed = np.flatnonzero(clips.subject == "s1")[:1]
    other, _ = train(program, with_noise(clips, changed), tasks)
    for i, task in enumerate(tasks):
        differs = trees_differ(row(states.params, i), row(other.params, i))
        assert differs == (task.fold != "s1")


@pytest.mark.parametrize("devices", first_of([1, 4, 8], 4))
def test_the_compiled_program_has_no_collective(clips, mode, devices):
    program = make_program(clips, **mode, devices=devices, inner=True)
    tasks = tasks_of(clips)
    table = trees.take(table_of(program, clips, tasks), program.rows(tasks))
    text = program.compiled(table, Data.of(clips.inputs, clips.label)).as_text()
    assert "ENTRY" in text
    names = ("all-reduce", "all-gather", "all-to-all", "collective-permute")
    assert not [name for name in names if name in text]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("lowering", LOWERINGS)
def test_the_program_exports_for_every_backend(clips, dtype, lowering, mode):
    program = make_program(clips, **mode, inner=True, dtype=dtype, lowering=lowering)
    table = table_of(program, clips, tasks_of(clips))
    states = jax.eval_shape(program.init, table.key)
    data = Data.of(clips.inputs, clips.label)
    export = jax.export.export(program.advance, platforms=["tpu", "cuda", "cpu"])
    exported = export(states, table, data, jnp.int32(0), jnp.ones(1, jnp.int32))
    assert exported.platforms == ("tpu", "cuda", "cpu")


def test_a_diverging_task_leaves_its_neighbours_alone(clips):
    """One fold trains on a clip so bright that its loss overflows."""
    # A program of its own, compiled for flow that can be so bright.
    program, tasks = make_program(clips, optim=SgdConfig(lr=0.04)), tasks_of(clips)
    flow = clips.inputs["apex_flow"].astype(np.float32)
    calm, _ = train(
        program, dataclasses.replace(clips, inputs={"apex_flow": flow}), tasks
    )
    # Only the fold of s1 does not train on s1.
    flow = flow.copy()
    flow[clips.subject == "s1"] = 3e38
    loud = dataclasses.replace(clips, inputs={"apex_flow": flow})
    states, record = train(program, loud, tasks)
    assert record.alive.tolist() == [task.fold == "s1" for task in tasks]
    i = tasks.index(next(t for t in tasks if t.fold == "s1"))
    assert_trees_equal(row(calm.params, i), row(states.params, i))
    for leaf in jax.tree.leaves(states.params):
        assert np.isfinite(leaf).all()  # frozen before the bad step


def test_a_batch_without_a_clip_of_the_task_changes_nothing(clips):
    program = make_program(clips, optim=AdamConfig(lr=0.1))
    trainer = program.trainer
    state = jax.jit(trainer.init)(jax.random.key(0))
    inputs = {"apex_flow": jnp.asarray(clips.inputs["apex_flow"][:4])}
    label = jnp.asarray(clips.label[:4])
    step = jax.jit(trainer.step)
    after, _ = step(state, jax.random.key(1), inputs, label, jnp.zeros(4))
    assert_trees_equal(state, after)
    moved, _ = step(state, jax.random.key(1), inputs, label, jnp.ones(4))
    assert trees_differ(state.params, moved.params)
    assert int(moved.step) == 1


def test_seeds_and_folds_start_from_different_weights(clips):
    program, tasks = make_program(clips), tasks_of(clips, seeds=(0, 1))
    table = table_of(program, clips, tasks)
    kernels = np.asarray(program.init(table.key).params["block"]["conv"]["kernel"][...])
    flat = kernels.reshape(len(tasks), -1)
    assert len(np.unique(flat, axis=0)) == len(tasks)


@pytest.mark.parametrize("platform", ["gpu", "cpu"])
def test_first_states_of_a_gpu_have_their_bits_by_a_kernel(
    clips, platform, monkeypatch
):
    program = dataclasses.replace(make_program(clips))
    monkeypatch.setattr(type(program), "_platform", platform)
    seen = []

    def init(key):
        seen.append(getattr(jax.config, BITS_BY_KERNEL))
        return key

    program.__dict__["init"] = init
    assert program.first_states(7) == 7
    assert seen == [platform == "gpu"]


def test_first_states_are_compiled_as_is_said_for_what_runs_once(clips, monkeypatch):
    monkeypatch.setitem(ONCE, "cpu", {"xla_no_such_setting": 1})
    program = dataclasses.replace(make_program(clips))
    table = table_of(program, clips, tasks_of(clips))
    with pytest.raises(jax.errors.JaxRuntimeError, match="xla_no_such_setting"):
        program.first_states(table.key)


def test_first_states_have_the_same_bits_with_fewer_passes(clips):
    program = dataclasses.replace(make_program(clips))
    key = table_of(program, clips, tasks_of(clips)).key
    lowered = program.init.lower(key)
    few, every = (
        lowered.compile({**level, "xla_llvm_disable_expensive_passes": False})(key)
        for level in (FEW_PASSES, {"xla_backend_optimization_level": 3})
    )
    assert_trees_equal(few, every)


def test_training_learns(clips):
    """Loss falls to a fraction on a set whose mean tells the class."""
    program = make_program(clips, optim=AdamConfig(lr=0.02))
    _, early = train(program, clips, tasks_of(clips), epochs=1)
    _, late = train(program, clips, tasks_of(clips), epochs=25)
    assert late.loss.mean() < 0.5 * early.loss.mean()
