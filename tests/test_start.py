"""Trainings that start from another run's, each fold from its own, and frozen parts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_session import Silent
from toy import make_clips

import jmer
from jmer.data.random_clips import RandomClips
from jmer.data.splits import KFold, make_folds
from jmer.errors import JmerError
from jmer.experiment import EngineConfig, Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamWConfig, Horizon, RmspropConfig, SgdConfig, trained_alone
from jmer.runner import run as runs
from jmer.runner.start import read_start
from jmer.train.tasks import Task


@dataclasses.dataclass(frozen=True)
class FrozenTrunk(STSTNetConfig):
    """Trains nothing but its head."""

    def frozen(self, path):
        return path[0] == "block"


EXPERIMENT = Experiment(
    model=STSTNetConfig(size=7, filters=(2,)),
    data=RandomClips(shapes=(("apex_flow", (7, 7, 3)),), subjects=4, per_subject=3),
    optim=SgdConfig(lr=0.05, weight_decay=0.1),
    epochs=2,
    batch_size=4,
    engine=EngineConfig(plan_seconds=0, chunk=4, devices=1),
)
SECOND = dataclasses.replace(EXPERIMENT, model=FrozenTrunk(size=7, filters=(2,)))


class View(Silent):
    def close(self):
        pass


def trained(folder, clips, experiment=EXPERIMENT, **fields):
    """Runs an experiment on clips in memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "load", lambda data, **options: clips)
        runs.run(
            dataclasses.replace(experiment, **fields),
            name=folder.name,
            command=f"jmer run {folder.name}",
            run_dir=folder,
            overwrite=False,
            view=View(),
        )
    return jmer.load_run(folder)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs") / "first", make_clips())


@pytest.mark.parametrize(
    "config", [SgdConfig(weight_decay=0.1), RmspropConfig(weight_decay=0.1)]
)
def test_frozen_parameters_neither_move_nor_decay(config):
    params = {"trunk": {"kernel": jnp.ones((2, 3))}, "head": {"kernel": jnp.ones(4)}}
    grads = jax.tree.map(lambda x: 0.5 * x, params)
    rule = trained_alone(config.transform(), lambda path: path[0] == "trunk")
    state = rule.init(params)
    updates, _ = rule.update(grads, state, params)
    assert not updates["trunk"]["kernel"].any()
    alone = config.transform()
    head = params["head"]
    expected, _ = alone.update(grads["head"], alone.init(head), head)
    assert_array_equal(updates["head"]["kernel"], expected["kernel"])
    # Nor is there a moment of them.
    assert all(x.shape != (2, 3) for x in jax.tree.leaves(state))


def test_without_frozen_parameters_a_rule_is_as_it_was():
    params = {"layers": {"3": jnp.ones((2, 2))}}
    config = AdamWConfig(layer_decay=0.5)
    rule = config.transform(Horizon(10, 4), lambda path: 2)
    rules = rule, trained_alone(rule, lambda path: False)
    states = [rule.init(params) for rule in rules]
    assert jax.tree.structure(states[0]) == jax.tree.structure(states[1])
    updates = [
        optax.tree.norm(rule.update(params, state, params)[0])
        for rule, state in zip(rules, states, strict=True)
    ]
    assert updates[0] == updates[1]


def test_each_fold_starts_from_its_own(first, tmp_path):
    clips = make_clips()
    second = trained(tmp_path / "second", clips, SECOND, start_from=first.folder)
    for subject in "s0", "s1", "s2", "s3":
        begun, ended = (run.params(subject=subject) for run in (first, second))
        for name, value in begun["block"]["conv"].items():
            assert_array_equal(ended["block"]["conv"][name], value)
        assert not np.array_equal(begun["head"]["kernel"], ended["head"]["kernel"])
    kernels = first.weights.arrays["params.block.conv.kernel"]
    assert len({kernel.tobytes() for kernel in kernels}) == 4


def test_the_first_step_begins_at_the_given_weights(first, tmp_path):
    clips = make_clips()
    slow = dataclasses.replace(EXPERIMENT.optim, lr=1e-12)
    second = trained(tmp_path / "second", clips, optim=slow, start_from=first.folder)
    for path, value in first.weights.arrays.items():
        if path.startswith("params."):
            assert_allclose(second.weights.arrays[path], value, atol=1e-6)


def test_nothing_held_out_reaches_its_fold_through_two_runs(tmp_path):
    clips = make_clips()
    out = clips.subject == "s2"
    rng = np.random.default_rng(3)
    flow, label = clips.inputs["apex_flow"].copy(), clips.label.copy()
    flow[out] = rng.normal(size=flow[out].shape)
    label[out] = (label[out] + 1) % 3
    changed = dataclasses.replace(clips, inputs={"apex_flow": flow}, label=label)
    params = []
    for name, kind in (("a", clips), ("b", changed)):
        first = trained(tmp_path / f"{name}1", kind)
        params.append(
            trained(
                tmp_path / f"{name}2", kind, SECOND, start_from=first.folder
            ).weights
        )
    arrays = [
        {path: value[w.index("s2")] for path, value in w.arrays.items()} for w in params
    ]
    for path in arrays[0]:
        assert_array_equal(arrays[0][path], arrays[1][path])
    # It reaches the others.
    kernels = [w.params(subject="s0")["head"]["kernel"] for w in params]
    assert not np.array_equal(*kernels)


def test_a_run_that_saw_what_a_fold_tests_is_refused(tmp_path):
    clips = make_clips()
    first = trained(tmp_path / "first", clips, protocol=KFold(2))
    with pytest.raises(JmerError, match=r"fold s0 tests clip clip0, which .*first did"):
        trained(tmp_path / "second", clips, start_from=first.folder)


def test_frozen_weights_need_values(tmp_path):
    with pytest.raises(JmerError, match=r"not trained .*params\.block.* --start-from"):
        trained(tmp_path / "alone", make_clips(), SECOND)


def test_a_run_of_another_network_is_refused(first, tmp_path):
    clips = make_clips()
    model = STSTNetConfig(size=7, filters=(3, 5))
    experiment = dataclasses.replace(
        EXPERIMENT, model=model, start_from=first.folder, seeds=(0, 1)
    )
    start = read_start(experiment, make_folds(experiment.protocol, clips), clips)
    assert not any("head.kernel" in path for path in start.paths)
    clips = make_clips(size=9)
    other = dataclasses.replace(experiment, model=STSTNetConfig(size=9, filters=(3, 5)))
    assert read_start(other, make_folds(other.protocol, clips), clips).paths


def test_the_only_seed_serves_all(tmp_path):
    clips = make_clips()
    first = trained(tmp_path / "first", clips, seeds=(7,))
    experiment = dataclasses.replace(EXPERIMENT, start_from=first.folder)
    start = read_start(experiment, make_folds(experiment.protocol, clips), clips)
    rows = start.of([Task(5, "s1"), Task(6, "s3")])["params.head.kernel"]
    for row, subject in zip(rows, ("s1", "s3"), strict=True):
        assert_array_equal(row, first.params(subject=subject)["head"]["kernel"])


def test_another_start_is_another_run(first, tmp_path):
    clips = make_clips()
    other = trained(tmp_path / "other", clips, seeds=(1,))
    start = [
        read_start(
            dataclasses.replace(EXPERIMENT, start_from=run.folder),
            make_folds(EXPERIMENT.protocol, clips),
            clips,
        )
        for run in (first, other, first)
    ]
    names = [one.identity["start_from"] for one in start]
    assert names[0] == names[2] != names[1]
