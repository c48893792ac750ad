"""Rates and time left, from what was trained since compiling."""

import io
import math
import time

import pytest
from rich.console import Console

from jmer.runner import progress
from jmer.runner.progress import LiveView, Meter, PlainView, counting, line_of
from jmer.runner.stages import current, stage


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


def drawn(table, width):
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("tasks", [8, 1020])
def test_the_line_is_whole_at_every_width(clock, width, tasks):
    meter = Meter(tasks=tasks, done=3, epochs=1000, clips=427)
    meter.evaluated(tasks, 1, 1, 0.5)
    clock[0] += 3600
    meter.evaluated(tasks, 350, 349, 0.123456)
    lines = drawn(line_of(meter.share, meter.parts(), width), width)
    assert len(lines) == 1
    assert len(lines[0].rstrip()) <= width - 3  # room for the ^C of a terminal
    # Each part is there as it is, or not at all.
    shown = lines[0].replace("━", "").replace("╸", "").replace("╺", "").split("  ")
    known = {text for _, text in meter.parts()} | {f"{100 * meter.share:3.0f} %"}
    assert {text.strip() for text in shown if text.strip()} <= {
        text.strip() for text in known
    }
    if width >= 40:
        assert lines[0].rstrip().endswith(" left")
    if width >= 80:
        assert "epoch 350/1000" in lines[0] and f"3/{tasks} tasks" in lines[0]


def test_a_name_of_a_stage_that_is_too_long_is_one_line_too():
    parts = [(1, "x" * 300), (2, "3 s"), (3, "1/2")]
    assert drawn(line_of(0.5, parts, 60), 60)[0].count("x") >= 40
    assert len(drawn(line_of(None, parts, 60), 60)) == 1


def test_a_stage_shows_for_how_long_it_lasts(clock):
    out = io.StringIO()
    view = LiveView(Console(file=out, force_terminal=True, width=80))
    view.begin(2, 0, 4, 5)
    with stage("compiling"):
        clock[0] += 83
        assert drawn(view._line(), 80)[0].rstrip().endswith("compiling  83 s")
        clock[0] += 100
        assert drawn(view._line(), 80)[0].rstrip().endswith("compiling  3 min 03 s")
    with stage("features") as now:
        clock[0] += 10
        now.count(20, 80)
        assert "25 %  features  20/80  30 s left" in drawn(view._line(), 80)[0]
    view.close()


def test_what_is_counted_is_shown_by_the_view_that_is_there(capsys, monkeypatch):
    with progress.views() as make_view:
        view = make_view()
        assert isinstance(view, PlainView)
        with counting("features") as watch:
            watch(2, 8)
            assert (current().what, current().counts) == ("features", "2/8")
        progress.announce("stopping")
    progress.announce("ended")
    assert capsys.readouterr() == ("stopping\nended\n", "")


def test_colour_that_is_forced_makes_no_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress.views() as make_view:
        assert isinstance(make_view(), PlainView)


def test_the_live_view_draws_and_ends():
    out = io.StringIO()
    view = LiveView(Console(file=out, force_terminal=True, width=100))
    view.begin(2, 0, 4, 5)
    view.evaluated(2, 1, 1, 0.75)
    view.say("a message [of 3]")
    view.finished(2)
    view.close()
    assert "a message [of 3]" in out.getvalue()
