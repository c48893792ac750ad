"""Several processes: the same predictions, and clear errors."""

import contextlib
import csv
import dataclasses
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest
from killing import Program, Server

from jmer.cli import main
from jmer.data.splits import Fold
from jmer.errors import JmerError, UsageError
from jmer.experiment import load_experiment
from jmer.runner.together import require_same_data, require_same_options
from jmer.train import hosts
from jmer.train.launcher import Launch
from jmer.train.meeting import meet

ONE_DEVICE = "--xla_force_host_platform_device_count=1"
EPOCHS = ("--epochs", "60")
SAVED_EACH = ("--engine.checkpoint-seconds", "0")
SOON = 0.01  # seconds to the next look whether something has happened
LATE = 3.0  # seconds after the others
HANGING = 900  # seconds that no process takes, on however busy a machine
EXPERIMENT = """
from jmer.data.random_clips import RandomClips
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import SgdConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(size=7, filters=(2,)),
    data=RandomClips(shapes=(("apex_flow", (7, 7, 3)),), subjects=5, per_subject=4),
    optim=SgdConfig(lr=0.01),
    epochs=3,
    batch_size=6,
)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    """Starts processes that need not import everything first."""
    with contextlib.closing(Server(tmp_path_factory.mktemp("server"))) as server:
        yield server


class Starting(NamedTuple):
    """Starts `jmer run` of the experiment in a folder."""

    server: Server
    folder: Path

    def __call__(self, run_dir: str, *options: str, **environment: str) -> Program:
        (self.folder / "tiny.py").write_text(EXPERIMENT)
        words = ["run", "tiny.py", "--run-dir", run_dir, *options]
        own = {"XLA_FLAGS": ONE_DEVICE, "JMER_CACHE": str(self.folder / "cache")}
        return self.server.start(self.folder, words, own | environment)

    def together(self, run_dir: str, *options: str, count: int = 2, late: float = 0):
        """As many processes of one run; the last comes so many seconds later."""
        own = ("--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", count)
        processes = []
        for i in range(count):
            if i == count - 1:
                time.sleep(late)
            words = (*options, *map(str, own), "--process-id", str(i))
            processes.append(self(run_dir, *words))
        return processes


@pytest.fixture
def start(server, tmp_path) -> Starting:
    return Starting(server, tmp_path)


@pytest.fixture(scope="module")
def whole(server, tmp_path_factory) -> Path:
    """The run of two processes that nobody stops."""
    folder = tmp_path_factory.mktemp("whole")
    finish(*Starting(server, folder).together("whole", *EPOCHS))
    return folder / "whole"


def finish(*processes) -> list[str]:
    outputs = [process.communicate(timeout=HANGING) for process in processes]
    codes = [process.returncode for process in processes]
    assert codes == [0] * len(processes), outputs
    return [output for output, _ in outputs]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_two_processes_give_what_one_gives(start, tmp_path):
    finish(start("alone"))
    first, second = finish(*start.together("both"))
    # Each trains its part; the first one writes and tells.
    assert "3 tasks to train" in first and "UF1" in first
    assert "2 tasks to train" in second and "UF1" not in second
    alone, both = rows(tmp_path / "alone"), rows(tmp_path / "both")
    assert [r["clip"] for r in alone] == [r["clip"] for r in both]
    columns = ("prob_negative", "prob_positive", "prob_surprise")
    for name in columns:
        np.testing.assert_allclose(
            [float(r[name]) for r in both], [float(r[name]) for r in alone], atol=1e-5
        )
    # One process can go on from there.
    (again,) = finish(start("both", "--seeds", "0", "1"))
    assert "5 tasks to train (5 folds, seeds 0 1; 5 done)" in again


@pytest.mark.slow
def test_a_set_in_blocks_comes_to_each_of_two_processes(start, tmp_path):
    """Each feeds its own devices, at its own pace, also of different seeds."""
    pytest.importorskip("grain")
    shared = ("--batches", "shared", "--seeds", "0", "1")
    finish(start("alone", *shared))
    first, second = finish(
        *start.together("both", *shared, "--engine.data", "streamed")
    )
    assert "5 tasks to train" in first and "5 tasks to train" in second
    assert "is streamed: blocks of" in first
    alone, both = rows(tmp_path / "alone"), rows(tmp_path / "both")
    assert [r["clip"] for r in alone] == [r["clip"] for r in both]
    for name in ("prob_negative", "prob_positive", "prob_surprise"):
        np.testing.assert_allclose(
            [float(r[name]) for r in both], [float(r[name]) for r in alone], atol=1e-5
        )


def test_half_of_the_address_is_a_usage_error():
    with pytest.raises(UsageError, match="go together"):
        hosts.launched(coordinator="127.0.0.1:1234", environment={})
    for count, index in ((2, 2), (2, -1), (1, 1)):
        words = f"--process-id={index} must be from 0 to {count - 1}, below"
        with pytest.raises(UsageError, match=words):
            hosts.launched("127.0.0.1:1234", count, index)
    for count in (0, -1, -9):
        with pytest.raises(UsageError, match=f"--num-processes={count} must be at l"):
            hosts.launched("127.0.0.1:1234", count, 0)
    with pytest.raises(UsageError, match="exclude one another"):
        hosts.launched("127.0.0.1:1234", 2, 1, alone=True)
    for address in ("node1", "node1:", ":80", "node1:0", "node1:99999", "a:b"):
        with pytest.raises(JmerError, match="is no HOST:PORT"):
            hosts.launched(address, 2, 1)


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "0", "-inf"])
def test_a_time_to_meet_that_is_none_is_a_usage_error(seconds, tmp_path, capsys):
    own = ("--coordinator", "127.0.0.1:1", "--num-processes", "2", "--process-id", "1")
    words = ["run", "quickstart", "--run-dir", str(tmp_path / "run")]
    assert main([*words, *own, f"--meeting-seconds={seconds}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: meeting-seconds={float(seconds)} must be finite")
    assert error.count("\n") == 1 and not (tmp_path / "run").exists()


@pytest.mark.parametrize("index", [1, 2, 0])
def test_a_second_process_of_a_number_is_told_so_once_all_have_met(index):
    """The first one listens no more by then, and may be well."""
    launches = [Launch(i, 3, "127.0.0.1", free_port(), "by hand") for i in range(3)]
    launches = [dataclasses.replace(one, port=launches[0].port) for one in launches]
    with ThreadPoolExecutor() as pool:
        own = {"seconds": HANGING, "say": lambda text: None}
        met = [pool.submit(meet, launch, **own) for launch in launches]
        channels = [one.result() for one in met]
    words = "each with a --process-id of its own"
    with pytest.raises(JmerError, match=words) as raised:
        meet(launches[index], seconds=0.2, say=lambda text: None)
    if index:
        assert "Where all have met already, it takes in nobody" in str(raised.value)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda channel: channel.close(None), channels))


def test_alone_everything_is_the_first(monkeypatch):
    assert hosts.is_first() and hosts.gather(b"abc") == [b"abc"]
    assert hosts.gather_json({"a": [1]}) == [{"a": [1]}]
    done = []
    hosts.first_then_all(lambda: done.append(1))
    assert done == [1]

    def fail():
        raise JmerError("no room")

    with pytest.raises(JmerError, match="no room"):
        hosts.first_then_all(fail)


def test_processes_that_see_different_files_are_told(monkeypatch):
    monkeypatch.setattr(hosts, "gather_json", lambda value: [value, ["other"]])
    with pytest.raises(JmerError, match="file system that all of them share"):
        hosts.require_agreement(["mine"], Path("runs/x"))


def other_process(monkeypatch, change):
    """A second process, of which all is known that it would say."""

    def gather_json(value):
        value = json.loads(json.dumps(value))
        return [value, change(json.loads(json.dumps(value)))]

    monkeypatch.setattr(hosts, "gather_json", gather_json)
    monkeypatch.setattr(jax, "process_count", lambda: 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("optim.lr", 0.02),
        ("epochs", 7),
        ("seeds", [0, 1]),
        ("batch_size", 32),
        ("protocol.kind", "Megc"),
        ("engine.pack", 3),
        ("jmer", "0.0.9"),
        ("jax", "0.1"),
        ("run-dir", "elsewhere"),
        ("overwrite", True),
        ("model.new", 1),
    ],
)
def test_a_process_with_other_options_stops_all(monkeypatch, tmp_path, field, value):
    file = tmp_path / "tiny.py"
    file.write_text(EXPERIMENT)
    experiment = load_experiment(file)
    options = {"run_dir": Path("here"), "overwrite": False}
    other_process(monkeypatch, lambda facts: facts)
    require_same_options({"": experiment}, **options)
    other_process(monkeypatch, lambda facts: {**facts, field: value})
    name = re.escape(field)
    pattern = rf"differ in their options: {name} is .* on process 0 and .* on process 1"
    with pytest.raises(JmerError, match=pattern):
        require_same_options({"": experiment}, **options)


def test_a_process_with_other_data_stops_all(monkeypatch):
    folds = [Fold("a", np.array([1, 2]), np.array([0]))]
    identity = {"dtype": "float32", "data_fingerprint": "1", "weights": {"file": "2"}}
    other_process(monkeypatch, lambda facts: facts)
    require_same_data(identity, folds)
    for name in ("dtype", "data_fingerprint", "weights.file", "fold a", "fold b"):
        other_process(monkeypatch, lambda facts, name=name: {**facts, name: "x"})
        with pytest.raises(JmerError, match=f"what they read: {name} is"):
            require_same_data(identity, folds)


def test_what_fails_on_one_fails_on_all(monkeypatch):
    assert hosts.all_or_none(lambda: 3) == 3
    other_process(monkeypatch, lambda told: "no room there")
    with pytest.raises(JmerError, match="process 1: no room there"):
        hosts.all_or_none(lambda: 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [("--optim.lr", "0.02"), ("--seeds", "0", "1"), ("--epochs", "2")]
)
def test_two_processes_that_differ_do_not_begin(start, tmp_path, options):
    together = ("--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", "2")
    processes = [
        start("both", *together, "--process-id", "0"),
        start("both", *together, "--process-id", "1", *options),
    ]
    outputs = [process.communicate(timeout=HANGING) for process in processes]
    for process, (_, error) in zip(processes, outputs, strict=True):
        assert process.returncode == 1
        field = options[0].removeprefix("--")
        assert f"differ in their options: {field} is" in error
    assert not (tmp_path / "both").exists()


def saved_packs(run_dir: Path) -> int:
    """How many packs of a run have a checkpoint."""
    packs = (run_dir / "checkpoints").glob("pack*")
    return sum(any(pack.glob("[0-9]*")) for pack in packs)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_the_others_end_when_one_is_killed_and_the_run_goes_on_to_the_same_bits(
    start, whole, tmp_path, victim
):
    processes = start.together("cut", *EPOCHS, *SAVED_EACH)
    # Both have begun, and saved something.
    while saved_packs(tmp_path / "cut") < 2:
        assert processes[victim].poll() is None
        time.sleep(SOON)
    processes[victim].kill()
    other = processes[1 - victim]
    _, error = other.communicate(timeout=HANGING)
    processes[victim].communicate(timeout=HANGING)
    if other.returncode:  # else it was done before
        assert other.returncode == 1 and "Traceback" not in error
        last = error.strip().splitlines()[-1]
        assert last.startswith(f"error: process {victim} of 2 (")
        assert "has died without a word" in last
    finish(*start.together("cut", *EPOCHS))
    mine, other = (f / "predictions.csv" for f in (tmp_path / "cut", whole))
    assert mine.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_eight_processes_one_late_and_one_killed_give_what_one_gives(start, tmp_path):
    """As on a slice of hosts: one comes late, one dies, the job is started again."""
    count, victim, options = 8, 3, ("--seeds", "0", "1", "--epochs", "300")
    finish(start("alone", *options))
    processes = start.together("eight", *options, *SAVED_EACH, count=count, late=LATE)
    # Ten trainings, two to a process: the last three have none.
    while saved_packs(tmp_path / "eight") < 5:
        assert all(process.poll() is None for process in processes)
        time.sleep(SOON)
    processes[victim].kill()
    killed = time.monotonic()
    others = [process for process in processes if process is not processes[victim]]
    errors = [process.communicate(timeout=HANGING)[1] for process in others]
    print(f"the others ended after {time.monotonic() - killed:.1f} s")
    processes[victim].communicate(timeout=HANGING)
    if any(process.returncode for process in others):  # else all was done before
        for process, error in zip(others, errors, strict=True):
            assert process.returncode == 1 and "Traceback" not in error
            last = error.strip().splitlines()[-1]
            assert last.startswith(f"error: process {victim} of {count} (")
    first, *_ = finish(*start.together("eight", *options, count=count))
    assert "UF1" in first
    alone, eight = rows(tmp_path / "alone"), rows(tmp_path / "eight")
    same = ("clip", "seed", "fold", "label", "predicted")
    assert [[r[n] for n in same] for r in alone] == [
        [r[n] for n in same] for r in eight
    ]
    for name in ("prob_negative", "prob_positive", "prob_surprise"):
        np.testing.assert_allclose(
            [float(r[name]) for r in eight], [float(r[name]) for r in alone], atol=1e-5
        )


@pytest.mark.slow
def test_one_process_of_a_step_says_that_it_waits_and_runs_alone_if_told(start):
    step = {
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_STEP_NUM_TASKS": "4",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_PROCID": "0",
    }
    waiting = start("r", "--meeting-seconds", "5", **step)
    _, error = waiting.communicate(timeout=HANGING)
    assert waiting.returncode == 1 and "Traceback" not in error
    assert "1 of 4 processes have come to localhost:" in error
    assert "missing: 1, 2, 3 (Slurm (SLURM_STEP_NUM_TASKS=4))" in error
    (output,) = finish(start("r", "--alone", **step))
    assert "5 tasks to train" in output
