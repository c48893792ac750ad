"""A data set outside the repository, in a package of its own."""

import json
import sys

import numpy as np
import pytest

import jmer
from jmer.cli import main
from jmer.data import check, load
from jmer.data.find import builder_class, config_at
from jmer.errors import JmerError
from jmer.runs.explain import data_of, set_of

CONFIG = '''
from dataclasses import dataclass
from typing import ClassVar

from jmer.data.config import DataConfig


@dataclass(frozen=True)
class Waves(DataConfig):
    """Waves of four people."""

    name: ClassVar[str] = "waves"
    size: int = 12
    """Side in pixels."""


@dataclass(frozen=True)
class Orphan(DataConfig):
    """Nobody builds it."""

    name: ClassVar[str] = "orphan"


@dataclass(frozen=True)
class Hollow(DataConfig):
    """Its module is empty."""

    name: ClassVar[str] = "hollow"


NOTHING = 1
'''
BUILDER = """
import numpy as np

from jmer.data.builder import ClipBuilder


class Builder(ClipBuilder):
    VERSION = "1.0.0"

    def class_names(self):
        return ("low", "high")

    def tensors(self):
        return {"apex_flow": ((self.data.size, self.data.size, 3), np.float16)}

    def summary(self):
        return "8 clips"

    def examples(self):
        for i in range(8):
            flow = np.full((self.data.size, self.data.size, 3), i, np.float16)
            yield {
                "apex_flow": flow,
                "label": i % 2,
                "subject": f"p{i // 2}",
                "dataset": "waves",
                "clip_id": f"c{i}",
                "onset": 0,
                "apex": 1,
                "offset": 2,
                "action_units": "",
            }
"""
EXPERIMENT = """
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import SgdConfig
from ours.waves import Waves

EXPERIMENT = Experiment(
    model=STSTNetConfig(size=12, filters=(2,)),
    data=Waves(),
    optim=SgdConfig(lr=0.03),
    epochs=2,
    batch_size=4,
)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """`ours.waves` in `tmp_path`, and beside it files of no use."""
    folder = tmp_path / "site" / "ours" / "waves"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "__init__.py").write_text(CONFIG)
    (folder / "waves_dataset_builder.py").write_text(BUILDER)
    (folder / "hollow_dataset_builder.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield "ours.waves"
    for name in [name for name in sys.modules if name.split(".")[0] == "ours"]:
        del sys.modules[name]


def test_it_is_checked_prepared_and_loaded(package, tmp_path, capsys):
    config = config_at(f"{package}:Waves")(data_dir=tmp_path / "tfds")
    assert check(config) == ([], "8 clips")
    clips = load(config)
    assert clips.classes == ("low", "high") and len(clips) == 8
    assert clips.inputs["apex_flow"].shape == (8, 12, 12, 3)
    np.testing.assert_array_equal(clips.inputs["apex_flow"][:, 0, 0, 0], np.arange(8))
    assert clips.subject.tolist() == [f"p{i // 2}" for i in range(8)]
    words = ["data", "prepare", f"{package}:Waves", "--data-dir", str(tmp_path / "b")]
    assert main([*words, "--size", "14"]) == 0
    assert "8 clips, 4 subjects (4 low, 4 high)" in capsys.readouterr().out


def test_a_run_of_it_is_trained_and_audited(package, tmp_path, capsys):
    (tmp_path / "waves.py").write_text(EXPERIMENT)
    run_dir, places = tmp_path / "run", ["--data.data-dir", str(tmp_path / "tfds")]
    words = ["run", str(tmp_path / "waves.py"), "--run-dir", str(run_dir), *places]
    assert main(words) == 0
    described = json.loads((run_dir / "experiment.json").read_text())
    assert described["data"]["kind"] == "ours.waves:Waves"
    run = jmer.load_run(run_dir)
    assert type(data_of(run)) is config_at("ours.waves:Waves")
    assert len(set_of(run)) == 8
    capsys.readouterr()
    assert main(["audit", str(run_dir)]) == 0
    assert "cannot be imported" not in capsys.readouterr().out
    # Elsewhere nobody has imported it: its code does not run because a file says so.
    for name in [name for name in sys.modules if name.split(".")[0] == "ours"]:
        del sys.modules[name]
    (tmp_path / "site/ours/waves/__init__.py").write_text("raise SystemExit(7)")
    assert main(["audit", str(run_dir)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "add --import ours.waves" in said and "ours" not in sys.modules
    assert main(["explain", str(run_dir)]) == 1
    assert "add --import ours.waves" in capsys.readouterr().err
    (tmp_path / "site/ours/waves/__init__.py").write_text(CONFIG)
    assert main(["audit", str(run_dir), "--import", "ours.waves"]) == 0
    assert "--import" not in capsys.readouterr().out
    assert main(["audit", str(run_dir), "--import", "ours.foam"]) == 2
    assert "--import ours.foam: it cannot be" in capsys.readouterr().err


def test_it_may_lie_beside_a_module_or_be_extended(package, tmp_path):
    site = tmp_path / "site"
    (site / "ours" / "config.py").write_text(CONFIG)
    (site / "ours" / "waves_dataset_builder.py").write_text(BUILDER)
    beside = config_at("ours.config:Waves")
    assert builder_class(beside).__module__ == "ours.waves_dataset_builder"
    assert len(load(beside(data_dir=tmp_path / "tfds"))) == 8
    extended = type("Own", (config_at("ours.waves:Waves"),), {"__module__": "script"})
    assert builder_class(extended).__module__ == "ours.waves.waves_dataset_builder"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "Orphan",
            r"data set orphan has no builder: there is no module "
            r"ours\.waves\.orphan_dataset_builder\. Put a file orphan_dataset_builder",
        ),
        ("Hollow", r"module ours\.waves\.hollow_dataset_builder has no class Builder"),
    ],
)
def test_a_set_without_a_builder(package, name, words):
    with pytest.raises(JmerError, match=words):
        load(config_at(f"{package}:{name}")())


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("nowhere.at_all:Waves", r"cannot be imported .* put its folder on PYTHONPATH"),
        ("ours.waves:Wave", "has no data set of that name"),
        ("ours.waves:NOTHING", "has no data set of that name"),
    ],
)
def test_a_set_that_is_not_there(package, place, words, capsys):
    with pytest.raises(JmerError, match=words):
        config_at(place)
    assert main(["data", "check", place]) == 1
    assert f"data set {place}" in capsys.readouterr().err


def test_it_is_found_in_its_file(tmp_path, monkeypatch, capsys):
    """Where no module leads to it: in a folder that is on no path."""
    lab = tmp_path / "my lab"
    (lab / "pack").mkdir(parents=True)
    (lab / "pack" / "__init__.py").touch()
    for folder in (lab, lab / "pack"):
        (folder / "waves_dataset_builder.py").write_text(BUILDER)
        (folder / "sets.py").write_text(CONFIG)
    inside = CONFIG + "\nfrom .other import SIZE\nfrom . import other\n"
    (lab / "pack" / "sets.py").write_text(inside)
    (lab / "pack" / "other.py").write_text("SIZE = 12\n")
    monkeypatch.chdir(tmp_path)
    for file in ("my lab/sets.py", str(lab / "pack" / "sets.py")):
        place = f"{file}:Waves"
        kind = config_at(place)
        assert kind.__module__.endswith("sets") and "sets" not in sys.modules
        # What it is called in a command leads to it again.
        assert config_at(kind().word) is kind
        assert kind().word == f"{tmp_path / file}:Waves"
        assert main(["data", "check", place]) == 0
        assert "8 clips" in capsys.readouterr().out
        noted = kind().origin
        assert noted["import"] == noted["file"] == str(tmp_path / file)
    for place, words in (
        ("my lab/none.py:Waves", "there is no file my lab/none.py"),
        ("my lab/sets.py:Wave", "no data set of that name"),
        ("my lab/bad.py:Waves", "ZeroDivisionError: division by zero"),
    ):
        (lab / "bad.py").write_text("1 / 0\n")
        assert main(["data", "check", place]) in (1, 2)
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1
    # As `--import` takes it.
    from jmer.commands.parsing import import_modules
    from jmer.errors import UsageError

    for text in ("1 / 0\n", "raise SystemExit(3)\n", "import none_such\n"):
        (lab / "worse.py").write_text(text)
        with pytest.raises(UsageError, match=r"--import my lab/worse\.py fails"):
            import_modules(["my lab/worse.py"])
    (lab / "worse.py").write_text("GOOD = 1\n")
    import_modules(["my lab/worse.py"])
