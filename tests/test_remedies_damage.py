"""Runs that were copied, edited or damaged: what the error tells to type mends them."""

import contextlib
import json
import shutil
import sys
from pathlib import Path

import pytest
from at_work import RUN, with_file, working_in
from remedies import commands, error, said, works

from jmer.errors import JmerError
from jmer.files import write_json
from jmer.runs.folder import DESCRIPTION, METRICS
from jmer.runs.run import load_run


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where a user is at work."""
    return working_in(tmp_path, monkeypatch)


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
