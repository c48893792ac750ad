"""What errors of runs tell a user to type is typed, and works; and no error prints a
remedy that no test has typed, or that the list below does not say why not."""

import configparser
import contextlib
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from remedies import ROOT, commands, error, option, remedies, said, works
from remedy_list import TYPED

from jmer.cli import COMMANDS
from jmer.errors import JmerError
from jmer.files import write_json
from jmer.runs.folder import DESCRIPTION, METRICS
from jmer.runs.run import load_run

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


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where a user is at work, with an experiment and a sweep."""
    place = tmp_path / "ä b's"
    place.mkdir()
    (place / "mein 'e'.py").write_text(EXPERIMENT, encoding="utf-8")
    (place / "viele.py").write_text(EXPERIMENT + SWEEP, encoding="utf-8")
    monkeypatch.chdir(place)
    return place


RUN = ["run", "mein 'e'.py", "--run-dir", "r ü n"]


def with_file(command: list[str]) -> list[str]:
    """A command with the file that jmer cannot know."""
    return [RUN[1] if word == "FILE" else word for word in command]


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


def test_a_copy_beside_one_that_is_there(folder):
    Path("my 'copy'.py").touch()
    (new,) = commands(error(["new", "quickstart", "--out", "my 'copy'.py"]))
    (run,) = commands(works(new))
    assert works_for_help(run)
    (listed,) = commands(error(["new", "quickstarr"]))
    works(listed)
    (listed,) = commands(error(["new"]))
    works(listed)


def works_for_help(command: list[str]) -> bool:
    return "--epochs" in works([*command, "--help"])


OPTIONS = [
    (["run", RUN[1], "--epoch", "3"], "--epochs"),
    (["run", RUN[1], "--engine.packs", "3"], "--engine.pack"),
    (["data", "check", "casme2", "--missing-frame", "x"], "--missing-frames"),
    (["data", "prepare", RUN[1], "--data.subject", "3"], "--data.subjects"),
    (["weights", "measure", "x", "--factor", "3"], "--factors"),
    (["run", RUN[1], "--epochs", "viele"], ""),
    (["run", RUN[1], "--dtype", "float64"], ""),
    (["run", RUN[1], "stray"], ""),
    (["run", RUN[1], "--seeds", "1", "b"], ""),
    (["data", "synthesize", "--layout", "x"], ""),
    (["explain"], ""),
    (["bench", RUN[1], "--chunks", "a"], ""),
    (["list", "tables", "x"], ""),
    (["new", "a", "b"], ""),
]


@pytest.mark.parametrize(("words", "meant"), OPTIONS, ids=lambda v: " ".join(v)[:30])
def test_a_mistake_of_options_is_one_line(folder, words, meant, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    code, text = said(words)
    assert code == 2 and text.startswith("error: ") and text.count("\n") == 1
    assert not re.search("[\u2500-\u257f]", text)
    if meant:
        assert f"did you mean '{meant}'?" in text
    (shown,) = commands(text)
    assert shown[-1] == "--help" and "usage: jmer" in works(shown)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["bench", RUN[1], "--roundz", "3"], "did you mean '--rounds'?"),
        (["bench", RUN[1], "--dtypes", "float3"], "did you mean 'float32'?"),
        (["bench", RUN[1], "--batches", "owns"], "did you mean 'own'?"),
        (["bench", RUN[1], "--chunks", "a"], "'a' is no whole number"),
        (["data", "check", "casme2", "--size", "x"], "--size: 'x' is no whole number"),
        (["run", RUN[1], "--optim.lr", "1,5"], "'1,5' is no number"),
        (["run", RUN[1], "--seeds", "1", "b"], "'1', 'b' are not what it takes"),
    ],
    ids=str,
)
def test_a_mistake_is_said_in_plain_words(folder, words, text):
    code, told = said(words)
    assert code == 2 and text in told
    assert not re.search(r"int\(\)|literal|invalid \w+ value|typing|to float", told)


def test_help_is_as_wide_as_the_terminal(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    lines = works(["data", "check", "casme2", "--help"]).splitlines()
    assert max(map(len, lines)) < 200


def test_names_that_have_changed(folder):
    (typed,) = re.findall(
        r"type `jmer ([^`]+)`", error(["data", "check", "casme2", "--protocol", "megc"])
    )
    assert typed == "data check casme2 --classes megc"


@pytest.mark.parametrize("words", [["run"], ["bench"], ["evaluate"]])
def test_commands_that_need_a_file_say_so(folder, words):
    text = error(words)
    assert "FILE" in text or "file" in text
    if words != ["bench"]:
        assert "jmer list experiments" in works([*words, "--help"])
        works([*words, RUN[1], "--help"])
    for name in ("data check", "data prepare", "pretrain"):
        assert "NAME --help" in works([*name.split(), "--help"])
    assert "WHAT; experiments" in error(["list"])
    works(["list", "experiments"])
    assert "one or more run directories" in error(["report"])
    assert "goes with --table NAME" in error(["report", "x", "--other-data"])


def test_the_audit_says_what_goes_with_what(folder):
    Path("p.csv").write_text(
        "person,clip,label,predicted\na,1,0,0\nb,2,1,1\n", encoding="utf-8"
    )
    text = error(["audit", "--predictions", "p.csv"])
    assert option(text, "--columns") == ["--columns", "subject=COLUMN"]
    said(["audit", "--predictions", "p.csv", "--columns", "subject=person"])
    assert "one of a run directory, --predictions FILE and --folds DIR" in error(
        ["audit"]
    )
    text = error(["audit", "--folds", ".", "--stated", "uf1=1"])
    assert "--stated goes with --predictions FILE" in text
    # Two columns: one is chosen, if names tell them apart.
    Path("p.csv").write_text(
        "subject,Subject,clip,label,predicted\na,a,1,0,0\nb,b,2,1,1\n", encoding="utf-8"
    )
    code, text = said(["audit", "--predictions", "p.csv"])
    if code == 1 and "two columns" in text and "--columns" in text:
        typed = option(text, "--columns")
        assert "two columns" not in said(["audit", "--predictions", "p.csv", *typed])[1]
    Path("p.csv").write_text(
        "subject,subject,clip,label,predicted\na,a,1,0,0\nb,b,2,1,1\n", encoding="utf-8"
    )
    text = error(["audit", "--predictions", "p.csv"])
    assert "--columns" not in text and "Rename one of the two" in text


def test_lists_fit_80_columns_and_say_all(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    tables = works(["list", "tables"])
    for name in re.findall(r"^  jmer run (\S+)$", tables, re.MULTILINE):
        assert works_for_help(["run", name])
        break
    assert tables.count("jmer run experiments/") == len(
        re.findall(r"experiments/[\w/]+\.py$", tables, re.MULTILINE)
    )
    for line in works(["list", "datasets", "--json"]).splitlines():
        if '"what"' in line:
            assert line.rstrip(",").endswith('."')


@pytest.mark.parametrize("name", ["cuda", "torch", "faces", "beam"])
def test_extras_that_errors_name_are_there(name):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert name in setup["options.extras_require"]


def test_pip_is_told_of_extras_that_are_there():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    named = {e for _, text in remedies() for e in re.findall(r"jmer\[(\w+)\]", text)}
    assert named and named <= {*setup["options.extras_require"]}


@pytest.mark.parametrize("action", ["check", "prepare", "show"])
def test_an_experiment_names_its_data_set(folder, action):
    casme2 = EXPERIMENT.replace(
        'RandomClips(shapes=(("apex_flow", (7, 7, 3)),), subjects=3, per_subject=4)',
        "Casme2(size=7, modality='apex-flow')",
    )
    text = f"from data_builders.casme2 import Casme2\n{casme2}"
    Path("data 'e'.py").write_text(text, encoding="utf-8")
    help_ = works(["data", action, "data 'e'.py", "--help"])
    assert "--data.missing-frames" in help_ and "default: 7" in help_
    text = error(["data", action, "data 'e'.py"])
    assert "--data.manual-dir DIR" in text or "manual-dir" in text


def test_commands_in_backquotes_are_commands():
    """Whatever stands in backquotes after `jmer` is a command of jmer."""
    known = {words.split()[0] for words in COMMANDS}
    for file, text in remedies():
        for word in re.findall(r"`jmer ([a-z]+)", text):
            assert word in known, (file, text)


# ---- runs that were copied, and files of them that are gone or damaged


def of_a_user(monkeypatch, *more: str) -> None:
    """As if it were typed: the run records its command."""
    monkeypatch.setattr(sys, "argv", ["jmer", *RUN, *more])
    works([*RUN, *more])


@pytest.mark.slow
def test_a_copy_is_named_as_the_user_names_it(folder, monkeypatch):
    of_a_user(monkeypatch, "--overwrite")
    for place in ("copy", "deep er/it's", str(Path("absolute").absolute())):
        shutil.copytree(RUN[3], place)
        Path(place, "predictions.csv").unlink()
        (run,) = commands(error(["report", place]))
        assert run == [*RUN[:3], place]
        assert "all of this run is finished" in works(run)
        works(["report", place])
    assert not Path(RUN[3], "copy").exists()


GONE = {
    "experiment.json": "has no experiment.json",
    "metrics.json": "has no metrics.json",
    "predictions.csv": "predictions.csv is gone. Results",
    "checkpoints": "its checkpoints are gone",
}


@pytest.mark.slow
def test_what_is_gone_is_named_and_comes_back(folder, monkeypatch):
    of_a_user(monkeypatch)
    for name, text in GONE.items():
        shutil.copytree(RUN[3], "copy")
        place = Path("copy", name)
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        with pytest.raises(JmerError, match=text) as refused:
            _ = load_run("copy").weights
        (run,) = commands(str(refused.value))
        assert run[:1] == ["run"] and run[-2:] == ["--run-dir", "copy"]
        works(with_file(run))
        assert load_run("copy").weights.tasks
        shutil.rmtree("copy")


def resealed(change):
    def damage(file: Path) -> None:
        about = json.loads(file.read_text("utf-8"))
        change(about)
        write_json(file, about)

    return damage


DESCRIPTIONS = {
    "gone": Path.unlink,
    "empty": lambda file: file.write_text(""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:300]),
    "a list": lambda file: file.write_text("[]"),
    "no identity": resealed(lambda about: about.pop("identity")),
    "odd identity": resealed(lambda about: about.update(identity=3)),
    "another name": resealed(lambda about: about.update(run="0" * 16)),
    "odd time": resealed(lambda about: about.update(created=5)),
    "odd command": resealed(lambda about: about.update(command=["x"])),
    "another size": resealed(
        lambda about: about["experiment"]["model"].update(size=10**9)
    ),
    "odd experiment": resealed(lambda about: about.update(experiment=None)),
    "odd data": resealed(lambda about: about.update(data=[1])),
}


@pytest.mark.slow
def test_a_damaged_description_has_a_remedy_that_ends_it(folder, monkeypatch):
    of_a_user(monkeypatch)
    for how, damage in DESCRIPTIONS.items():
        shutil.copytree(RUN[3], "copy")
        damage(Path("copy", DESCRIPTION))
        with contextlib.suppress(JmerError):
            load_run("copy").weights.states()
        assert "trained" not in works([*RUN[:3], "copy"]), how
        works(["report", "copy"])
        assert load_run("copy").weights.states()
        shutil.rmtree("copy")
    # Files of two experiments, and a description of none.
    shutil.copytree(RUN[3], "copy")
    Path("copy", DESCRIPTION).unlink()
    text = error([*RUN[:3], "copy", "--epochs", "2"])
    assert "files beside it are of another experiment" in text
    works([*RUN[:3], "another", "--epochs", "2"])
    works([*RUN[:3], "copy", "--epochs", "2", "--overwrite"])


# ---- The list: what prints a remedy, and where it is typed, or why it is not.


def test_what_was_edited(folder, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["jmer", *RUN])
    works(RUN)
    file = Path("r ü n", METRICS)
    file.write_text(file.read_text("utf-8").replace("leave-", "leaf-"), "utf-8")
    with pytest.raises(JmerError, match="Results are not edited") as refused:
        load_run("r ü n")
    (run,) = commands(str(refused.value))
    assert run == RUN
    works(run)
    assert load_run("r ü n").metrics["n_samples"] == 12
    # What is to be run was edited, too.
    file = Path("r ü n", DESCRIPTION)
    file.write_text(
        file.read_text("utf-8").replace('"epochs": 1', '"epochs": 3'), "utf-8"
    )
    code, text = said(RUN)
    if code:
        assert "another --run-dir" in text
        works([*RUN, "--run-dir", "another"])


def test_a_run_that_other_flags_began(folder):
    works(RUN)
    Path("r ü n", METRICS).unlink()
    file = Path("r ü n", DESCRIPTION)
    description = json.loads(file.read_text("utf-8"))
    if "flags" in description:
        write_json(file, {**description, "flags": ["--xla_other=1"]})
        assert "replace the run with --overwrite" in error(RUN)
        works([*RUN, "--overwrite"])


def test_a_report_that_failed(folder):
    works(RUN)
    Path("r ü n", METRICS).unlink()
    Path("r ü n/report.html").unlink()
    Path("r ü n/report.html").mkdir()
    Path("r ü n/report.html/kept").touch()
    code, text = said(RUN)
    assert code == 3 and "report could not be written" in text
    (report,) = commands(text)
    shutil.rmtree("r ü n/report.html")
    works(report)


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


def test_what_aman_can_do_without(folder):
    shown = [text for file, text in remedies() if file == "jmer/models/aman.py"]
    assert any("do without by --model.{switch}" in text for text in shown)
    for switch in ("magnify linear", "pretrain none"):
        works(
            [
                "run",
                "aman_casme2",
                f"--model.{switch.split()[0]}",
                switch.split()[1],
                "--help",
            ]
        )


def test_every_remedy_is_typed_by_a_test_or_says_why_not():
    """A new one fails here: type it in a test, and add it to `remedy_list.py`."""
    texts = remedies()
    untyped = [
        (file, text)
        for file, text in texts
        if not any(part in text for part, _ in TYPED)
    ]
    assert not untyped
    assert not [part for part, _ in TYPED if not any(part in t for _, t in texts)]


def test_the_list_names_tests_that_are_there():
    for _, where in TYPED:
        for file, name in re.findall(r"(test_\w+\.py)(?:::(\w+))?", where):
            text = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert not name or f"\ndef {name}(" in text, where
