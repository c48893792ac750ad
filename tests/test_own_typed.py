"""Commands as somebody types them in an empty folder, whose network and data set lie in
files elsewhere, of which jmer knows nothing."""

import contextlib
import dataclasses
import os
import shlex
from importlib.util import find_spec
from typing import ClassVar

import pytest
from flax import nnx
from killing import Server

import jmer
from jmer.bench.timing import bench_clips
from jmer.data.config import DataConfig
from jmer.errors import UsageError
from jmer.experiment import Experiment
from jmer.models.base import NetworkConfig, describe
from jmer.optim import SgdConfig
from jmer.sweep.cells import load_sweep

MODULES = tuple(
    f"jmer.commands.{name}"
    for name in ("run", "data", "spot", "report", "bench", "export", "audit", "explain")
)
LAB = {
    "films.py": """
from dataclasses import dataclass
from typing import ClassVar

from jmer.data.config import DataConfig


@dataclass(frozen=True)
class Films(DataConfig):
    name: ClassVar[str] = "films"
    frames: int = 9
""",
    "films_dataset_builder.py": """
import numpy as np

from jmer.data.builder import ClipBuilder


class Builder(ClipBuilder):
    VERSION = "1.0.0"

    def class_names(self):
        return ("calm", "glad")

    def tensors(self):
        n = self.data.frames
        return {"clip": ((n, 8, 8, 3), np.uint8), "intensity": ((n,), np.float32)}

    def summary(self):
        return "12 clips"

    def examples(self):
        rng = np.random.default_rng(0)
        for i in range(12):
            level = np.zeros(self.data.frames, np.float32)
            level[3:6] = 0.5, 1, 0.5
            clip = rng.integers(0, 60, (self.data.frames, 8, 8, 3))
            clip = clip + 150 * level[:, None, None, None]
            yield {
                "clip": clip.astype(np.uint8), "intensity": level, "label": i % 2,
                "subject": f"p{i // 4}", "dataset": "films", "clip_id": f"c{i}",
                "onset": 2, "apex": 4, "offset": 6, "action_units": "",
            }
""",
    "bright.py": """
import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from films import Films
from jmer import nn
from jmer.experiment import EngineConfig, Experiment
from jmer.models.base import NetworkConfig
from jmer.optim import AdamConfig


@dataclasses.dataclass(frozen=True)
class BrightConfig(NetworkConfig):
    name: ClassVar[str] = "bright"
    inputs: ClassVar[tuple[str, ...]] = ("clip",)
    frames: int = 9

    @property
    def input_shapes(self):
        return ((self.frames, 8, 8, 3),)

    def build(self, classes, *, dtype, rngs):
        return Bright(classes, dtype=dtype, rngs=rngs)

    def explain(self, model, inputs):
        light = model.light(inputs["clip"])
        shown = {"intensity": jax.nn.sigmoid(20 * (light.mean(-1) - 0.3))}
        logits, others = super().explain(model, inputs)
        return logits, {**others, **shown}


class Bright(nnx.Module):
    def __init__(self, classes, *, dtype, rngs):
        self.head = nn.Linear(3, classes, dtype=dtype, rngs=rngs)

    def light(self, clip):
        return clip.astype(jnp.float32).mean((2, 3)) / 255

    def __call__(self, clip, *, train=False, key=None, weight=None):
        return self.head(self.light(clip).mean(1)).astype(jnp.float32)


EXPERIMENT = Experiment(
    model=BrightConfig(), data=Films(), optim=AdamConfig(lr=1e-2), epochs=2,
    engine=EngineConfig(plan_seconds=0, lowering="patches", devices=1),
)
""",
    "rates.py": """
from bright import EXPERIMENT as BASE

from jmer.sweep import Sweep

SWEEP = Sweep(BASE, values={"optim.lr": (1e-2, 2e-2)})
""",
}


@pytest.mark.slow
def test_all_commands_take(tmp_path, monkeypatch):
    """Each does, from a folder that is empty at first; remedies work as printed."""
    (tmp_path / "lab").mkdir()
    for name, text in LAB.items():
        (tmp_path / "lab" / name).write_text(text)
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "sets"))
    with contextlib.closing(Server(tmp_path / "server", MODULES)) as server:
        take_all_commands(server, tmp_path)


def take_all_commands(server, tmp_path):
    own = {name: os.environ[name] for name in ("JMER_CACHE", "XLA_FLAGS")}

    def typed(words, code=0):
        """By a process that knows nothing of those before it."""
        made = server.start(tmp_path / "work", shlex.split(words), own)
        said, error = made.communicate(timeout=300)
        assert made.returncode == code, error
        assert "Traceback" not in error
        return said + error

    typed("data check ../lab/films.py:Films")
    typed("run ../lab/bright.py")
    said = typed("spot runs/bright", code=1)
    more = said.partition("add ")[2].partition(" (in Python")[0]
    assert more.startswith("--import ")
    assert "F1 1.0000" in typed(f"spot runs/bright {more}")
    assert "STRS" in typed("report runs/bright")
    assert "bright: cpu" in typed("bench ../lab/bright.py --packs 2 --rounds 1")
    # Both want a twin in PyTorch, and before that PyTorch.
    lacking = None if find_spec("torch") else "pip install 'jmer[torch]'"
    assert (lacking or "leave --peer out") in typed(
        "bench ../lab/bright.py --packs 2 --rounds 1 --peer torch", code=1
    )
    assert "optim.lr=0.02" in typed("run ../lab/rates.py")
    said = typed(f"weights export runs/bright --fold p0 --out w.pth {more}", code=1)
    assert (lacking or "`jmer export RUN --out DIR`") in said
    typed(f"export runs/bright --out bundle {more}")
    assert (tmp_path / "work/bundle").is_dir()
    assert "films" in typed(f"audit runs/bright {more}")
    typed(f"explain runs/bright {more}", code=0)


@dataclasses.dataclass(frozen=True)
class PlainConfig(NetworkConfig):
    """All that a network must have, and no paper."""

    name: ClassVar[str] = "plain"
    inputs: ClassVar[tuple[str, ...]] = ("apex_flow",)

    @property
    def input_shapes(self):
        return ((4, 4, 3),)

    def build(self, classes, *, dtype, rngs):
        return nnx.Linear(48, classes, rngs=rngs)


@dataclasses.dataclass(frozen=True)
class NowhereConfig(DataConfig):
    name: ClassVar[str] = "nowhere"


def test_a_network_without_a_paper_is_listed_and_timed():
    assert describe(PlainConfig()) == {
        "name": "plain", "paper": "", "parameters": 147, "trained": 147,
        "input": "apex_flow 4x4x3",
    }  # fmt: skip
    one = Experiment(model=PlainConfig(), data=NowhereConfig(), optim=SgdConfig(lr=0.1))
    clips = bench_clips(one)
    assert clips.shapes == (("apex_flow", (4, 4, 3)),) and len(clips.classes) == 3
    with pytest.raises(jmer.errors.JmerError, match="leave --peer out"):
        PlainConfig().peer(3)


def test_a_sweep_that_has_an_experiment_too_says_how_to_call_it(tmp_path):
    base = (
        "from jmer.experiment import load_experiment\nB = load_experiment('quickstart')"
    )
    (tmp_path / "base_of_rates.py").write_text(f"{base}\nEXPERIMENT = B\n")
    file = tmp_path / "rates.py"
    sweep = (
        "from base_of_rates import EXPERIMENT{}\nfrom jmer.sweep import Sweep\n"
        "SWEEP = Sweep({}, values={{'optim.lr': (0.1, 0.2)}})\n"
    )
    file.write_text(sweep.format("", "EXPERIMENT"))
    with pytest.raises(UsageError, match="import EXPERIMENT as BASE"):
        load_sweep(file)
    file.write_text(sweep.format(" as BASE", "BASE"))
    assert list(load_sweep(file).values) == ["optim.lr"]
