"""A place with all that jmer writes and reads again, and how it is damaged."""

import contextlib
import dataclasses
import io
import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from toy import make_clips

import jmer
from jmer.cli import main
from jmer.data.clips import ClipSet
from jmer.errors import JmerError
from jmer.files import VERSION, write_json
from jmer.models.base import Inputs
from jmer.models.ststnet import STSTNetConfig
from jmer.runner.features import seen_by_tasks
from jmer.runner.interrupt import Interruption
from jmer.runner.plan import Plan, remembered
from jmer.train.probe import Layout
from jmer.weights.archive import write_weights

TINY = """
from pathlib import Path

from data_builders.synthetic import Synthetic
from jmer.experiment import EngineConfig, Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import SgdConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(size=8, filters=(2,)),
    data=Synthetic(
        subjects=3, clips=12, length=5, size=32, flow_size=8, data_dir=Path("prepared")
    ),
    optim=SgdConfig(lr=0.03),
    epochs=3,
    batch_size=4,
    seeds=(0, 1),
    engine=EngineConfig(devices=1, pack=3, checkpoint_seconds=0),
)
"""
RUN = ("run", "tiny.py", "--run-dir")
SHORT = ("--seeds", "0", "--epochs", "1")
SWEEP = ("--sweep", "batches=own,shared")
OTHER = ("--optim.lr", "0.3")
PREPARE: tuple[str, ...] = (
    "data",
    "prepare",
    "synthetic",
    "--data-dir",
    "prepared",
    "--subjects",
    "3",
)
PREPARE += ("--clips", "12", "--length", "5", "--size", "32", "--flow-size", "8")


ABOUT = {"jmer": VERSION, "step": 3, "identity": {"network": "motion", "seed": 0}}
PLAN = Plan(Layout(1, 2, "patches"), 3, "measured", 1.5, 1000, ({"seconds": 1.5},))


@dataclasses.dataclass(frozen=True)
class Frozen(STSTNetConfig):
    """A network with a part that training does not change."""

    name = "frozen"

    def prefix(self, inputs: Inputs) -> Inputs:
        return {"apex_flow": 2 * inputs["apex_flow"]}


FROZEN = Frozen(size=7, filters=(2,))


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a reader made of a place."""

    result: Any
    """What must be the same; None after an error."""
    output: str
    """All that was printed, or the error."""
    failed: bool


Reader = Callable[[], Any]


def typed(*words: str) -> None:
    """`jmer words`. Raises: JmerError with what was printed, if it failed."""
    if code := main([*words]):
        raise JmerError(f"exit code {code}")


def outcome(reader: Reader) -> Outcome:
    """In the current folder. Raises: AssertionError for a traceback, or an error that
    is not one line."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        try:
            result, failed = reader(), False
        except JmerError as error:
            print(f"error: {error}")
            result, failed = None, True
        except Exception:
            raise AssertionError(traceback.format_exc()) from None
    text = shown.getvalue()
    assert "Traceback" not in text, text
    return Outcome(result, text, failed)


def stopped(name: str, *options: str) -> None:
    """A run that is interrupted when its second pack has a checkpoint."""

    def ask(self: Interruption) -> bool:
        return any(Path(name).glob("checkpoints/pack-0001/*/[0-9]"))

    real, Interruption.asked = Interruption.asked, ask  # type: ignore[method-assign]
    try:
        assert main([*RUN, name, *options]) == 130
    finally:
        Interruption.asked = real  # type: ignore[method-assign]


def make_place(folder: Path) -> Path:
    """Runs that are finished and unfinished, a sweep, a prepared set, features, plans
    and weights; and of each another one, whose files may be taken for its own."""
    folder.mkdir()
    (folder / "tiny.py").write_text(TINY)
    with contextlib.chdir(folder):
        typed(*RUN, "done")
        typed(*RUN, "other", *OTHER)
        stopped("stopped")
        stopped("other-stopped", *OTHER)
        for name, more in (("sweep", ()), ("other-sweep", ("--optim.lr", "0.3"))):
            typed(*RUN, name, *SHORT, *SWEEP, *more)
        typed(*PREPARE, "--data-dir", "other-prepared", "--seed", "1")
        _named_alike("prepared", "other-prepared", "recipe-*")
        for prefix, scale in (("", 1), ("other-", 2)):
            run = jmer.load_run(f"{prefix or 'done'}".strip("-"))
            weights = dataclasses.replace(run.weights, sources=("made up",))
            weights.save(Path(f"{prefix}weights"))
            arrays = {
                "params.a": scale * np.arange(6.0).reshape(2, 3),
                "step": np.array(3),
            }
            write_weights(Path(f"{prefix}pretrained/part.npz"), arrays, ABOUT)
            plan = dataclasses.replace(PLAN, layout=Layout(scale, 2, "patches"))
            kept = remembered(plan, Path(f"{prefix}plan"))
            write_json(Path(f"{prefix}plans/plan.json"), kept)
            with cache(Path(f"{prefix}features").absolute()):
                seen_by_tasks(FROZEN, frozen_clips(scale), "backend", print)
        _named_alike("features", "other-features", "features/*.npz")
    return folder


def _named_alike(mine: str, other: str, pattern: str) -> None:
    (own,), (its,) = (list(Path(f).rglob(pattern)) for f in (mine, other))
    its.rename(its.with_name(own.name))


@contextlib.contextmanager
def cache(folder: Path) -> Iterator[None]:
    """While the block runs, jmer's cache folder is another one."""
    before = os.environ["JMER_CACHE"]
    os.environ["JMER_CACHE"] = str(folder)
    try:
        yield
    finally:
        os.environ["JMER_CACHE"] = before


def frozen_clips(scale: float = 1) -> ClipSet:
    clips = make_clips(size=7)
    return dataclasses.replace(
        clips, inputs={name: scale * x for name, x in clips.inputs.items()}
    )
