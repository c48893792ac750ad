"""A user at work, in a folder with an experiment and a sweep."""

from pathlib import Path

import pytest
from remedies import works

EXPERIMENT = """
from jmer.data.random_clips import RandomClips
from jmer.experiment import EngineConfig, Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import SgdConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(size=7, filters=(2,)),
    data=RandomClips(shapes=(("apex_flow", (7, 7, 3)),), subjects=3, per_subject=4),
    optim=SgdConfig(lr=0.01),
    epochs=1,
    batch_size=4,
    engine=EngineConfig(plan_seconds=0, devices=1),
)
"""
SWEEP = """
from jmer.sweep.cells import Sweep
SWEEP = Sweep(EXPERIMENT, rows={"first": {}, "the second": {"epochs": 2}})
del EXPERIMENT
"""
RUN = ["run", "mein 'e'.py", "--run-dir", "r ü n"]


def working_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder from now on, with the files that `RUN` and sweeps need."""
    place = tmp_path / "ä b's"
    place.mkdir()
    (place / RUN[1]).write_text(EXPERIMENT, encoding="utf-8")
    (place / "viele.py").write_text(EXPERIMENT + SWEEP, encoding="utf-8")
    monkeypatch.chdir(place)
    return place


def with_file(command: list[str]) -> list[str]:
    """A command with the file that jmer cannot know."""
    return [RUN[1] if word == "FILE" else word for word in command]


def works_for_help(command: list[str]) -> bool:
    return "--epochs" in works([*command, "--help"])
