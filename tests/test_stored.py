"""Runs, weights and a prepared set that an earlier commit left: `stored/README.md`.

Through the command line and `jmer` alone, as their owner would: no module of today is
named here but those that experiment files import.
"""

import contextlib
import csv
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jmer
from data_builders.casme2 import Casme2
from jmer.cli import main

STORED = Path(__file__).resolve().parent / "stored"
# Trainings on another machine differ by rounding, which Adam amplifies; no two classes
# of a stored prediction are as near to one another.
ROUNDING = 1e-3
# The field has had two names; runs have the older one.
CLASSES = next(
    f.name for f in dataclasses.fields(Casme2) if f.name in ("classes", "protocol")
)
TINY = f'''"""The experiment of the stored runs, in today's words."""

from data_builders.casme2 import Casme2
from jmer.experiment import EngineConfig, Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamWConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(filters=(2,)),
    data=Casme2({CLASSES}="megc", modality="apex-flow", size=28),
    optim=AdamWConfig(lr=0.01, warmup_epochs=1, layer_decay=0.9),
    epochs=5,
    batch_size=4,
    seeds=(0, 1),
    engine=EngineConfig(devices=1, pack=3),
)
'''
# The commands of `stored/make.py`; places are as they were, below the working folder.
RUN = ["run", "tiny.py", "--data.data-dir", "prepared", "--run-dir"]
INNER = ["--selection", "inner", "--inner-unit", "clip"]
SWEEP = ["--seeds", "0", "--epochs", "1", "--engine.pack", "6"]
CELLS = ["--sweep", "optim.lr=0.01,0.1", "batches=own,shared"]


def copy(folder: Path) -> Path:
    """All that is stored, with the experiment, in a folder that may be changed."""
    shutil.copytree(STORED, folder, dirs_exist_ok=True)
    (folder / "tiny.py").write_text(TINY)
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(copy(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """A folder in which the unfinished run was finished by the same command."""
    folder = copy(tmp_path_factory.mktemp("resumed"))
    with contextlib.chdir(folder):
        assert main([*RUN, "unfinished", *INNER]) == 0
    return folder


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def chances(table: list[dict[str, str]]) -> np.ndarray:
    return np.array(
        [[float(v) for n, v in row.items() if n.startswith("prob_")] for row in table]
    )


def assert_same_predictions(mine: Path, expected: Path) -> None:
    """The same clips, folds, seeds and answers, and nearly the same probabilities."""
    found, wanted = rows(mine), rows(expected)
    names = [name for name in wanted[0] if not name.startswith("prob_")]
    assert [*found[0]] == [*wanted[0]]
    for row, other in zip(found, wanted, strict=True):
        assert [row[name] for name in names] == [other[name] for name in names]
    assert_allclose(chances(found), chances(wanted), atol=ROUNDING, rtol=0)


def contents(folder: Path) -> dict[Path, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}


def test_no_stored_prediction_is_decided_by_rounding():
    for file in STORED.rglob("*.csv"):
        if "predicted" in rows(file)[0]:
            nearest = np.sort(chances(rows(file)))[:, -2:]
            assert np.diff(nearest).min() > 2 * ROUNDING, file


def test_what_is_stored_says_nothing_of_where_it_was_made():
    for path, content in contents(STORED).items():
        for word in (b"/home", b"/root", b"/tmp", b"/work", b"/Users"):
            assert word not in content, path


def test_a_finished_run_loads():
    run = jmer.load_run(STORED / "finished")
    assert run.metrics["uf1"] == 0.25
    assert run.metrics["uar"] == pytest.approx(13 / 36)
    assert run.metrics["acc"] == pytest.approx(7 / 18)
    assert run.metrics["oracle"]["uf1"] == pytest.approx(0.361904762)
    assert_array_equal(run.confusion, [[2, 0, 6], [1, 0, 3], [1, 0, 5]])
    assert [(s.subject, s.clips) for s in run.subjects] == [
        *(("sub01", 3), ("sub02", 2), ("sub03", 4))
    ]
    p = run.predictions
    assert p.classes == ("negative", "positive", "surprise")
    assert_array_equal(p.predicted, [2] * 9 + [2, 2, 2, 2, 0, 0, 0, 2, 0])
    assert p.probabilities[0].tolist() == pytest.approx(
        [0.30194762, 0.34539968, 0.3526527]
    )
    assert [(t.subject, t.seed, t.selected_epoch) for t in run.tasks] == [
        (f"sub0{i}", seed, 5) for seed in (0, 1) for i in (1, 2, 3)
    ]
    assert run.tasks[0].loss.tolist() == pytest.approx(
        [1.1563692, 1.0514727, 0.7153495, 0.83744836, 0.6490669]
    )
    assert run.curves["loss"][1][-1] == pytest.approx(0.68271759)


def test_the_weights_of_a_finished_run_load():
    run = jmer.load_run(STORED / "finished")
    params = run.params(subject="sub02", seed=1)
    assert params["block"]["conv"]["kernel"].shape == (3, 3, 3, 2)
    assert params["head"]["bias"].tolist() == pytest.approx(
        [0.12485404, -0.18111487, -0.0864086]
    )
    assert params["block"]["norm"]["scale"].tolist() == pytest.approx(
        [0.9648325, 0.97513354]
    )
    logits = run.model(subject="sub02", seed=1)(np.zeros((2, 28, 28, 3), np.float32))
    assert logits.shape == (2, 3) and np.isfinite(logits).all()


def test_the_weights_of_a_finished_run_predict_what_it_predicted(place):
    words = ["--data.data-dir", "prepared", "--run-dir", "again"]
    assert main(["evaluate", "tiny.py", "--weights", "finished", *words]) == 0
    assert_same_predictions(
        place / "again/predictions.csv", STORED / "finished/predictions.csv"
    )


def test_a_finished_run_is_reported_and_audited(place, capsys):
    assert main(["report", "finished"]) == 0
    shown = capsys.readouterr().out
    assert "tiny" in shown and "0.2500" in shown
    assert (place / "finished/report.html").stat().st_size > 10_000
    found, wanted = (rows(f / "finished/scores.csv") for f in (place, STORED))
    for row, other in zip(found, wanted, strict=True):
        for name, text in other.items():
            try:
                value = float(text)
            except ValueError:
                assert row[name] == text
            else:
                assert float(row[name]) == pytest.approx(value)
    assert main(["audit", "finished"]) == 0
    shown = capsys.readouterr().out
    assert "no rule is broken" in shown
    # No canary sang before it was trained, and it has no checksums.
    assert "2 could not be checked" in shown and "did not ask" in shown
    assert "read once more, with the same fingerprint" in shown


def test_a_finished_run_is_not_trained_again(place, capsys):
    assert main([*RUN, "finished"]) == 0
    assert "nothing to train" in capsys.readouterr().out
    names = ("predictions.csv", "progress.jsonl")
    assert all(
        (place / "finished" / name).read_bytes()
        == (STORED / "finished" / name).read_bytes()
        for name in names
    )
    described = json.loads((place / "finished/experiment.json").read_text())
    before = json.loads((STORED / "finished/experiment.json").read_text())
    assert described["created"] == before["created"]
    assert described["plan"] == before["plan"]


def test_another_experiment_is_refused_in_a_stored_run(place, capsys):
    assert main([*RUN, "finished", "--optim.lr", "0.02"]) == 1
    assert "optim.lr is 0.01 there and 0.02 here" in capsys.readouterr().err
    assert contents(place / "finished") == contents(STORED / "finished")


def test_one_more_seed_trains_only_what_is_missing(place, capsys):
    assert main([*RUN, "finished", "--seeds", "0", "1", "2"]) == 0
    shown = capsys.readouterr().out
    assert "3 tasks to train (3 folds, seeds 0 1 2; 6 done)" in shown
    found = rows(place / "finished/predictions.csv")
    before = rows(STORED / "finished/predictions.csv")
    assert [row for row in found if row["seed"] != "2"] == before
    assert len(found) == len(before) + 9
    run = jmer.load_run("finished")
    assert run.metrics["seeds"] == [0, 1, 2] and len(run.tasks) == 9
    old = jmer.load_run(STORED / "finished")
    for subject in ("sub01", "sub03"):
        kernels = (
            r.params(subject=subject, seed=1)["block"]["conv"]["kernel"]
            for r in (run, old)
        )
        assert_array_equal(*kernels)


def test_an_unfinished_run_goes_on_and_ends_as_it_did(resumed):
    assert_same_predictions(
        resumed / "unfinished/predictions.csv", STORED / "unfinished.csv"
    )


def test_an_unfinished_run_goes_on_from_its_checkpoint(resumed):
    """Nothing that was done is done again: what it recorded is there to the bit."""
    file = "unfinished/progress.jsonl"
    before, after = ((f / file).read_text() for f in (STORED, resumed))
    assert after.startswith(before)
    events = [json.loads(line) for line in after[len(before) :].splitlines()]
    assert [(e["event"], e.get("epoch")) for e in events] == [
        *(("evaluation", 4), ("evaluation", 5)),
        *[("task", None)] * 3,
    ]
    assert {e["seed"] for e in events if e["event"] == "task"} == {1}
    found = jmer.load_run(resumed / "unfinished")
    # The pack that was finished: what was recorded there is what is written now.
    wanted = [row for row in rows(STORED / "unfinished.csv") if row["seed"] == "0"]
    mine = rows(resumed / "unfinished/predictions.csv")
    assert [row for row in mine if row["seed"] == "0"] == wanted
    means = np.mean([t.loss for t in found.tasks if t.seed == 1], axis=0)
    recorded = [json.loads(line) for line in before.splitlines()]
    losses = [e["loss"] for e in recorded if e["event"] == "evaluation"][5:]
    assert means[:3].tolist() == pytest.approx(losses, rel=1e-6)


def test_a_stored_run_and_one_of_today_are_compared(resumed, monkeypatch, capsys):
    monkeypatch.chdir(resumed)
    words = ["--epochs", "2", "--seeds", "0", "--engine.pack", "6"]
    assert main([*RUN, "fresh", *words]) == 0
    capsys.readouterr()
    assert main(["report", "finished", "fresh", "--out", "both"]) == 0
    assert "fresh" in capsys.readouterr().out
    assert (resumed / "both/comparison.csv").stat().st_size > 100
    old, new = (rows(Path(f, "predictions.csv")) for f in ("finished", "fresh"))
    accuracy = [
        np.mean([row["label"] == row["predicted"] for row in table])
        for table in (old, new)
    ]
    found = jmer.compare("finished", "fresh")
    assert found.overall["acc"].value == pytest.approx(accuracy[1] - accuracy[0])
    assert jmer.compare("finished", STORED / "finished").overall["uf1"].value == 0


def test_a_prepared_set_is_used_as_it_is(place, capsys):
    before = {path: path.stat().st_mtime_ns for path in Path("prepared").rglob("*")}
    recipe = [f"--{CLASSES}", "megc", "--modality", "apex-flow", "--size", "28"]
    words = ["data", "prepare", "casme2", "--data-dir", "prepared", *recipe]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "9 clips, 3 subjects (4 negative, 2 positive, 3 surprise)" in shown
    assert "fingerprint 360667274eba5989" in shown
    assert "recipe-62acca05718e" in shown
    assert main([*RUN, "finished"]) == 0
    after = {path: path.stat().st_mtime_ns for path in Path("prepared").rglob("*")}
    assert after == before
    assert contents(place / "prepared") == contents(STORED / "prepared")


def test_imported_weights_load_and_predict_what_they_did(place):
    weights = jmer.load_model("weights")
    assert weights.classes == ("negative", "positive", "surprise")
    assert [task.fold for task in weights.tasks] == ["sub01", "sub02", "sub03"]
    assert weights.sources[0].startswith("sub01.pth sha256 5830b3a515707d80")
    bias = weights.params(subject="sub03")["head"]["bias"]
    assert bias.tolist() == pytest.approx([0.02768576, 0.04085881, 0.02996083])
    words = ["--data.data-dir", "prepared", "--run-dir", "evaluated"]
    assert main(["evaluate", "tiny.py", "--weights", "weights", *words]) == 0
    assert_same_predictions(
        place / "evaluated/predictions.csv", STORED / "evaluated.csv"
    )


def test_a_stored_sweep_is_finished(place, capsys):
    assert main([*RUN, "sweep", *SWEEP, *CELLS]) == 0
    shown = capsys.readouterr().out
    assert "2 cells, 2 finished" in shown
    for cell in ("batches=own", "batches=shared"):
        run = jmer.load_run(Path("sweep", cell))
        assert [v["values"]["optim.lr"] for v in run.metrics["variants"]] == [0.01, 0.1]
        file = Path("sweep", cell, "predictions.csv")
        assert file.read_bytes() == (STORED / file).read_bytes()
    assert main(["report", "sweep"]) == 0
    assert "batches=shared" in capsys.readouterr().out
    assert (place / "sweep/report.html").is_file()
