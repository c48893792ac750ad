"""What is said of a long run before it begins."""

import dataclasses

import pytest
from engine import NETWORK
from toy import make_clips

from jmer.data.random_clips import RandomClips
from jmer.data.splits import Loso, make_folds
from jmer.experiment import EngineConfig, Experiment
from jmer.optim import SgdConfig
from jmer.runner import forecast as forecasting
from jmer.runner.forecast import (
    FEW,
    Forecast,
    bytes_of,
    forecast,
    of_plan,
    of_work,
    side_by_side,
)
from jmer.runner.plan import Plan
from jmer.runner.session import Session
from jmer.train.probe import Layout


def session_of(epochs):
    clips = make_clips(subjects=4, per_subject=6)
    experiment = Experiment(
        model=NETWORK,
        data=RandomClips(),
        optim=SgdConfig(lr=0.1),
        epochs=epochs,
        batch_size=6,
    )
    return Session(experiment, clips, make_folds(Loso(), clips), clips.inputs)


def test_a_range_by_hand():
    # 3 x 1e9 x 1000 multiplications at 1e11 a second, of which a part is reached.
    found = of_work("products", 1e9, 1000, 1e11, 5e8, 1)
    assert found.seconds == pytest.approx((30 / 0.6, 30 / 0.1 + 1000 * 1e-2))
    assert found.long and not found.measured and found.bytes == 5e8
    text = str(found)
    assert text.startswith("before it begins: at least 0.5 GB of memory on a device")
    assert "the whole 52.0 s to" in text and "an estimate, not measured" in text
    # A step has a price, whatever is in it; devices share it.
    small = of_work("narrow", 1, 1000, 1e11, 0, 2)
    assert small.seconds == pytest.approx((0.1, 5.0)) and not small.long
    # So do tasks that take their steps together.
    together = of_work("narrow", 1, 1000, 1e11, 0, 2, 5)
    assert together.seconds == pytest.approx((0.02, 1.0), rel=1e-5)


@pytest.mark.parametrize(
    ("platform", "options", "many", "side"),
    [
        ("cpu", {}, 3e7, 1),
        ("gpu", {}, 3e7, 340),  # of 667 that would fill it
        ("gpu", {}, 1e9, 20),
        ("tpu", {}, 6e7, 25),
        ("gpu", {"chunk": 68}, 3e7, 68),
        ("cpu", {"chunk": 6}, 3e7, 6),
        ("gpu", {"chunk": 1000}, 3e7, 340),
        ("tpu", {"strategy": "map"}, 3e7, 1),
        ("tpu", {"strategy": "loop"}, 3e7, 1),
        ("gpu", {"strategy": "vmap"}, 1e12, 340),
        ("cpu", {"strategy": "vmap"}, 1e12, 340),
    ],
)
def test_tasks_that_take_their_steps_together(
    platform, options, many, side, monkeypatch
):
    monkeypatch.setattr(forecasting.jax, "default_backend", lambda: platform)
    assert side_by_side(EngineConfig(**options), "narrow", many, 340, 1) == side
    assert side_by_side(EngineConfig(**options), "narrow", many, 340, 340) == 1


def test_what_was_measured_is_believed():
    layout = Layout(2, 3, "patches")
    tried = [
        {"layout": dataclasses.asdict(Layout(1, 3, "patches")), "compile_seconds": 9.0},
        {"layout": dataclasses.asdict(layout), "compile_seconds": 12.0},
    ]
    plan = Plan(layout, 1, "remembered", 2.0, 3_000_000, tuple(tried))
    found = of_plan(plan, 100, 2)
    assert found.seconds == pytest.approx((160, 300))
    assert found.compiling == (12.0, 12.0)
    assert str(found) == (
        "before it begins: 3 MB of memory on a device, compiling about 12.0 s unless "
        "it is kept from before, the whole 2 min 52 s to 5 min 12 s (as measured "
        "before)"
    )


def test_short_runs_are_not_spoken_of():
    session = session_of(epochs=2)
    assert forecast(EngineConfig(), session.work(session.tasks), 4) is None


def test_the_set_and_the_states_are_counted():
    session = session_of(epochs=2)
    work = session.work(session.tasks)
    one, four = (bytes_of(work, tasks, 1) for tasks in (1, 4))
    assert one > 24 * 7 * 7 * 3 * 2 and 3 * (one - bytes_of(work, 0, 1)) == four - one
    assert bytes_of(work, 4, 2) == bytes_of(work, 2, 1)


def test_a_long_run_says_it_first(tmp_path, monkeypatch):
    monkeypatch.setattr(forecasting, "rate", lambda: 1e6)
    monkeypatch.setenv("JMER_CACHE", str(tmp_path))
    session = session_of(epochs=FEW)
    said = []
    session.plan(tmp_path / "checkpoints", said.append)
    assert said[0].startswith("before it begins: at least 1 MB of memory on a device")
    assert len([line for line in said if line.startswith("before it begins")]) == 1


def test_a_forecast_is_positive():
    found = Forecast((1, 2), (3, 4), 10, False)
    assert "at least 1 MB" in str(found) and "4.0 s to 6.0 s" in str(found)
