"""A wish to stop is heard wherever a process is, and nothing is left behind."""

import signal
import subprocess
import sys
import textwrap

import pytest

from jmer.cli import main
from jmer.runner import stages
from jmer.runner.interrupt import Interruption
from jmer.runner.stages import SAVES, current, stage

# What a program that compiles is to Python: busy in C, where no handler runs.
BUSY = """
mutex = ctypes.create_string_buffer(64)
lock = ctypes.CDLL(None).pthread_mutex_lock
lock(mutex)
threading.Timer(0.3, print, ["ready"], {"flush": True}).start()
lock(mutex)
"""
HEAD = """
import ctypes, gc, os, signal, sys, threading, time, warnings
from pathlib import Path
from jmer.files import replacing
from jmer.files.lock import owned
from jmer.runner.interrupt import Interruption
from jmer.runner.stages import COMPILES, SAVES, stage
here = Path(sys.argv[1])
signal.alarm(60)  # none hangs
"""


def program(folder, code):
    text = HEAD + textwrap.dedent(code)
    started = subprocess.Popen(
        [sys.executable, "-c", text, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout.readline() == "ready\n"
    return started


def ended(running):
    # `communicate` would leave out what was read ahead.
    with running.stdout, running.stderr:
        out, error = running.stdout.read(), running.stderr.read()
    return running.wait(), out, error


INDENTED = textwrap.indent(BUSY, "    ")
COMPILING = f"""
with (
    Interruption(),
    stage("compiling", COMPILES),
    owned(here / ".lock", "the run"),
    replacing(here / "file"),
):
{INDENTED}
"""


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_is_busy_elsewhere_answers_and_ends(tmp_path, first, second):
    running = program(tmp_path, COMPILING)
    assert (tmp_path / ".lock").exists()
    running.send_signal(first)
    said = running.stderr.readline()
    assert said == (
        "stopping: ends once the program is compiled; once more to stop at once\n"
    )
    assert running.poll() is None
    running.send_signal(second)
    code, _, error = ended(running)
    assert (code, error) == (130, "interrupted; the same command goes on\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_hasty_stage_ends_although_it_is_busy_elsewhere(tmp_path, number):
    code = COMPILING.replace("COMPILES)", "hasty=True)")
    running = program(tmp_path, code)
    running.send_signal(number)
    code, _, error = ended(running)
    assert (code, error) == (130, "interrupted; the same command goes on\n")
    assert list(tmp_path.iterdir()) == []


def test_a_patient_stage_ends_as_it_likes(tmp_path):
    code = """
    with Interruption() as wish, stage("training", SAVES, patient=True):
        print("ready", flush=True)
        while not wish.asked():
            time.sleep(0.01)
        time.sleep(0.1)
        print("saved")
    """
    running = program(tmp_path, code)
    running.send_signal(signal.SIGTERM)
    code, out, error = ended(running)
    assert (code, out) == (0, "saved\n")
    assert error == f"stopping: {SAVES}; once more to stop at once\n"


def test_twice_ends_a_patient_stage_too(tmp_path):
    code = """
    with Interruption(), stage("training", SAVES, patient=True):
        with owned(here / ".lock", "the run"):
            print("ready", flush=True)
            time.sleep(60)
    """
    running = program(tmp_path, code)
    running.send_signal(signal.SIGINT)
    assert running.stderr.readline().startswith("stopping: ")
    running.send_signal(signal.SIGINT)
    code, _, error = ended(running)
    assert code != 0 and "KeyboardInterrupt" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "swallows",
    [
        "gc.callbacks.append(lambda phase, info: once())\n        gc.collect()",
        "class Bin:\n            __del__ = lambda self: once()\n        Bin()",
        "a = set()\n        b = weakref.ref(a, lambda _: once())\n        del a",
    ],
)
def test_what_was_swallowed_is_raised_again(tmp_path, swallows):
    code = f"""
    import weakref
    def once():
        if not sent:
            sent.append(True)
            print("ready", flush=True)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
    sent = []
    try:
        with Interruption():
            {swallows.replace("        ", "            ")}
            time.sleep(60)
    except KeyboardInterrupt:
        print("heard")
    """
    code, out, error = ended(program(tmp_path, code))
    assert (code, out, error) == (0, "heard\n", "")


def test_who_makes_another_error_of_it_is_not_believed(tmp_path):
    code = """
    try:
        with Interruption():
            try:
                print("ready", flush=True)
                time.sleep(60)
            except KeyboardInterrupt:
                raise ValueError("cancelled")
    except KeyboardInterrupt as error:
        print(error.__cause__)
    """
    running = program(tmp_path, code)
    running.send_signal(signal.SIGINT)
    assert ended(running) == (0, "cancelled\n", "")


def test_signals_of_a_child_are_its_own(tmp_path):
    code = """
    with Interruption() as wish, stage("training", SAVES, patient=True):
        with warnings.catch_warnings():  # of forks beside threads, Python 3.12 on
            warnings.simplefilter("ignore")
            child = os.fork()
        if not child:
            signal.raise_signal(signal.SIGINT)
            os._exit(7)
        os.waitpid(child, 0)
        print("ready", flush=True)
        print(wish.asked())
    """
    code, out, error = ended(program(tmp_path, code))
    assert (code, out, error) == (0, "False\n", "")


def test_all_is_as_before(monkeypatch):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    hook = sys.unraisablehook
    with Interruption():
        assert signal.getsignal(signal.SIGINT) not in before
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
    assert sys.unraisablehook == hook
    assert main(["--version"]) == 0
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_the_innermost_stage_counts():
    assert current() is None
    with stage("a") as outer:
        with stage("b", patient=True):
            assert current().what == "b" and current().patient
        assert current() is outer
        outer.count(3, 4)
        assert (outer.share, outer.counts) == (0.75, "3/4")
    assert current() is None and outer.then == stages.SOONEST
