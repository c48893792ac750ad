"""What errors of runs and sweeps tell a user to type is typed, and works."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from at_work import EXPERIMENT, RUN, SWEEP, with_file, working_in
from remedies import commands, error, option, said, works

from jmer.runs.folder import METRICS


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where a user is at work."""
    return working_in(tmp_path, monkeypatch)


@pytest.mark.slow
def test_a_folder_of_something_else(folder):
    Path("r ü n").write_text("a letter", encoding="utf-8")
    assert "choose another with --run-dir" in error(RUN)
    works([*RUN, "--run-dir", "other"])
    Path("r ü n").unlink()
    Path("r ü n").mkdir()
    Path("r ü n/letter").touch()
    assert "empty or new folder with --run-dir" in error(RUN)
    works([*RUN, "--run-dir", "new one"])


@pytest.mark.slow
def test_another_experiment_in_a_folder(folder):
    works(RUN)
    longer = [*RUN, "--epochs", "2"]
    text = error(longer)
    assert "another --run-dir, or replace the run with --overwrite" in text
    works([*longer, "--run-dir", "elsewhere"])
    works([*longer, "--overwrite"])


def test_a_run_that_is_not_finished_or_none(folder):
    text = error(["audit", "r ü n"])
    assert "does not exist" in text
    (run,) = commands(text)
    works(with_file(run))
    works(["audit", "r ü n", "--out", "au dit"])
    assert "did you mean 'r ü n'" in error(["audit", "r ün"])
    Path("r ü n", METRICS).unlink()
    for command in (["report", "r ü n"], ["audit", "r ü n"], ["explain", "r ü n"]):
        text = error(command)
    (run,) = commands(text)
    works(with_file(run))
    works(["report", "r ü n"])
    Path("empty").mkdir()
    assert "Give the folder that `jmer run` wrote" in error(["report", "empty"])
    text = error(["report", "."])
    assert "but holds some. Give one: 'r ü n'" in text
    works(["report", *option(text.replace("Give one:", "--x"), "--x")[1:]])
    assert "keeps its own report" in error(
        ["report", "r ü n", "r ü n", "--out", "r ü n"]
    )


def test_a_folder_is_no_experiment(folder):
    text = error(["run", "."])
    assert "is a folder" in text
    given = option(text.replace("in it,", "--x"), "--x")[1:]
    assert given == ["mein 'e'.py"]
    works(["run", *given, "--run-dir", "r ü n"])
    text = error(["run", "r ü n"])
    works(["run", RUN[1], *option(text, "--run-dir")])
    for words in (["run", "nix"], ["bench", "nix.py"], ["run", "/"]):
        (listed,) = commands(error(words))
        assert "quickstart" in works(listed)


def test_a_network_without_what_every_network_has(folder):
    whole = EXPERIMENT.replace("STSTNetConfig(size=7, filters=(2,))", "Mine()")
    for body, lacking in (
        ("pass", "no name, no inputs, no input_shapes, no build"),
        (
            "name = 'm'; inputs = ('apex_flow',); input_shapes = ((7, 7, 3),)",
            "no build",
        ),
    ):
        own = "from jmer.models.base import NetworkConfig\nclass Mine(NetworkConfig):\n"
        own += f"    {body}\n"
        Path("net.py").write_text(own + whole, encoding="utf-8")
        for command in ("run", "bench", "data check"):
            assert f"this network has {lacking}." in error([*command.split(), "net.py"])


def test_all_that_diverges(folder):
    text = error([*RUN, "--optim.lr", "1e30", "--epochs", "4"])
    assert "Lower --optim.lr" in text
    (check,) = commands(text)
    assert check == ["data", "check", RUN[1]]
    works([*RUN, "--optim.lr", "0.001", "--overwrite"])


@pytest.mark.slow
def test_a_task_that_is_too_large(folder):
    text = error([*RUN, "--engine.memory-limit", "1e-6"])
    assert "Lower --batch-size, or raise --engine.memory-limit" in text
    works([*RUN, "--engine.memory-limit", "1"])
    works([*RUN, "--batch-size", "2", "--overwrite"])


def test_losses_that_a_network_cannot_have(folder):
    own = (
        "import jax.numpy as jnp\n"
        "class Mine(STSTNetConfig):\n"
        "    def loss(self, model, inputs, label, *, weight, key):\n"
        "        return jnp.square(self.apply(model, inputs)).mean()\n"
        "EXPERIMENT = dataclasses.replace(EXPERIMENT, model=Mine(size=7, filters=(2,)))"
    )
    text = "import dataclasses\n" + EXPERIMENT + own
    Path(RUN[1]).write_text(text, encoding="utf-8")
    assert "leave out --loss, or call" in error([*RUN, "--loss.focal", "2"])
    whole = EXPERIMENT.replace("per_subject=4", "per_subject=4, dtype='int16'")
    Path(RUN[1]).write_text(whole, encoding="utf-8")
    assert "Leave out --loss.mixup." in error([*RUN, "--loss.mixup", "1"])
    works(RUN)
    fit = ["run", "baselines/lbp_top_synthetic"]
    assert "its own: leave out --loss" in error([*fit, "--loss.focal", "2"])
    works([*fit, "--help"])


def test_inner_clips_that_nobody_can_spare(folder):
    many = EXPERIMENT.replace("subjects=3, per_subject=4", "subjects=6, per_subject=6")
    Path(RUN[1]).write_text(many, encoding="utf-8")
    text = error([*RUN, "--patience", "3"])
    works([*RUN, "--patience", "3", *option(text, "--selection"), "--run-dir", "early"])
    alone = EXPERIMENT.replace("subjects=3, per_subject=4", "subjects=3, per_subject=1")
    Path(RUN[1]).write_text(alone, encoding="utf-8")
    code, text = said([*RUN, "--selection", "inner"])
    if "can be held out" in text:
        assert code == 1
        works([*RUN, *option(text, "--selection")])
    two = EXPERIMENT.replace("subjects=3, per_subject=4", "subjects=2, per_subject=9")
    Path(RUN[1]).write_text(two, encoding="utf-8")
    inner = [*RUN, "--selection", "inner", "--run-dir", "two"]
    text = error(inner)
    assert "no training subject can be held out" in text
    works([*inner, *option(text, "--inner-unit")])
    assert "is the run of another experiment" in error(inner)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--inner-fraction", "0.3"], "inner-fraction=0.3"),
        (["--inner-unit=clip"], "inner-unit=clip"),
        (["--inner-criterion", "loss", "--selection", "last"], "inner-criterion=loss"),
        (["--inner-draw", "split"], "inner-draw=split"),
        (["--optim.factor", "0.5"], "optim.factor=0.5"),
        (["--optim.warmup-lr=1e-5"], "optim.warmup-lr=1e-05"),
    ],
)
def test_options_that_make_no_difference(folder, given, told):
    many = EXPERIMENT.replace("subjects=3, per_subject=4", "subjects=6, per_subject=6")
    if "warmup" in given[0]:
        many = many.replace("SgdConfig(", "AdamWConfig(warmup_epochs=0, ")
        many = many.replace("SgdConfig", "AdamWConfig")
    Path(RUN[1]).write_text(many, encoding="utf-8")
    text = error([*RUN, *given])
    assert f"{told} makes no difference" in text
    (name,) = re.findall(r"add (--\S+)", text)
    works([*RUN, *given, *option(text, name)])


def test_options_of_networks_and_data_that_make_no_difference(folder):
    own = (
        "import dataclasses\n"
        "from jmer.errors import lacking\n"
        "@dataclasses.dataclass(frozen=True)\n"
        "class Gated(STSTNetConfig):\n"
        "    gate: bool = GATE\n"
        "    strength: float = 3.0\n"
        "    @property\n"
        "    def needs(self):\n"
        "        return {'strength': lacking(self, gate=(True,))}\n"
    )
    for gate, given, words in (
        (True, ["--model.no-gate", "--model.strength", "2"], "do without model.gate"),
        (False, ["--model.strength", "2"], "add --model.gate"),
    ):
        whole = EXPERIMENT.replace("STSTNetConfig(", "Gated(", 1)
        whole = whole.replace("\nEXPERIMENT", f"\n{own}\nEXPERIMENT", 1)
        whole = whole.replace("GATE", str(gate))
        Path(RUN[1]).write_text(whole, encoding="utf-8")
        works([*RUN, "--overwrite"])  # what the file itself says is no mistake
        text = error([*RUN, *given, "--overwrite"])
        assert "model.strength=2.0 makes no difference" in text and words in text
        added = re.findall(r"add (--\S+),", text)
        works(
            [*RUN, *[w for w in given if w != "--model.no-gate"], *added, "--overwrite"]
        )
    fixed = EXPERIMENT.replace("subjects=3, per_subject=4", "sizes=(4, 5, 3)")
    Path(RUN[1]).write_text(fixed, encoding="utf-8")
    text = error([*RUN, "--data.subjects", "4"])
    (added,) = re.findall("add (.*), or leave", text)
    works([*RUN, "--data.subjects", "4", added, "--run-dir", "alike"])


def test_options_that_make_no_difference_to_weights(folder):
    works(RUN)
    test = ["evaluate", RUN[1], "--weights", RUN[-1], "--run-dir", "tested"]
    for name, value in (("epochs", 3), ("inner-fraction", 0.3), ("model.size", 9)):
        text = error([*test, f"--{name}", str(value)])
        assert f"{name}={value} makes no difference to weights that are" in text
        assert text.endswith("leave it out")
    works([*test, "--protocol", "loso"])


def test_options_of_a_sweep_count_where_one_of_its_cells_has_use_for_them(folder):
    many = EXPERIMENT.replace("subjects=3, per_subject=4", "subjects=6, per_subject=6")
    rows = "from jmer.sweep.cells import Sweep\n"
    rows += "SWEEP = Sweep(EXPERIMENT, values={{{}}})\ndel EXPERIMENT\n"
    given = ["--inner-fraction", "0.3"]
    Path(RUN[1]).write_text(many + rows.format('"epochs": (1, 2)'), encoding="utf-8")
    assert "inner-fraction=0.3 makes no difference" in error([*RUN, *given])
    alone = many + rows.format('"inner_unit": ("clip",)')
    Path(RUN[1]).write_text(alone, encoding="utf-8")
    assert "inner-unit=clip makes no difference" in error(RUN)
    one = many + rows.format('"selection": ("last", "inner")')
    Path(RUN[1]).write_text(one, encoding="utf-8")
    works([*RUN, *given, "--cells", "selection=last"])
    works([*RUN, *given])


def test_a_sweep_that_its_data_refused_leaves_its_folder_free(folder):
    """And so does the run of a cell."""
    few = EXPERIMENT.replace("subjects=3, per_subject=4", "subjects=2, per_subject=6")
    rows = (
        "from jmer.sweep.cells import Sweep\n"
        "SWEEP = Sweep(EXPERIMENT, values={'epochs': (1, 2)})\ndel EXPERIMENT\n"
    )
    Path(RUN[1]).write_text(few + rows, encoding="utf-8")
    text = error([*RUN, "--selection", "inner"])
    works([*RUN, *option(text, "--selection")])


def test_a_pretrained_file_that_is_not_there(folder):
    pytest.importorskip("torch")
    text = error([*RUN, "--pretrained", "nowhere.pth"])
    assert "nowhere.pth is no file" in text


@pytest.mark.slow
def test_sweeps(folder):
    sweep = ["run", "viele.py", "--run-dir", "s w"]
    assert "is no sweep" in error([*RUN, "--cells", "first"])
    assert "the sweep has first, the second" in error([*sweep, "--cells", "third"])
    assert "--cells chooses" in error([*sweep, "--epochs", "7"])
    works([*sweep, "--cells", "first"])
    works(sweep)
    smaller = EXPERIMENT + SWEEP.replace('"the second"', '"another"')
    Path("viele.py").write_text(smaller, encoding="utf-8")
    text = error(sweep)
    assert "choose another --run-dir, or forget it with --overwrite" in text
    works([*sweep, "--overwrite", "--cells", "first"])
    works([*sweep, "--run-dir", "another"])
    Path("mine").mkdir()
    Path("mine/letter").touch()
    assert "empty or new folder with --run-dir" in error([*sweep, "--run-dir", "mine"])


OWN_SET = """
import dataclasses
from typing import ClassVar
from data_builders.synthetic import Synthetic
from jmer.experiment import EngineConfig, Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import SgdConfig

@dataclasses.dataclass(frozen=True)
class Own(Synthetic):
    name: ClassVar[str] = "own"

EXPERIMENT = Experiment(
    model=STSTNetConfig(size=28, filters=(2,)),
    data=Own(subjects=3, clips=9, size=32, modality="apex-flow"),
    optim=SgdConfig(lr=0.01),
    epochs=1,
    engine=EngineConfig(plan_seconds=0, devices=1),
)
"""


def test_a_set_of_the_experiment_file(folder, monkeypatch):
    Path("own_dataset_builder.py").write_text(
        "from data_builders.synthetic import synthetic_dataset_builder as theirs\n"
        "class Builder(theirs.Builder):\n"
        "    name = 'own'\n",
        encoding="utf-8",
    )
    Path("own 'e'.py").write_text(OWN_SET, encoding="utf-8")
    run = ["run", "own 'e'.py", "--run-dir", "r ü n", "--data.data-dir", "pre pared"]
    works(run)
    assert "read once more" in said(["audit", "r ü n"])[1]
    # Where it is not prepared, its file is what names it in a command.
    shutil.rmtree("pre pared")
    found = commands(" ".join(said(["audit", "r ü n"])[1].split()))
    works(next(words for words in found if words[:2] == ["data", "prepare"]))
    # In another process nothing has run that file, and nothing does unasked.
    for name in [
        n for n in sys.modules if n.startswith(("experiment_", "jmer_beside"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    text = said(["audit", "r ü n"])[1]
    assert "read once more" not in text
    typed = option(" ".join(text.split()), "--import")
    assert typed == ["--import", "own 'e'.py"]
    assert "read once more" in said(["audit", "r ü n", *typed])[1]
