"""A set that comes in blocks gives what it gives where it lies on the device."""

import json
import re

import numpy as np
import pytest
from engine import (
    NETWORK,
    Killed,
    assert_same,
    make_program,
    result,
    row,
    table_of,
    tasks_of,
)
from test_canary import Centred, Config, Plain
from test_networks import NETWORKS, with_another_subject
from toy import clips_for, make_clips

from jmer.cli import main
from jmer.optim import AdamConfig
from jmer.train.canary import Leak, sing
from jmer.train.feed import evaluation_room
from jmer.train.folds import Program
from jmer.train.step import Data
from jmer.train.streamed import Streamed

pytest.importorskip("grain")

SHARED = {"mode": "shared"}
LINEAR = Config(mix=Plain)


OF_EACH_KIND = ("stanet", "hsta", "aman")
"""With a recurrent part, attention, and what lies before training, beside convolutions
alone: the engine knows no other difference, and each takes half a minute."""


def streamed(program, clips, tasks, steps=2):
    """The same program, fed so many steps at once."""
    table = table_of(program, clips, tasks)
    tested = evaluation_room(table, program.chunk, len(clips))
    own = program.trainer, program.mesh, program.chunk
    return Streamed(*own, steps=steps, tested=tested)


OPTIONS = {
    "shared": {**SHARED, "optim": AdamConfig(lr=0.01)},
    "inner clips, one at a time": {**SHARED, "inner": True, "chunk": 1},
    "own batches read together": {"mode": "own", "batch_size": 8, "chunk": 3},
    "two devices": {**SHARED, "devices": 2, "chunk": 1, "lowering": "backend"},
    "an epoch of one batch": {**SHARED, "batch_size": 99},
}


@pytest.mark.parametrize("case", OPTIONS)
@pytest.mark.parametrize(
    ("network", "steps"),
    [
        pytest.param(LINEAR, 2, id="linear, 2 steps"),
        *(
            pytest.param(net, n, id=f"{net.name}, {n} steps", marks=pytest.mark.slow)
            for net, n in [(LINEAR, 1), (LINEAR, 9), (NETWORK, 2)]
        ),
    ],
)
def test_it_equals_the_resident_set_bit_for_bit(tmp_path, case, network, steps):
    clips = make_clips(5, 4)
    program = make_program(clips, network=network, **OPTIONS[case])
    tasks = tasks_of(clips)
    assert program.trainer.plan.together
    whole = result(program, clips, tasks, tmp_path / "whole", epochs=2)
    fed = streamed(program, clips, tasks, steps)
    blocks = result(fed, clips, tasks, tmp_path / "blocks", epochs=2)
    assert_same(whole, blocks)
    np.testing.assert_array_equal(whole.inner_uf1, blocks.inner_uf1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "network", [n for n in NETWORKS if n.name in OF_EACH_KIND], ids=lambda n: n.name
)
def test_networks_of_each_kind_are_the_same(tmp_path, network):
    clips = clips_for(network)
    program = make_program(clips, network=network, mode="shared", chunk=2)
    tasks = tasks_of(clips)
    whole = result(program, clips, tasks, tmp_path / "whole", epochs=2)
    fed = streamed(program, clips, tasks)
    assert_same(whole, result(fed, clips, tasks, tmp_path / "blocks", epochs=2))


def test_what_is_cut_off_goes_on_as_if_it_had_never_stopped(tmp_path):
    clips = make_clips(4, 3)
    tasks, options = tasks_of(clips), {"inner": True, "optim": AdamConfig(lr=0.01)}
    program = make_program(clips, network=LINEAR, **SHARED, **options)
    fed = streamed(program, clips, tasks)
    whole = result(fed, clips, tasks, tmp_path / "whole")

    def kill(progress):
        if progress.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        result(fed, clips, tasks, tmp_path / "cut", watch=kill)
    assert_same(whole, result(fed, clips, tasks, tmp_path / "cut"))
    # And where the set fits, as on another machine.
    with pytest.raises(Killed):
        result(fed, clips, tasks, tmp_path / "moved", watch=kill)
    assert_same(whole, result(program, clips, tasks, tmp_path / "moved"))


@pytest.mark.slow
def test_tasks_that_stop_early_leave_it_as_they_leave_any(tmp_path, monkeypatch):
    """The same programs after one another, the same numbers, and less is sent."""
    clips = make_clips(8, 4)
    options = {"inner": True, "patience": 2, "chunk": 4, **SHARED}
    program = make_program(clips, network=LINEAR, **options)
    tasks, sizes = tasks_of(clips), {Program: [], Streamed: []}
    for kind, seen in sizes.items():
        made = kind.running

        def noted(self, table, data, turns, made=made, seen=seen):
            seen.append((self.chunk, len(table.test)))
            return made(self, table, data, turns)

        monkeypatch.setattr(kind, "running", noted)
    whole = result(program, clips, tasks, tmp_path / "whole", epochs=8)
    fed = streamed(program, clips, tasks)
    assert_same(whole, result(fed, clips, tasks, tmp_path / "fed", epochs=8))
    assert sizes[Program] == sizes[Streamed] and len(sizes[Streamed]) > 1
    left = table_of(program, clips, tasks[:1])
    assert fed.fitting(left, len(clips)).tested < fed.tested

    def kill(progress):
        if progress.epoch == 6:
            raise Killed

    with pytest.raises(Killed):
        result(fed, clips, tasks, tmp_path / "cut", epochs=8, watch=kill)
    assert_same(whole, result(fed, clips, tasks, tmp_path / "cut", epochs=8))


def test_nothing_of_a_held_out_subject_reaches_its_fold(tmp_path):
    clips = make_clips(5, 4)
    tasks = tasks_of(clips)
    program = make_program(clips, network=LINEAR, **SHARED, chunk=5)
    fed = streamed(program, clips, tasks)
    first = result(fed, clips, tasks, tmp_path / "first", epochs=2)
    other = with_another_subject(clips, tasks[1].fold)
    second = result(fed, other, tasks, tmp_path / "second", epochs=2)
    for name, value in first.weights.items():
        np.testing.assert_array_equal(row(value, 1), row(second.weights[name], 1))
    assert any((x != second.weights[n]).any() for n, x in first.weights.items())


@pytest.mark.parametrize("mix", [Plain, Centred])
def test_the_canary_tries_what_will_run(mix):
    clips = make_clips(5, 4)
    tasks = tasks_of(clips)
    program = make_program(clips, network=Config(mix=mix), **SHARED, chunk=5)
    fed, data = streamed(program, clips, tasks), Data.of(clips.inputs, clips.label)
    if mix is Centred:
        with pytest.raises(Leak, match=r"mix \(Centred\)") as raised:
            sing(fed, tasks, table_of(program, clips, tasks), data)
        assert "--batches own" not in str(raised.value)  # which no stream has
    else:
        assert sing(fed, tasks, table_of(program, clips, tasks), data).clips == 4


EXPERIMENT = """
import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx

from jmer.data.random_clips import RandomClips
from jmer.experiment import EngineConfig, Experiment
from jmer.models.base import NetworkConfig
from jmer.optim import SgdConfig


class Net(nnx.Module):
    def __init__(self, classes, rngs):
        self.head = nnx.Linear(3, classes, rngs=rngs)

    def __call__(self, flow, *, train=False, key=None, weight=None):
        return self.head(flow.astype(jnp.float32).mean((1, 2)))


@dataclasses.dataclass(frozen=True)
class Mean(NetworkConfig):
    name: ClassVar[str] = "mean"
    inputs: ClassVar[tuple[str, ...]] = ("flow",)

    @property
    def input_shapes(self):
        return ((64, 64, 3),)

    def build(self, classes, *, dtype, rngs):
        return Net(classes, rngs)


EXPERIMENT = Experiment(
    model=Mean(),
    data=RandomClips(
        shapes=(("flow", (64, 64, 3)),), subjects=60, per_subject=2, dtype="float16"
    ),
    optim=SgdConfig(lr=0.01),
    epochs=2,
    seeds=(0, 1),
    batch_size=4,
    engine=EngineConfig(devices=1, chunk=3, lowering="patches", plan_seconds=0),
)
"""
SET = 120 * 64 * 64 * 3 * 2  # bytes


@pytest.fixture(name="words")
def _words(tmp_path):
    (tmp_path / "mean.py").write_text(EXPERIMENT)

    def words(run, *more):
        return [
            "run",
            str(tmp_path / "mean.py"),
            "--run-dir",
            str(tmp_path / run),
            *more,
        ]

    return words


def test_a_set_four_times_the_memory_trains(tmp_path, words, capsys):
    limit = "--engine.memory-limit", str(SET / 4 / 1e9)
    shared = "--batches", "shared"
    assert main(words("blocks", *shared, *limit)) == 0
    told = capsys.readouterr().out
    assert "the set of 2.95 MB is streamed: blocks of 1 step (" in told
    plan = json.loads((tmp_path / "blocks" / "experiment.json").read_text())["plan"]
    assert plan["block"] == 1 and plan["bytes"] <= SET / 4
    packs = json.loads((tmp_path / "blocks/checkpoints/packs.json").read_text())
    for pack in packs["packs"]:
        assert len({seed for seed, *_ in map(_values, pack["tasks"])}) == 1

    assert main(words("whole", *shared)) == 0
    assert "is streamed" not in capsys.readouterr().out
    assert _predictions(tmp_path / "blocks") == _predictions(tmp_path / "whole")

    assert main(words("no", *shared, *limit, "--engine.data", "resident")) == 1
    assert "more than the limit of 0.000737 GB" in capsys.readouterr().err


def _values(task):
    return [*task.values()] if isinstance(task, dict) else task


def _predictions(folder):
    return (folder / "predictions.csv").read_text()


def test_own_batches_of_such_a_set_are_refused(words, capsys):
    limit = "--engine.memory-limit", str(SET / 4 / 1e9)
    assert main(words("own", *limit)) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "--overwrite" not in error
    assert "the set of 0.00295 GB does not fit 0.000737 GB" in error
    # The remedies, typed: where nothing is trained, and where something is.
    both = r"Run with (.*), which is fed in .* (--engine.data resident)"
    one_seed = "--seeds", "0"
    found = re.search(both, error)
    enough = "--engine.memory-limit", "1"
    assert main(words("own", *found[2].split(), *enough, *one_seed)) == 0
    assert main(words("fresh", *found[1].split(), *one_seed, *limit)) == 0
    capsys.readouterr()
    assert main(words("own", *limit, "--seeds", "0", "1")) == 1
    found = re.search(both, capsys.readouterr().err)
    assert "--overwrite" in found[1]
    assert main(words("own", *found[1].split(), *one_seed, *limit)) == 0


@pytest.mark.parametrize(
    "own",
    [
        (),
        ("--batches", "own"),
        ("--sampling", "balanced"),
        ("--sampling", "balanced", "--batches", "shared"),
    ],
    ids=" ".join,
)
def test_a_stream_of_own_batches_is_refused_by_its_options(
    tmp_path, words, capsys, own
):
    """Before anything is read; and what is said works when typed."""
    pinned = (*own, "--engine.data", "streamed")
    assert main(words("run", *pinned)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "engine.data=streamed needs batches" in error
    assert not (tmp_path / "run").exists()
    ways = re.search("give (.*), or (.*)", error)
    for i, way in enumerate(ways.groups()):
        typed = (*pinned, *way.split(), "--seeds", "0")
        assert main(words(f"run{i}", *typed)) == 0
        assert ("is streamed: blocks of" in capsys.readouterr().out) == (i == 0)


def test_balanced_batches_of_such_a_set_are_refused(words, capsys):
    limit = "--engine.memory-limit", str(SET / 4 / 1e9)
    typed = (*limit, "--sampling", "balanced", "--seeds", "0")
    assert main(words("run", *typed)) == 1
    found = re.search("Run with (.*), which is fed", capsys.readouterr().err)
    assert found[1] == "--batches shared --sampling shuffled"
    assert main(words("run", *typed, *found[1].split())) == 0
