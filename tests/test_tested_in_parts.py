"""A test of many clips goes through in parts, and says what it says at once."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine import make_program
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import make_clips

from jmer.data.splits import Fold, Loso, make_folds
from jmer.errors import JmerError
from jmer.train.batches import BatchPlan
from jmer.train.step import LEAST_TESTED, Data
from jmer.train.tasks import (
    InnerSplit,
    Task,
    _whole_subjects,
    divided,
    inner_clips,
    make_table,
    training_sizes,
)


@pytest.mark.parametrize("many", [1, 16, 17, 33, 40])
@pytest.mark.parametrize("lowering", ["backend", "patches"])
def test_in_parts_as_at_once(many, lowering):
    clips = make_clips(2, 40)
    program = make_program(clips, batch_size=4, lowering=lowering)
    trainer = program.trainer
    assert 2 * trainer.plan.size <= LEAST_TESTED
    state = trainer.init(jax.random.key(3))
    data = Data.of(clips.inputs, clips.label)
    index = jnp.asarray(np.random.default_rng(0).permutation(80)[:many])
    weight = jnp.ones(many)
    found = jax.jit(trainer.logits)(state, data, index, weight)
    assert found.shape == (many, 3)
    one_by_one = [trainer.logits(state, data, index[i : i + 1], weight[:1])[0]
                  for i in range(many)]  # fmt: skip
    np.testing.assert_allclose(found, jnp.stack(one_by_one), 1e-4, 1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(3, 7),
    st.integers(2, 6),
    st.floats(0.05, 0.6),
    st.sampled_from(["subject", "clip"]),
    st.integers(0, 99),
)
def test_any_inner_clips_have_room(subjects, per_subject, fraction, unit, seed):
    clips = make_clips(subjects, per_subject)
    folds = make_folds(Loso(), clips)
    inner = InnerSplit(fraction, unit)
    tasks = [Task(seed, fold.name) for fold in folds]
    try:
        chosen = [
            inner_clips(task, fold, clips, inner)
            for task, fold in zip(tasks, folds, strict=True)
        ]
    except JmerError:  # nobody can be spared
        return
    table = make_table(tasks, folds, clips, inner=inner)
    for row, weight, own in zip(table.inner, table.inner_weight, chosen, strict=True):
        assert row[weight > 0].tolist() == own.tolist()
    # As large for any choice of the tasks.
    assert make_table(tasks[:1], folds, clips, inner=inner).inner.shape[1] == len(row)
    least, most = training_sizes(folds, clips, inner)
    assert all(least <= n <= most for n in table.train.sum(1))


class InOrder:
    """Draws subjects in an order that is given."""

    def __init__(self, order):
        self.order = order

    def permutation(self, values):
        return values[list(self.order)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=5), min_size=2)
    .filter(lambda subjects: len({c for s in subjects for c in s}) == 3)
    .map(lambda subjects: subjects[:5]),
    st.floats(0.05, 0.7),
)
def test_bounds_hold_for_every_order_of_subjects(labels, fraction):
    """`labels` of the clips of each person who is trained on; one more is tested."""
    clips = make_clips(1, sum(map(len, labels)) + 1)
    subject = np.repeat(np.arange(len(labels)), [len(own) for own in labels])
    clips = dataclasses.replace(
        clips,
        label=np.array([*itertools.chain(*labels), 0], np.int32),
        subject=np.array([*(f"s{i}" for i in subject), "tested"]),
    )
    fold = Fold("tested", np.arange(len(subject)), np.array([len(subject)]))
    held_out = {
        len(_whole_subjects(fold, clips, fraction, InOrder(order)))
        for order in itertools.permutations(range(len(labels)))
    }
    if held_out == {0}:  # nobody can be spared, and the run ends with an error
        return
    least, most = training_sizes([fold], clips, InnerSplit(fraction))
    assert least <= len(subject) - max(held_out)
    assert most >= len(subject) - min(held_out)


def test_people_who_choose_the_epoch_take_no_steps():
    """Of seven people of eight clips two choose the epoch, whoever they are: 40 clips
    are left, which are five batches. More steps would change nothing, to the bit."""
    clips = make_clips(8, 8)
    folds = make_folds(Loso(), clips)
    inner = InnerSplit(0.2)
    sizes = training_sizes(folds, clips, inner)
    assert sizes == (40, 40)
    plan = BatchPlan.of("own", 8, len(clips), *sizes)
    assert plan.steps == 5
    table = make_table([Task(0, folds[0].name)], folds, clips, inner=inner)
    task = jax.tree.map(lambda column: column[0], table)
    data, key = Data.of(clips.inputs, clips.label), jax.random.key(4)
    trainer = make_program(clips, batch_size=8).trainer
    trained = []
    for steps in (5, 7):
        longer = dataclasses.replace(plan, steps=steps)
        one = dataclasses.replace(trainer, plan=longer)
        order = longer.order(key, jnp.int32(0))
        epoch = jax.jit(one.train_epoch)
        trained.append(epoch(one.init(task.key), task, data, key, order)[0])
    assert trained[0].step == 5
    same = jax.tree.map(lambda a, b: bool((a == b).all()), trained[0].params,
                        trained[1].params)  # fmt: skip
    assert all(jax.tree.leaves(same))


@pytest.mark.parametrize("rounding", ["class", "total"])
def test_clips_that_choose_the_epoch_are_counted(rounding):
    clips = make_clips(4, 7)
    folds = make_folds(Loso(), clips)
    inner = InnerSplit(0.3, "clip", rounding=rounding)
    least, most = training_sizes(folds, clips, inner)
    learnt = {
        len(divided(Task(seed, f.name), f, clips, inner)[0])
        for seed in range(3)
        for f in folds
    }
    assert learnt == {least, most}
