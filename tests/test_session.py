"""What a run does when memory is short, and what it runs only once."""

import dataclasses
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmer.cli import main
from jmer.data.random_clips import RandomClips
from jmer.data.splits import make_folds
from jmer.errors import JmerError
from jmer.experiment import EngineConfig, Experiment
from jmer.models.base import NetworkConfig
from jmer.models.ststnet import STSTNet, STSTNetConfig
from jmer.optim import SgdConfig
from jmer.runner import training
from jmer.runner.features import features, seen_by_tasks
from jmer.runner.session import Session
from jmer.runner.training import Training
from jmer.runs.packs import read_packs

EXPERIMENT = Experiment(
    model=STSTNetConfig(size=7, filters=(2,)),
    data=RandomClips(shapes=(("apex_flow", (7, 7, 3)),), subjects=4, per_subject=3),
    optim=SgdConfig(lr=0.01),
    epochs=2,
    batch_size=4,
)


class Silent:
    """A view and a log that keep what they are told."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)

    def begin(self, *args):
        pass

    evaluated = finished = write_tasks = begin

    def write(self, **event):
        pass


def session_of(experiment, clips):
    seen = seen_by_tasks(experiment.model, clips, "patches", lambda text: None)
    return Session(experiment, clips, make_folds(experiment.protocol, clips), seen)


def trained(session, folder, view, planned=lambda record: None):
    packs = session.plan(folder, view.say, planned)
    return training.train(session, packs, view, view, lambda: False)


def train(folder, **engine):
    experiment = dataclasses.replace(EXPERIMENT, engine=EngineConfig(**engine))
    clips = experiment.data.clips()
    session = session_of(experiment, clips)
    view = Silent()
    plans = []
    results = trained(session, folder, view, plans.append)
    return results, view.said, plans


def logits(results) -> dict:
    return {
        task: result.test_logits[-1, i]
        for result in results
        for i, task in enumerate(result.tasks)
    }


def test_out_of_memory_halves_the_chunk_once(tmp_path, monkeypatch):
    whole, _, _ = train(tmp_path / "whole", chunk=4, devices=1)
    real, chunks, room = training.train_pack, [], [2]

    def short(program, *args, **options):
        chunks.append(program.chunk)
        if program.chunk > room[-1]:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of 3 GB")
        return real(program, *args, **options)

    monkeypatch.setattr(training, "train_pack", short)
    results, said, _ = train(tmp_path / "short", chunk=4, devices=1)
    assert chunks == [4, 2]
    assert any("out of memory with 4 tasks side by side" in line for line in said)
    for task, values in logits(results).items():
        np.testing.assert_allclose(values, logits(whole)[task], rtol=1e-4, atol=1e-5)
    # A second time is an error, and so is any other failure.
    room.append(1)
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        train(tmp_path / "again", chunk=4, devices=1)
    assert chunks == [4, 2, 4, 2]

    def broken(*args, **options):
        raise jax.errors.JaxRuntimeError("INTERNAL: no luck")

    monkeypatch.setattr(training, "train_pack", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        train(tmp_path / "broken", chunk=4, devices=1)


def test_a_run_that_goes_on_says_where(tmp_path):
    """Of two packs, one was not begun, and one stopped in the middle."""
    engine = EngineConfig(chunk=2, devices=1, pack=2)
    experiment = dataclasses.replace(EXPERIMENT, engine=engine, epochs=3)
    session, view = session_of(experiment, experiment.data.clips()), Silent()
    packs = session.plan(tmp_path, view.say)
    assert len(packs.todo) == 2
    with pytest.raises(KeyboardInterrupt):
        training.train(session, packs, view, view, lambda: True)
    assert not any("resuming" in line for line in view.said)
    trained(session, tmp_path, view)
    told = [line for line in view.said if "resuming" in line]
    assert told == ["resuming at epoch 1 of 3"]


@pytest.mark.slow
def test_a_pack_beyond_the_limit_is_split(tmp_path):
    generous, _, (plan,) = train(tmp_path / "one", chunk=1, devices=1, memory_limit=1.0)
    assert len(generous) == 1
    limit = plan["bytes"] / 1e9 - 1e-9  # a byte less than all four tasks take
    results, said, (plan,) = train(
        tmp_path / "two", chunk=1, devices=1, memory_limit=limit
    )
    assert len(results) > 1 and plan["tasks_per_pack"] < 4
    assert any("in one program" in line for line in said)
    for task, values in logits(results).items():
        np.testing.assert_allclose(values, logits(generous)[task], rtol=1e-5, atol=1e-6)


def test_a_limit_below_one_task_is_one_clear_error(tmp_path, capsys):
    file = tmp_path / "tiny.py"
    file.write_text("from test_session import EXPERIMENT\n")
    words = ["run", str(file), "--run-dir", str(tmp_path / "run")]
    assert main([*words, "--engine.memory-limit", "1e-6"]) == 1
    error = capsys.readouterr().err
    assert "one task needs" in error and "--engine.memory-limit" in error
    assert main([*words, "--engine.memory-limit", "0"]) == 2


def test_the_plan_of_a_run_can_be_read(tmp_path):
    file = tmp_path / "tiny.py"
    file.write_text("from test_session import EXPERIMENT\n")
    words = ["run", str(file), "--run-dir", str(tmp_path / "run")]
    assert main([*words, "--engine.chunk", "3", "--engine.devices", "2"]) == 0
    plan = json.loads((tmp_path / "run/experiment.json").read_text())["plan"]
    layout = {"devices": 2, "chunk": 3, "lowering": "patches"}
    assert plan["layout"] == {**layout, "remat": False, "accumulate": 1}
    assert (plan["source"], plan["tasks"]) == ("pinned", 4)
    # Nothing is left to lay out: the plan that trained it stays.
    assert main(words) == 0
    again = json.loads((tmp_path / "run/experiment.json").read_text())["plan"]
    assert again == plan


@pytest.mark.parametrize(
    ("seeds", "engine", "told"),
    [
        ((0, 1), {"chunk": 8}, "16 trainings for 8 tasks.*--engine.chunk 4 "),
        ((0,), {"chunk": 5, "devices": 2}, "10 trainings for 4 tasks.*chunk 2 "),
        ((0, 1, 2), {"chunk": 9}, "27 trainings for 12 tasks.*chunk 4 "),
        ((0, 1), {"chunk": 5, "devices": 1}, None),
        ((0,), {"chunk": 3, "devices": 2}, None),
        ((0, 1), {}, None),
    ],
)
def test_a_chunk_wider_than_a_seed_has_folds_is_said(seeds, engine, told):
    """And what it says to type has nothing said of it."""

    def planned(**engine):
        engine = EngineConfig(**{"devices": 1, **engine})
        experiment = dataclasses.replace(EXPERIMENT, seeds=seeds, engine=engine)
        session, said = session_of(experiment, experiment.data.clips()), []
        plan, _ = session._plan(session.tasks, said.append)
        return plan.layout, [text for text in said if "trainings for" in text]

    layout, said = planned(**engine)
    assert layout.chunk == engine.get("chunk", layout.chunk)  # as wide as it was asked
    assert len(said) == bool(told)
    for text in said:
        assert re.search(told, text)
        typed = int(re.search(r"--engine.chunk (\d+)", text)[1])
        assert planned(**{**engine, "chunk": typed})[1] == []


def test_many_seeds_train_in_one_program(tmp_path):
    """130 tasks: 26 folds, 5 seeds."""
    experiment = dataclasses.replace(
        EXPERIMENT,
        data=dataclasses.replace(EXPERIMENT.data, subjects=26, per_subject=1),
        seeds=(0, 1, 2, 3, 4),
        epochs=3,
        engine=EngineConfig(chunk=13, devices=2),
    )
    clips = experiment.data.clips()
    session = session_of(experiment, clips)
    (result,) = trained(session, tmp_path, Silent())
    assert len(result.tasks) == 130 and result.epoch.tolist() == [1, 2, 3]
    assert np.isfinite(result.test_logits).all()


# --- frozen parts


@dataclasses.dataclass(frozen=True)
class Prefixed(STSTNetConfig):
    """STSTNet on twice the flow, doubled by a frozen part."""

    name = "prefixed"

    def prefix(self, inputs):
        return {"apex_flow": 2 * inputs["apex_flow"]}


class Counted(Prefixed):
    """Notes what the frozen part is compiled for."""

    shapes: list = []  # noqa: RUF012

    def prefix(self, inputs):
        self.shapes.append(inputs["apex_flow"].shape[0])
        return super().prefix(inputs)


def test_a_frozen_prefix_runs_once_for_each_clip(tmp_path):
    inputs = {"apex_flow": np.ones((70, 7, 7, 3), np.float32)}
    Counted.shapes.clear()
    seen = features(Counted(size=7), inputs, "patches")
    np.testing.assert_array_equal(seen["apex_flow"], 2.0)
    assert seen["apex_flow"].shape == (70, 7, 7, 3)
    assert Counted.shapes == [8]  # compiled for batches of one size


def test_a_prefix_of_a_network_is_part_of_it(tmp_path):
    """Trained on doubled clips as if the clips were doubled."""
    clips = EXPERIMENT.data.clips()
    doubled = dataclasses.replace(
        clips, inputs={"apex_flow": 2 * clips.inputs["apex_flow"]}
    )
    outcomes = []
    for kind, data in ((Prefixed, clips), (STSTNetConfig, doubled)):
        experiment = dataclasses.replace(EXPERIMENT, model=kind(size=7, filters=(2,)))
        session = session_of(experiment, data)
        results = trained(session, tmp_path / kind.__name__, Silent())
        outcomes.append(logits(results))
    for task, values in outcomes[0].items():
        np.testing.assert_array_equal(values, outcomes[1][task])


def test_prediction_includes_the_prefix():
    config = Prefixed(size=7, filters=(2,))
    model = config.build(3, dtype=jnp.float32, rngs=_rngs())
    x = {"apex_flow": jnp.ones((2, 7, 7, 3))}
    expected = NetworkConfig.apply(config, model, {"apex_flow": 2 * x["apex_flow"]})
    np.testing.assert_array_equal(config.predict(model, x), expected)
    assert isinstance(model, STSTNet)


def _rngs():
    from flax import nnx

    return nnx.Rngs(params=0)


SEVERAL = dataclasses.replace(EXPERIMENT, batches="shared", seeds=(0, 1), epochs=3)


class Killed(Exception):
    """Stands for the end of the process."""


def begun(folder, experiment=SEVERAL, *, packs=None, **engine):
    """The results, plans and packs; with `packs`, of a run that ends after so many."""
    experiment = dataclasses.replace(experiment, engine=EngineConfig(**engine))
    view, plans = Silent(), []
    session = session_of(experiment, experiment.data.clips())
    layout = session.plan(folder, view.say, plans.append)
    real, done = Training.of, []

    def train_pack(self, pack):
        if len(done) == packs:
            raise Killed
        done.append(pack)
        return real(self, pack)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "of", train_pack)
        if packs is None:
            return (
                training.train(session, layout, view, view, lambda: False),
                plans,
                layout,
            )
        with pytest.raises(Killed):
            training.train(session, layout, view, view, lambda: False)
    return None, plans, layout


def assert_same_bits(mine, other):
    def by_task(results):
        return {
            task: [
                r.loss[:, i],
                r.test_logits[:, i],
                *(w[i] for w in r.weights.values()),
            ]
            for r in results
            for i, task in enumerate(r.tasks)
        }

    mine, other = by_task(mine), by_task(other)
    assert mine.keys() == other.keys()
    for task, arrays in mine.items():
        for array, wanted in zip(arrays, other[task], strict=True):
            np.testing.assert_array_equal(array, wanted)


@pytest.mark.parametrize(("pack", "packs"), [(6, 1), (5, 1), (3, 0)])
def test_after_a_kill_the_rest_is_laid_out_as_at_the_first_start(tmp_path, pack, packs):
    whole, _, planned = begun(tmp_path / "whole", pack=pack, devices=1)
    begun(tmp_path / "cut", packs=packs, pack=pack, devices=1)
    results, plans, left = begun(tmp_path / "cut", pack=pack, devices=1)
    assert plans == []
    kept = {p.folder.name: (p.number, p.tasks, p.plan) for p in planned.todo}
    assert len(left.todo) == len(planned.todo) - packs
    for one in left.todo:
        assert kept[one.folder.name] == (one.number, one.tasks, one.plan)
    assert_same_bits(results, whole)


def test_more_seeds_are_laid_out_anew_and_the_others_stay(tmp_path):
    _, (first,), planned = begun(tmp_path, packs=1, pack=3, devices=1)
    more = dataclasses.replace(SEVERAL, seeds=(0, 1, 2))
    results, (plan,), layout = begun(tmp_path, more, pack=3, devices=1)
    assert (first["tasks"], plan["tasks"]) == (8, 4)
    assert [p.tasks for p in layout.todo[:2]] == [p.tasks for p in planned.todo[1:]]
    assert {task.seed for p in layout.todo[2:] for task in p.tasks} == {2}
    assert [p.number for p in layout.todo] == [1, 2, 3, 4]
    assert sum(len(result.tasks) for result in results) == 12


def test_other_options_lay_out_anew_what_is_not_begun(tmp_path):
    begun(tmp_path, packs=1, pack=3, devices=1)
    _, (plan,), layout = begun(tmp_path, packs=1, pack=2, devices=1)
    assert plan["tasks"] == 5 and [len(p.tasks) for p in layout.todo] == [2, 2, 1]
    # When to save is no such option.
    _, plans, layout = begun(
        tmp_path, packs=0, pack=2, devices=1, checkpoint_seconds=0.0, plan_seconds=0.0
    )
    assert plans == [] and [len(p.tasks) for p in layout.todo] == [2, 1]
    # Nor does anybody train what is no longer asked for.
    less = dataclasses.replace(SEVERAL, seeds=(0,))
    results, plans, _ = begun(tmp_path, less, pack=2, devices=1)
    assert plans == [] and sum(len(r.tasks) for r in results) < 8


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-10],
        lambda text: text.replace('[0, "', '[0, "x', 1),
        lambda text: text.replace("pack-0001/", "pack-0001/../"),
        lambda text: text.replace("[0, ", "[1, ", 1),
        lambda text: "[]",
        lambda text: '{"chosen_for": {}, "packs": [{"name": "../../pack-0000"}]}',
    ],
)
def test_a_layout_that_was_changed_is_refused(tmp_path, damage):
    _, _, planned = begun(tmp_path, packs=0, pack=3, devices=1)
    file = tmp_path / "packs.json"
    file.write_text(damage(file.read_text()))
    with pytest.raises(JmerError, match=r"packs.json was edited or damaged.*remove it"):
        begun(tmp_path, packs=0, pack=3, devices=1)
    file.unlink()  # as it says
    assert begun(tmp_path, packs=0, pack=3, devices=1)[2] == planned


def test_packs_are_named_by_their_tasks(tmp_path):
    _, _, planned = begun(tmp_path, packs=1, pack=3, devices=1)
    names = [pack.folder.name for pack in planned.todo]
    assert len(set(names)) == 3 and all("-tasks-" in name for name in names)
    other = dataclasses.replace(SEVERAL, seeds=(1, 2))
    _, _, theirs = begun(tmp_path / "other", other, packs=0, pack=3, devices=1)
    assert set(names).isdisjoint(pack.folder.name for pack in theirs.todo)
    (first, *_) = planned.todo
    renamed = first.folder.with_name(names[1])
    first.folder.rename(renamed)
    with pytest.raises(JmerError, match="holds other tasks than it is named for"):
        read_packs(tmp_path)
