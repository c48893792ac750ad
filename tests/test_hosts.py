"""Several processes: the same predictions, and clear errors."""

import csv
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jmer.errors import JmerError, UsageError
from jmer.train import hosts

ROOT = Path(__file__).resolve().parent.parent
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


def test_half_of_the_address_is_a_usage_error():
    with pytest.raises(UsageError, match="go together"):
        hosts.connect(coordinator="127.0.0.1:1234")
    with pytest.raises(UsageError, match="--process-id=2"):
        hosts.connect("127.0.0.1:1234", 2, 2)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SLURM_NTASKS", "4", True),
        ("SLURM_NTASKS", "1", False),
        ("OMPI_COMM_WORLD_SIZE", "2", True),
        ("TPU_WORKER_HOSTNAMES", "a,b", True),
        ("TPU_WORKER_HOSTNAMES", "a", False),
        ("JAX_COORDINATOR_ADDRESS", "a:1", True),
    ],
)
def test_launchers_are_recognised(monkeypatch, name, value, expected):
    for other in list(os.environ):
        if other.startswith(("SLURM_", "OMPI_", "TPU_WORKER", "JAX_COORD", "MEGA")):
            monkeypatch.delenv(other)
    assert not hosts._launched()
    monkeypatch.setenv(name, value)
    assert hosts._launched() == expected


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
