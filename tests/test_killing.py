"""Whatever a command is doing when it is killed: typed again, it ends as if it had not
been, and nothing of the dead one is left.
"""

import contextlib
import dataclasses
import importlib.util
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fabricated import make_run
from killing import EVERYTHING, REPORTING, Kill, Server, copied, kept, left_behind

from jmer.runs.folder import first_difference

TINY = """
import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx

from jmer import nn
from jmer.data.random_clips import RandomClips
from jmer.experiment import EngineConfig, Experiment
from jmer.models.base import NetworkConfig
from jmer.optim import SgdConfig


@dataclasses.dataclass(frozen=True)
class TinyConfig(NetworkConfig):
    name: ClassVar[str] = "tiny"
    inputs: ClassVar[tuple[str, ...]] = ("apex_flow",)

    @property
    def input_shapes(self):
        return ((7, 7, 3),)

    def build(self, classes, *, dtype, rngs):
        return Tiny(classes, dtype=dtype, rngs=rngs)


class Tiny(nnx.Module):
    def __init__(self, classes, *, dtype, rngs):
        self.norm = nn.BatchNorm(3, dtype=dtype)
        self.head = nn.Linear(3, classes, dtype=dtype, rngs=rngs)

    def __call__(self, flow, *, train=False, key=None, weight=None):
        flow = self.norm(flow, train=train, weight=weight)
        return self.head(flow.mean((1, 2))).astype(jnp.float32)


EXPERIMENT = Experiment(
    model=TinyConfig(),
    data=RandomClips(shapes=(("apex_flow", (7, 7, 3)),), subjects=3, per_subject=3),
    optim=SgdConfig(lr=0.01),
    epochs=3,
    batch_size=6,
    seeds=(0, 1),
    engine=EngineConfig(devices=1, pack=3, checkpoint_seconds=0),
)
"""
"""Weights and statistics of a network that is traced in no time: each command that is
killed does that anew."""
FROZEN = f"""{TINY}

@dataclasses.dataclass(frozen=True)
class FrozenConfig(TinyConfig):
    name: ClassVar[str] = "frozen"

    def prefix(self, inputs):
        return {{"apex_flow": 2 * inputs["apex_flow"]}}


EXPERIMENT = dataclasses.replace(
    EXPERIMENT, model=FrozenConfig(), seeds=(0,), epochs=1
)
"""
RUN = ("run", "tiny.py", "--run-dir", "run")
SHORT = ("--seeds", "0", "--epochs", "1")
FACES = ("--layout", "casme2", "--out", "faces", "--subjects", "3", "--clips", "10")
RECIPE = ("--classes", "megc", "--modality", "apex-flow", "--size", "28")
PLACES = ("--manual-dir", "faces", "--data-dir", "prepared")
MOST_IN_TURN = 4


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A command to be killed, after others that are not."""

    name: str
    words: tuple[str, ...]
    kills: int
    before: tuple[tuple[str, ...], ...] = ()
    seed: int = 0
    """Of when it is killed, and how."""
    in_turn: int = MOST_IN_TURN
    """So many times one after another, at most, before it may end."""


SCENARIOS = (
    Scenario("training", RUN, 20, seed=28),
    Scenario("shared batches", (*RUN, "--batches", "shared"), 10, seed=12),
    Scenario(
        "streamed set",
        (*RUN, "--batches", "shared", "--engine.data", "streamed"),
        5,
        seed=12,
    ),
    Scenario("features", ("run", "frozen.py", "--run-dir", "run"), 10, seed=12),
    Scenario(
        "one more seed",
        (*RUN, "--seeds", "0", "1"),
        10,
        ((*RUN, *SHORT[:2]),),
        seed=12,
    ),
    Scenario(
        "sweep",
        (*RUN, *SHORT, "--sweep", "batches=own,shared"),
        10,
        seed=12,
        in_turn=6,
    ),
    Scenario(
        "evaluation",
        ("evaluate", "tiny.py", "--weights", "run", "--run-dir", "other"),
        10,
        ((*RUN, *SHORT),),
        seed=12,
        in_turn=2,
    ),
    Scenario("report", ("report", "run"), 12, ((*RUN, *SHORT),), seed=14, in_turn=2),
    Scenario(
        "preparing",
        ("data", "prepare", "casme2", *PLACES, *RECIPE),
        12,
        (("data", "synthesize", *FACES, "--length", "9", "--size", "64"),),
        seed=16,
        in_turn=2,
    ),
    Scenario(
        "import",
        ("weights", "import", "ststnet", "--torch", "published", "--out", "weights"),
        12,
        seed=14,
        in_turn=2,
    ),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    torch = ["torch"] * bool(importlib.util.find_spec("torch"))
    with contextlib.closing(
        Server(tmp_path_factory.mktemp("server"), [*EVERYTHING, *torch])
    ) as server:
        yield server


def published(folder: Path, seed: int = 0) -> None:
    """Checkpoints as the authors of STSTNet have them, of networks at random."""
    torch = pytest.importorskip("torch")
    from jmer.peers.ststnet import STSTNet

    torch.manual_seed(seed)
    folder.mkdir()
    for subject in ("sub01", "sub02"):
        torch.save(STSTNet().state_dict(), folder / f"{subject}.pth")


def begun(server: Server, folder: Path, scenario: Scenario) -> Path:
    """A place where the command may be typed."""
    folder.mkdir()
    (folder / "tiny.py").write_text(TINY)
    (folder / "frozen.py").write_text(FROZEN)
    if scenario.name == "streamed set":
        pytest.importorskip("grain")
    if scenario.name == "import":
        published(folder / "published")
    for words in scenario.before:
        done = server.run(folder, list(words))
        assert done.code == 0, done.output
    return folder


def a_kill(rng: np.random.Generator, operations: int, seconds: float) -> Kill:
    """Most are at an operation, which finds more than the clock does."""
    signals = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
    number = rng.choice(signals, p=[0.7, 0.2, 0.1])
    kind = rng.choice(["operation", "size", "seconds"], p=[0.75, 0.1, 0.15])
    if kind == "size":
        return Kill(size=int(10 ** rng.uniform(1, 4.5)))
    if kind == "seconds":
        return Kill(seconds=rng.uniform(0, seconds), signal=int(number))
    return Kill(operation=int(rng.integers(1, operations + 1)), signal=int(number))


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name.replace(" ", "-"))
def test_killed_and_typed_again_it_ends_as_if_undisturbed(server, tmp_path, scenario):
    before = server.cpu
    start = begun(server, tmp_path / "start", scenario)
    place, words = tmp_path / "place", list(scenario.words)
    copied(start, place)
    done = server.run(place, words)
    assert done.code == 0, done.output
    operations = len(server.operations())
    expected = kept(place)
    assert not left_behind(place)
    rng = np.random.default_rng(scenario.seed)
    kills = 0
    while kills < scenario.kills:
        copied(start, place)
        history: list[Kill] = []
        for _ in range(rng.integers(1, scenario.in_turn + 1)):
            kill = a_kill(rng, operations, done.seconds)
            ended = server.run(place, words, kill)
            history.append(kill)
            assert "Traceback" not in ended.output, (history, ended.output)
            if ended.code == 0:
                break
            assert ended.killed, (history, ended)
            kills += 1
        again = server.run(place, words)
        assert again.code == 0, (history, again.output)
        assert "Traceback" not in again.output, (history, again.output)
        assert left_behind(place) == [], history
        found = kept(place)
        assert found.keys() == expected.keys(), history
        assert not first_difference(found, expected), history
    print(f"{kills} kills, {server.cpu - before:.1f} s")


def test_there_are_a_hundred_kills():
    assert sum(scenario.kills for scenario in SCENARIOS) >= 100


def results(folder: Path) -> dict[str, Any]:
    """What a run predicts, and by which weights."""
    names = ("predictions.csv", "arrays.npz")
    return {n: v for n, v in kept(folder).items() if n.endswith(names)}


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_three_that_want_the_same_cold_features_compute_them_once(
    server, tmp_path, killed
):
    """Each in a run of its own; where who computes them is killed, another does."""
    folder = begun(server, tmp_path / "place", SCENARIOS[2])
    done = server.run(folder, ["run", "frozen.py", "--run-dir", "alone"])
    assert done.code == 0, done.output
    shutil.rmtree(folder / "cache")
    names = ["one", "two", "three"]
    commands = [["run", "frozen.py", "--run-dir", name] for name in names]
    kill = Kill(name="features/.frozen") if killed else None
    ended = server.together(folder, commands, [kill] * 3)
    whole = [(n, one) for n, one in zip(names, ended, strict=True) if not one.killed]
    assert len(whole) == 3 - killed
    assert {one.code for _, one in whole} == {0}, ended
    assert sum("computed once" in one.output for _, one in whole) == 1, ended
    for name, _ in whole:
        assert results(folder / name) == results(folder / "alone")
        assert left_behind(folder / name) == []
    assert left_behind(folder / "cache") == []
    assert len(list((folder / "cache/features").iterdir())) == 1


@pytest.mark.slow
def test_of_three_in_one_folder_one_trains_and_the_others_say_who_has_it(
    server, tmp_path
):
    folder = begun(server, tmp_path / "place", SCENARIOS[0])
    alone = ["run", "tiny.py", "--run-dir", "alone"]
    assert server.run(folder, [*alone, *SHORT]).code == 0
    ended = server.together(folder, [[*RUN, *SHORT]] * 3)
    assert 0 in {one.code for one in ended}, ended
    for one in ended:  # whoever comes late finds it done
        assert one.code == 0 or "in use by process" in one.output, ended
    assert sum("3 tasks to train" in one.output for one in ended) == 1, ended
    assert results(folder / "run") == results(folder / "alone")
    assert left_behind(folder) == []


@pytest.mark.slow
def test_of_two_with_different_options_in_one_folder_one_is_refused(server, tmp_path):
    """Whoever comes first: the other is told so, whether or not it waits."""
    folder = begun(server, tmp_path / "place", SCENARIOS[0])
    rates = ("0.01", "0.02")
    words = [[*RUN, *SHORT, "--wait", "--optim.lr", rate] for rate in rates]
    ended = server.together(folder, words)
    assert sorted(one.code for one in ended) == [0, 1], ended
    refused = next(one for one in ended if one.code)
    assert "is the run of another experiment: optim.lr is" in refused.output
    rate = next(rate for rate, one in zip(rates, ended, strict=True) if not one.code)
    alone = ["run", "tiny.py", "--run-dir", "alone", *SHORT, "--optim.lr", rate]
    assert server.run(folder, alone).code == 0
    assert results(folder / "run") == results(folder / "alone")


@pytest.mark.slow
def test_three_imports_into_one_folder_leave_one_of_them_whole(server, tmp_path):
    folder = tmp_path / "place"
    folder.mkdir()
    names = ["one", "two", "three"]
    for seed, name in enumerate(names):
        published(folder / name, seed)
    command = ["weights", "import", "ststnet", "--torch"]
    ended = server.together(folder, [[*command, n, "--out", "weights"] for n in names])
    assert {one.code for one in ended} == {0}, ended
    for name in names:
        done = server.run(folder, [*command, name, "--out", f"{name}-alone"])
        assert done.code == 0, done.output
    every = [kept(folder / f"{name}-alone") for name in names]
    assert kept(folder / "weights") in every
    assert left_behind(folder) == []


@pytest.fixture(scope="module")
def reporting(tmp_path_factory) -> Iterator[Server]:
    """Knows one command, and is there sooner."""
    folder = tmp_path_factory.mktemp("reporting")
    with contextlib.closing(Server(folder, REPORTING)) as server:
        yield server


@pytest.mark.parametrize(
    "kill",
    [
        Kill(name=".learning.png"),
        Kill(size=3000),
        Kill(name="rename", signal=signal.SIGINT),
    ],
    ids=["between files", "within a file", "interrupted"],
)
def test_a_report_that_is_killed_is_written_by_the_next(reporting, tmp_path, kill):
    make_run(tmp_path / "run", name="made-up", wrong_every=3)
    ended = reporting.run(tmp_path, ["report", "run"], kill)
    assert ended.killed and "Traceback" not in ended.output, ended
    again = reporting.run(tmp_path, ["report", "run"])
    assert again.code == 0, again.output
    assert left_behind(tmp_path) == []
    assert "made-up" in (tmp_path / "run/report.md").read_text("utf-8")
    assert (tmp_path / "run/scores.tex").stat().st_size > 100
