"""Several processes: the same predictions, and clear errors."""

import csv
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from jmer.data.splits import Fold
from jmer.errors import JmerError, UsageError
from jmer.experiment import load_experiment
from jmer.runner.together import require_same_data, require_same_options
from jmer.train import hosts

ROOT = Path(__file__).resolve().parent.parent
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


def start(folder: Path, run_dir: str, *options: str, devices: int = 1):
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JMER_CACHE": str(folder / "cache"),
    }
    command = [sys.executable, "-m", "jmer.cli", "run", "tiny.py"]
    return subprocess.Popen(
        [*command, "--run-dir", run_dir, *options],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


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
def test_two_processes_give_what_one_gives(tmp_path):
    (tmp_path / "tiny.py").write_text(EXPERIMENT)
    finish(start(tmp_path, "alone"))
    together = ("--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", "2")
    first, second = finish(
        *(start(tmp_path, "both", *together, "--process-id", str(i)) for i in (0, 1))
    )
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
    (again,) = finish(start(tmp_path, "both", "--seeds", "0", "1"))
    assert "5 tasks to train (5 folds, seeds 0 1; 5 done)" in again


@pytest.mark.slow
def test_a_set_in_blocks_comes_to_each_of_two_processes(tmp_path):
    """Each feeds its own devices, at its own pace, also of different seeds."""
    pytest.importorskip("grain")
    (tmp_path / "tiny.py").write_text(EXPERIMENT)
    shared = ("--batches", "shared", "--seeds", "0", "1")
    finish(start(tmp_path, "alone", *shared))
    blocks = (*shared, "--engine.data", "streamed")
    together = ("--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", "2")
    first, second = finish(
        *(
            start(tmp_path, "both", *blocks, *together, "--process-id", str(i))
            for i in (0, 1)
        )
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
    with pytest.raises(UsageError, match="--process-id=2"):
        hosts.launched("127.0.0.1:1234", 2, 2)
    with pytest.raises(UsageError, match="exclude one another"):
        hosts.launched("127.0.0.1:1234", 2, 1, alone=True)
    for address in ("node1", "node1:", ":80", "node1:0", "node1:99999", "a:b"):
        with pytest.raises(JmerError, match="is no HOST:PORT"):
            hosts.launched(address, 2, 1)


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
def test_two_processes_that_differ_do_not_begin(tmp_path, options):
    (tmp_path / "tiny.py").write_text(EXPERIMENT)
    together = ("--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", "2")
    processes = [
        start(tmp_path, "both", *together, "--process-id", "0"),
        start(tmp_path, "both", *together, "--process-id", "1", *options),
    ]
    outputs = [process.communicate(timeout=HANGING) for process in processes]
    for process, (_, error) in zip(processes, outputs, strict=True):
        assert process.returncode == 1
        field = options[0].removeprefix("--")
        assert f"differ in their options: {field} is" in error
    assert not (tmp_path / "both").exists()


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_the_others_end_when_one_is_killed_and_the_run_goes_on_to_the_same_bits(
    tmp_path, victim
):
    (tmp_path / "tiny.py").write_text(EXPERIMENT)

    def both(run_dir: str, epochs: int):
        place = f"127.0.0.1:{free_port()}"
        options = ("--epochs", str(epochs), "--engine.checkpoint-seconds", "0")
        options += ("--coordinator", place, "--num-processes", "2")
        each = [(*options, "--process-id", str(i)) for i in (0, 1)]
        return [start(tmp_path, run_dir, *words) for words in each]

    finish(*both("whole", 60))
    processes = both("cut", 60)
    saved = tmp_path / "cut" / "checkpoints"
    # Both have begun, and saved something.
    while sum(any(pack.glob("[0-9]*")) for pack in saved.glob("pack*")) < 2:
        assert processes[victim].poll() is None
    processes[victim].kill()
    other = processes[1 - victim]
    _, error = other.communicate(timeout=HANGING)
    processes[victim].communicate(timeout=HANGING)
    if other.returncode:  # else it was done before
        assert other.returncode == 1 and "Traceback" not in error
        last = error.strip().splitlines()[-1]
        assert last.startswith(f"error: process {victim} of 2 (")
        assert "has died without a word" in last
    finish(*both("cut", 60))
    whole, cut = (tmp_path / name / "predictions.csv" for name in ("whole", "cut"))
    assert cut.read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_eight_processes_one_late_and_one_killed_give_what_one_gives(tmp_path):
    """As on a slice of hosts: one comes late, one dies, the job is started again."""
    (tmp_path / "tiny.py").write_text(EXPERIMENT)
    count, victim, options = 8, 3, ("--seeds", "0", "1", "--epochs", "300")
    finish(start(tmp_path, "alone", *options))

    def all_of_them(late: float):
        place = f"127.0.0.1:{free_port()}"
        own = ("--coordinator", place, "--num-processes", str(count))
        own += ("--engine.checkpoint-seconds", "0")
        processes = []
        for i in range(count):
            if i == count - 1:
                time.sleep(late)
            words = (*options, *own, "--process-id", str(i))
            processes.append(start(tmp_path, "eight", *words))
        return processes

    processes = all_of_them(late=LATE)
    saved = tmp_path / "eight" / "checkpoints"
    # Ten trainings, two to a process: the last three have none.
    while sum(any(pack.glob("[0-9]*")) for pack in saved.glob("pack*")) < 5:
        assert all(process.poll() is None for process in processes)
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
    first, *_ = finish(*all_of_them(late=0))
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
def test_one_process_of_a_step_says_that_it_waits_and_runs_alone_if_told(tmp_path):
    (tmp_path / "tiny.py").write_text(EXPERIMENT)
    step = {
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_STEP_NUM_TASKS": "4",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_PROCID": "0",
    }
    with pytest.MonkeyPatch.context() as patched:
        for name, value in step.items():
            patched.setenv(name, value)
        waiting = start(tmp_path, "r", "--meeting-seconds", "5")
        _, error = waiting.communicate(timeout=HANGING)
        assert waiting.returncode == 1 and "Traceback" not in error
        assert "1 of 4 processes have come to localhost:" in error
        assert "missing: 1, 2, 3 (Slurm (SLURM_STEP_NUM_TASKS=4))" in error
        (output,) = finish(start(tmp_path, "r", "--alone"))
    assert "5 tasks to train" in output
