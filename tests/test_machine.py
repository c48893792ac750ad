"""Cores and memory of the job, not of the node: affinity and control groups."""

import os
import threading

import pytest

from jmer.data import machine
from jmer.data.parallel import in_order, shared_pool

V2 = "0::/job/step\n"
PLACE = "/slurm/job_7/step_0"
V1 = f"5:cpu,cpuacct:{PLACE}\n4:memory:{PLACE}\n1:name=systemd:/\n"
MAX = "max 100000\n"


@pytest.fixture(autouse=True)
def _a_node_of_64_cores_and_100_gb(monkeypatch):
    monkeypatch.setattr(machine, "_affine", lambda: 64)
    monkeypatch.setattr(machine, "_installed", lambda: 100 * 10**9)


def host(tmp_path, groups: str, files: dict[str, str]):
    for name, text in {"proc/self/cgroup": groups, **files}.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")
    return tmp_path


@pytest.mark.parametrize(
    ("groups", "files", "cores", "gb"),
    [
        ("", {}, 64, 100),
        (V2, {"job/step/cpu.max": "200000 100000\n"}, 2, 100),
        (
            V2,
            {"job/step/cpu.max": MAX, "job/cpu.max": "50000 100000"},
            1,
            100,
        ),
        (
            V2,
            {"job/step/cpu.max": "250000 100000", "job/cpu.max": MAX},
            3,
            100,
        ),
        (V2, {"job/step/memory.max": "max", "job/memory.max": "4000000000"}, 64, 4),
        (V2, {"job/memory.high": "3000000000", "job/memory.max": "max"}, 64, 3),
        # A container sees its group at the top, under a path of the host's.
        ("0::/../../docker/abc\n", {"cpu.max": "400000 100000"}, 4, 100),
        (V2, {"unified/job/memory.max": "2000000000"}, 64, 2),
        (
            V1,
            {
                "cpu,cpuacct/slurm/job_7/cpu.cfs_quota_us": "300000\n",
                "cpu,cpuacct/slurm/job_7/cpu.cfs_period_us": "100000\n",
                "cpu,cpuacct/slurm/job_7/step_0/cpu.cfs_quota_us": "-1\n",
                "cpu,cpuacct/slurm/job_7/step_0/cpu.cfs_period_us": "100000\n",
                "memory/slurm/job_7/memory.limit_in_bytes": "8000000000\n",
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            3,
            8,
        ),
        # Damaged, or more than there is: the node counts.
        (V2, {"job/cpu.max": "many", "job/memory.max": "-1"}, 64, 100),
        (V2, {"job/cpu.max": "0 0", "job/memory.max": ""}, 64, 100),
        (V2, {"job/cpu.max": "9900000 100000", "job/memory.max": str(10**15)}, 64, 100),
        ("nonsense\n:::\n", {}, 64, 100),
    ],
)
def test_the_tightest_limit_counts(tmp_path, groups, files, cores, gb):
    placed = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    root = host(tmp_path, groups, placed)
    assert machine.cores(root) == cores
    assert machine.memory(root) == gb * 10**9


def test_as_many_clips_at_once_as_memory_holds(tmp_path):
    limit = {"sys/fs/cgroup/job/memory.max": str(8 * machine.CLIP_BYTES)}
    assert machine.clips_at_once(host(tmp_path, V2, limit)) == 6
    assert machine.clips_at_once(tmp_path / "nowhere") == 64
    tight = {"sys/fs/cgroup/job/memory.max": "1000"}
    assert machine.clips_at_once(host(tmp_path, V2, tight)) == 1


def test_without_the_files_of_linux_there_is_an_answer(tmp_path):
    assert machine.cores(tmp_path) == 64 and machine.memory(tmp_path) == 100 * 10**9


def test_affinity_is_less_than_the_node(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(os, "cpu_count", lambda: 640)
    assert 1 <= machine.cores() <= len(os.sched_getaffinity(0))


def test_no_more_is_in_flight_than_the_workers_and_one():
    lock, made, seen = threading.Lock(), [0], [0]

    def items():
        for i in range(40):
            with lock:
                made[0] += 1
            yield i

    for given in in_order(lambda i: i, items(), 3):
        seen[0] += 1
        assert given == seen[0] - 1
        assert made[0] - seen[0] <= 3


def test_pools_within_pools_share_their_threads(monkeypatch):
    monkeypatch.setattr("jmer.data.parallel.cores", lambda: 2)
    shared_pool.cache_clear()
    names = set()

    def inner(i):
        names.add(threading.current_thread().name)
        return i

    outer = in_order(lambda i: sum(shared_pool().map(inner, range(i))), range(30), 8)
    assert list(outer) == [i * (i - 1) // 2 for i in range(30)]
    assert len(names) <= 2
    shared_pool().shutdown()
    shared_pool.cache_clear()
