"""A test of many clips goes through in parts, and says what it says at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine import make_program
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import make_clips

from jmer.data.splits import Loso, make_folds
from jmer.errors import JmerError
from jmer.train.step import LEAST_TESTED, Data
from jmer.train.tasks import Task, inner_clips, make_table, training_sizes


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
    inner = {"selection": "inner", "inner_fraction": fraction, "inner_unit": unit}
    tasks = [Task(seed, fold.name) for fold in folds]
    try:
        chosen = [
            inner_clips(task, fold, clips, fraction, unit)
            for task, fold in zip(tasks, folds, strict=True)
        ]
    except JmerError:  # nobody can be spared
        return
    table = make_table(tasks, folds, clips, **inner)
    for row, weight, own in zip(table.inner, table.inner_weight, chosen, strict=True):
        assert row[weight > 0].tolist() == own.tolist()
    # As large for any choice of the tasks.
    assert make_table(tasks[:1], folds, clips, **inner).inner.shape[1] == len(row)
    least, most = training_sizes(folds, clips, **inner)
    assert all(least <= n <= most for n in table.train.sum(1))
