"""Rates and time left, from what was trained since compiling."""

import io
import math
import time

import pytest
from rich.console import Console

from jmer.runner import progress
from jmer.runner.progress import LiveView, Meter, PlainView, counting


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_rates_leave_out_compiling(clock):
    meter = Meter(tasks=10, done=0, epochs=20, clips=30)
    meter.evaluated(10, 1, 1, 0.5)
    assert "folds/s" not in meter.line()
    clock[0] += 4
    meter.evaluated(10, 5, 4, 0.25)
    # 40 task epochs in 4 s: half a fold and 300 clips a second, 150 epochs left.
    line = meter.line()
    assert "epoch 5/20" in line and "loss 0.2500" in line
    assert "0.5 folds/s" in line and "300 clips/s" in line and "15" in line
    assert meter.share == pytest.approx(50 / 200)


def test_a_resumed_pack_counts_what_it_had(clock):
    meter = Meter(tasks=4, done=0, epochs=10, clips=1)
    meter.evaluated(4, 6, 1, 0.1)
    assert meter.share == pytest.approx(0.6)


def test_plain_lines_come_now_and_then(clock, monkeypatch):
    monkeypatch.setattr(progress, "PAUSE", 10)
    out = io.StringIO()
    view = PlainView(Console(file=out))
    view.begin(2, 0, 100, 5)
    for epoch in range(1, 26):
        clock[0] += 1
        view.evaluated(2, epoch, 1, 1.0)
    view.finished(2)
    view.close()
    lines = out.getvalue().splitlines()
    assert len(lines) == 3 and lines[-1].startswith("2/2 tasks  epoch 25/100")
    assert "\x1b" not in out.getvalue()


def test_what_is_counted_is_said_now_and_then(clock, monkeypatch, capsys):
    monkeypatch.setattr(progress, "PAUSE", 10)
    with counting("preparing faces") as watch:
        for done in range(1, 26):
            clock[0] += 1
            watch(done, 30, f"clip {done}")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "preparing faces: 11/30  clip 11",
        "preparing faces: 22/30  clip 22",
    ]


def test_a_slow_machine_adds_no_line_to_what_tests_see(clock, capsys):
    assert math.isinf(progress.PAUSE)
    with counting("training magnet") as watch:
        clock[0] += 1e6
        watch(1, 3)
    view = PlainView(Console())
    view.begin(1, 0, 9, 5)
    clock[0] += 1e6
    view.evaluated(1, 1, 1, 1.0)
    assert capsys.readouterr() == ("", "")


def test_the_live_view_draws_and_ends():
    out = io.StringIO()
    view = LiveView(Console(file=out, force_terminal=True, width=100))
    view.begin(2, 0, 4, 5)
    view.evaluated(2, 1, 1, 0.75)
    view.say("a message [of 3]")
    view.finished(2)
    view.close()
    assert "a message [of 3]" in out.getvalue()
