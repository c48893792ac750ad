"""One owner at a time: several processes, dead ones, other machines."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from holding import ROOT, held, holder_of, release, said

from jmer.errors import JmerError
from jmer.files.lock import InUse, Owner, _me, holder, owned

NOBODY = 2**22 + 1  # beyond the largest number of a process
TURNS = """
import sys
from pathlib import Path
from jmer.files.lock import owned

lock, log, name = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
for turn in range(20):
    with owned(lock, "the place", wait=True, say=lambda text: None):
        with log.open("a") as file:
            print("begin", name, turn, file=file, flush=True)
            print("end", name, turn, file=file, flush=True)
"""


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "run" / ".lock"


@pytest.fixture
def no_locks(monkeypatch):
    def refuse(*args):
        raise OSError(errno.ENOTSUP, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)


def sign(lock, **fields):
    lock.parent.mkdir(exist_ok=True)
    lock.write_text(json.dumps({**_me()._asdict(), **fields}))


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_second_and_a_third_process_are_told_who_has_it(lock):
    with held(lock) as first:
        others = [holder_of(lock), holder_of(lock)]
        for other in others:
            text = said(other)
            assert f"in use by process {first.pid} on {socket.gethostname()}" in text
            release(other)
        refused = pytest.raises(
            InUse, match=f"the run is in use by process {first.pid}"
        )
        with refused, owned(lock, "the run"):
            raise AssertionError
    with owned(lock, "the run"):
        assert lock.is_file()
    assert not lock.exists()


def test_within_a_process_there_is_one_owner_too(lock):
    with owned(lock, "the run"), pytest.raises(InUse), owned(lock, "the run"):
        raise AssertionError
    with pytest.raises(ZeroDivisionError), owned(lock, "the run"):
        raise ZeroDivisionError
    with owned(lock, "the run"):  # given back although the block failed
        pass


@pytest.mark.parametrize("count", [2, 3])
def test_processes_that_wait_take_turns(lock, tmp_path, count):
    log = tmp_path / "log"
    command = [sys.executable, "-c", TURNS, str(lock), str(log)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen([*command, str(i)], env=environment) for i in range(count)
    ]
    assert [process.wait(timeout=900) for process in running] == [0] * count
    lines = log.read_text().splitlines()
    assert len(lines) == 2 * 20 * count
    for begin, end in zip(lines[::2], lines[1::2], strict=True):
        assert begin.replace("begin", "end") == end
    assert not lock.exists()


def test_a_killed_owner_is_taken_over(lock):
    process = holder_of(lock)
    assert said(process) == "has it"
    kill(process)
    assert json.loads(lock.read_text())["process"] == process.pid
    told = []
    with owned(lock, "the run", say=told.append):
        assert json.loads(lock.read_text())["process"] == os.getpid()
    (text,) = told
    assert f"left by process {process.pid}" in text and "taking it over" in text


def test_whoever_waits_goes_on_when_the_owner_is_killed(lock):
    first = holder_of(lock)
    assert said(first) == "has it"
    second = holder_of(lock, "wait")
    assert second.stderr.readline().startswith(
        f"the place is in use by process {first.pid}"
    )
    kill(first)
    assert said(second) == "has it"
    release(second)


def test_waiting_can_be_interrupted(lock):
    told = []
    with (
        held(lock),
        pytest.raises(KeyboardInterrupt),
        owned(lock, "the run", wait=True, say=told.append, stopping=lambda: bool(told)),
    ):
        raise AssertionError
    assert len(told) == 1 and "waiting for it to end" in told[0]


def test_the_system_gave_back_what_another_machine_had(lock):
    """Its signature stays when it is switched off; its lock does not."""
    sign(lock, host="elsewhere", process=12)
    assert holder(lock) is None
    told = []
    with owned(lock, "the run", say=told.append):
        assert json.loads(lock.read_text())["host"] == socket.gethostname()
    assert "left by process 12 on elsewhere" in told[0]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff",
        b"[1, 2]",
        b"3",
        b"{}",
        b'{"host": 1, "process": "x"}',
        b'{"host": "a\\u001b[2J", "process": 3, "since": "", "born": 1}',
        b'{"host": "a", "process": -1, "since": "", "born": 1}',
        b"[" * 100_000,
    ],
)
def test_a_file_that_nobody_signed_is_taken(lock, content):
    lock.parent.mkdir()
    lock.write_bytes(content)
    assert holder(lock) is None
    with owned(lock, "the run"):
        assert json.loads(lock.read_text())["process"] == os.getpid()


def test_without_locks_a_living_owner_counts(lock, no_locks):
    living = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        sign(lock, process=living.pid, born=None)
        with pytest.raises(InUse, match=f"process {living.pid}"), owned(lock, "it"):
            raise AssertionError
    finally:
        living.communicate(b"\n")
    with owned(lock, "it", say=lambda text: None):  # it has ended
        pass


@pytest.mark.parametrize(
    "fields", [{"process": NOBODY}, {"born": 0}, {"process": 2**70}]
)
def test_without_locks_a_dead_owner_does_not(lock, no_locks, fields):
    sign(lock, **fields)
    with owned(lock, "the run", say=lambda text: None):
        assert json.loads(lock.read_text())["process"] == os.getpid()


def test_without_locks_another_machine_has_it_until_somebody_says_otherwise(
    lock, no_locks
):
    sign(lock, host="elsewhere", process=12)
    refused = pytest.raises(InUse, match="process 12 on elsewhere")
    with refused as caught, owned(lock, "the run"):
        raise AssertionError
    assert str(caught.value).endswith(f"remove {lock}.")
    lock.unlink()  # as it says
    with owned(lock, "the run"):
        pass


def test_who_reads_is_told_of_a_living_owner_only(lock):
    assert holder(lock) is None
    with held(lock) as process:
        assert holder(lock).process == process.pid
        before = lock.read_bytes()
        assert holder(lock) and lock.read_bytes() == before
    assert holder(lock) is None
    with owned(lock, "the run"):
        assert holder(lock) is None  # its own
    sign(lock, process=NOBODY)
    assert holder(lock) is None


def test_a_lock_that_leads_elsewhere_is_not_followed(lock, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    lock.parent.mkdir()
    lock.symlink_to(victim)
    assert holder(lock) is None
    with pytest.raises(JmerError, match="cannot write"), owned(lock, "the run"):
        raise AssertionError
    assert victim.read_text() == "precious"


def test_a_pipe_is_not_waited_for(lock):
    lock.parent.mkdir()
    os.mkfifo(lock)
    assert holder(lock) is None


def test_a_folder_that_was_made_for_it_goes_with_it(tmp_path):
    with owned(tmp_path / "a/b/.lock", "the run"):
        assert (tmp_path / "a/b").is_dir()
    assert not (tmp_path / "a").exists() and tmp_path.exists()


def test_what_was_put_beside_it_stays(lock):
    with owned(lock, "the run"):
        (lock.parent / "result").write_text("1")
    assert [path.name for path in lock.parent.iterdir()] == ["result"]


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / ".lock"
    with pytest.raises(JmerError, match="cannot write"), owned(place, "the run"):
        raise AssertionError


def test_numbers_of_processes_are_used_again():
    me = _me()
    assert me.alive and me.me
    if me.born is not None:
        assert not me._replace(born=me.born + 1).alive
    assert not me._replace(process=NOBODY).alive
    assert Owner("elsewhere", NOBODY, "").alive  # nobody here knows
