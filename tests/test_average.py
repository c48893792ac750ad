"""Moving means of weights: against optax, in packs, resumed, and saved."""

import dataclasses

import jax
import numpy as np
import optax
import pytest
from engine import (
    assert_resumes,
    assert_trees_close,
    assert_trees_equal,
    make_program,
    row,
    tasks_of,
    train,
    trees_differ,
)
from numpy.testing import assert_allclose
from toy import make_clips

from jmer.errors import UsageError
from jmer.experiment import load_experiment
from jmer.train.checkpoint import flatten
from jmer.train.step import Data

DECAY = 0.7


@pytest.fixture(scope="module")
def clips():
    return make_clips()


@pytest.fixture(scope="module")
def program(clips):
    return make_program(clips, ema=DECAY, chunk=4)


def test_the_means_are_optaxs(clips, program):
    """Step by step, with the correction of Adam's moments."""
    trainer, task = program.trainer, tasks_of(clips)[0]
    data = Data.of(clips.inputs, clips.label)
    step = jax.jit(trainer.step)
    index = np.arange(4)
    batch = data.take(index), data.label[index], np.float32([1, 1, 0, 1])
    state = trainer.init(task.key())
    rule = optax.ema(DECAY, debias=True)
    kept = rule.init({"params": state.params, "stats": state.stats})
    for _ in range(4):
        state, _ = step(state, task.key(), *batch)
        means, kept = rule.update({"params": state.params, "stats": state.stats}, kept)
    found = {"params": state.average.params, "stats": state.average.stats}
    assert_trees_close(found, means, rtol=1e-5, atol=1e-6)
    assert trees_differ(state.average.params, state.params)
    # An empty batch is no update.
    empty, _ = step(state, task.key(), *batch[:2], np.zeros(4, np.float32))
    assert_trees_equal(empty, state)


def test_training_is_as_without(clips, program):
    """The means change what is tested, and nothing of what is trained."""
    tasks = tasks_of(clips)
    state, record = train(program, clips, tasks)
    plain, other = train(make_program(clips, chunk=4), clips, tasks)
    assert_trees_close(state.params, plain.params, rtol=1e-4)
    assert_allclose(record.loss, other.loss, rtol=1e-5)
    assert (record.test_logits != other.test_logits).any()


def test_packs_keep_their_promises(clips, program):
    tasks = tasks_of(clips)
    together, _ = train(program, clips, tasks)
    alone, _ = train(make_program(clips, ema=DECAY, chunk=1), clips, tasks[1:2])
    assert_trees_close(row(together.average, 1), row(alone.average, 0), rtol=2e-3)

    held_out = clips.subject == tasks[1].fold
    flow = clips.inputs["apex_flow"].copy()
    flow[held_out] *= -50
    changed = dataclasses.replace(clips, inputs={"apex_flow": flow})
    other, _ = train(program, changed, tasks)
    assert_trees_equal(row(together, 1), row(other, 1))
    assert trees_differ(row(together.average, 0), row(other.average, 0))


@pytest.mark.parametrize("inner", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_is_saved_is_what_was_tested_and_resumes_to_the_bit(
    clips, program, inner, tmp_path
):
    if inner:
        program = make_program(clips, ema=DECAY, chunk=4, inner=True)
    tasks = tasks_of(clips)
    whole = assert_resumes(program, clips, tasks, tmp_path)
    if not inner:
        state, _ = train(program, clips, tasks)
        means = {"params": state.average.params, "stats": state.average.stats}
        assert_trees_equal(whole.weights, flatten(means))


def test_no_means_leave_the_identity_as_it_was():
    experiment = load_experiment("quickstart")
    assert "ema" not in experiment.identity()
    assert dataclasses.replace(experiment, ema=0.9).identity()["ema"] == 0.9


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan")])
def test_bad_decays_are_refused(value):
    with pytest.raises(UsageError, match=r"ema="):
        dataclasses.replace(load_experiment("quickstart"), ema=value)
