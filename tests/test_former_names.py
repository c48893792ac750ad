"""What was called a protocol of a data set is called its classes."""

import copy
import pickle
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

import jmer
from data_builders.casme2 import Casme2
from jmer.cli import main
from jmer.errors import UsageError
from jmer.experiment import load_experiment
from jmer.files import write_json
from jmer.report.reproduction import is_row
from jmer.runs.explain import data_of
from jmer.runs.older import completed, former, renewed
from jmer.runs.run import read_run
from jmer.sweep.cells import Cell
from jmer.sweep.fields import with_fields
from jmer.sweep.run import as_begun

ROOT = Path(__file__).resolve().parent.parent
STORED = ROOT / "tests" / "stored" / "finished"
FILE = str(ROOT / "experiments" / "ststnet_casme2.py")


def test_the_folder_of_a_recipe_is_what_it_was():
    config = Casme2(classes="megc", modality="apex-flow", size=28)
    assert config.config_name == "recipe-62acca05718e"  # tests/stored/prepared
    assert config.recipe["classes"] == config.prepared_by["protocol"] == "megc"
    assert list(config.recipe)[9:11] == ["classes", "source"]
    assert list(config.prepared_by)[9:11] == ["protocol", "source"]


def test_the_older_name_in_code():
    words = r"protocol='megc' is called classes now: write Casme2\(classes='megc'\)"
    with pytest.raises(UsageError, match=words):
        Casme2(protocol="megc")
    with pytest.raises(UsageError, match=words):
        replace(Casme2(), protocol="megc")
    config = Casme2(classes="megc")
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == config


def test_the_older_name_in_an_experiment_file(tmp_path):
    text = Path(FILE).read_text(encoding="utf-8")
    old = tmp_path / "old.py"
    old.write_text(text.replace("data=Casme2(", 'data=Casme2(protocol="megc", '))
    with pytest.raises(UsageError, match=r"old\.py: protocol='megc' is called classes"):
        load_experiment(old)


@pytest.mark.parametrize(
    ("words", "end"),
    [
        (["data", "check", "casme2", "--protocol", "megc"], " --classes megc"),
        (["data", "prepare", "casme2", "--protocol=megc"], " --classes=megc"),
        (["data", "show", "smic", "--protocol", "3class"], " --classes 3class"),
        (["run", FILE, "--data.protocol", "megc"], " --data.classes megc"),
    ],
)
def test_the_older_option_names_a_command_that_works(words, end, tmp_path, capsys):
    missing = ["--manual-dir", str(tmp_path / "gone"), "--data-dir", str(tmp_path)]
    if words[0] == "run":
        missing = [f"--data.{word[2:]}" if "--" in word else word for word in missing]
        missing += ["--run-dir", str(tmp_path / "run")]
    assert main([*words, *missing]) == 2
    told = capsys.readouterr().err
    new = end.split()[0].partition("=")[0]
    assert f" is called {new} now: type `jmer {words[0]} " in told and end in told
    command = shlex.split(told.partition("`")[2].partition("`")[0])
    assert main(command[1:]) == 1
    assert "gone does not exist" in capsys.readouterr().err


def test_the_older_name_in_a_sweep():
    experiment = load_experiment(Path(FILE))
    with pytest.raises(UsageError, match=r"data\.protocol is called data\.classes now"):
        with_fields(experiment, {"data.protocol": "megc"})


def test_older_runs_are_read_in_todays_words():
    wanted = {"data.name": "casme2", "data.classes": "megc"}
    assert is_row(read_run(STORED), wanted)
    assert not is_row(read_run(STORED), wanted | {"data.classes": "5class"})
    run = jmer.load_run(STORED)
    assert run.experiment["identity"]["data"]["classes"] == "megc"
    assert run.experiment["experiment"]["protocol"]["kind"] == "Loso"
    assert data_of(run).classes == "megc"


@pytest.mark.parametrize("content", [None, [], {"experiment": 1, "identity": None}])
def test_what_is_no_description_stays_as_it_is(content):
    assert renewed(content) == content


def test_a_sweep_of_an_older_version_keeps_the_names_of_its_cells(tmp_path):
    experiment = load_experiment(Path(FILE))
    old, new = "epochs=3 data.protocol=megc", "epochs=3 data.classes=megc"
    assert former(new) == old
    assert former("more data.classesx=1 xdata.classes=2") == (
        "more data.classesx=1 xdata.classes=2"
    )
    cells = [Cell(new, experiment), Cell("data.classes=aus", experiment)]
    assert as_begun(cells, tmp_path) == cells
    about = {"cells": [{"name": old, "folder": "epochs=3-data.protocol=megc"}]}
    write_json(tmp_path / "sweep.json", about)
    begun = as_begun(cells, tmp_path)
    assert [cell.name for cell in begun] == [old, "data.classes=aus"]
    assert begun[0].folder == "epochs=3-data.protocol=megc"


def test_runs_from_before_a_field_have_what_was_done_then():
    """AMAN's batch norm was over all images; another network has no such field."""
    model = {"name": "aman", "k": 9}
    found = renewed({"experiment": {"model": model}, "identity": {"model": model}})
    for part in ("experiment", "identity"):
        assert found[part]["model"]["norm"] == "pooled"
    said = {"model": {**model, "norm": "per-image"}}
    assert renewed({"experiment": said})["experiment"]["model"]["norm"] == "per-image"
    for name in ("stanet", None, ["aman"]):
        assert "norm" not in completed("model", name, {"k": 9})
