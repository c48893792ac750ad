"""The results of a run are what it wrote, or are refused and audited."""

import json
import shutil
from pathlib import Path

import pytest
from fabricated import make_predictions
from sealing import edit, replaced, reseal

from jmer.audit.unchanged import check_unchanged
from jmer.errors import JmerError
from jmer.files import Changed, read_json, write_json
from jmer.files.seal import unsealed
from jmer.report.sweep import finished_cells
from jmer.runner.outcome import write_scored
from jmer.runs.folder import marks, note
from jmer.runs.lines import line_of
from jmer.runs.opening import open_run
from jmer.runs.run import Run, load_run, read_run
from jmer.scores.recognition import score


def described(lr: float = 0.1) -> dict:
    experiment = {
        "optim": {"kind": "SgdConfig", "lr": lr},
        "model": {"name": "ststnet"},
        "data": {"name": "toy"},
        "protocol": {"kind": "Loso"},
        "dtype": "auto",
    }
    identity = {**experiment, "dtype": "float32", "data_fingerprint": "0"}
    about = {"name": "toy", "config": "toy", "fingerprint": "0"}
    about["classes"] = ["negative", "positive", "surprise"]
    return {
        "name": "sweep: cell",
        "command": "jmer run toy.py",
        "experiment": experiment,
        "identity": identity,
        "versions": {},
        "device": {"kind": "cpu", "count": 1, "platform": "cpu"},
        "revision": None,
        "data": about,
        "created": "today",
        **marks(identity),
    }


def finished(folder: Path, *, wrong_every: int = 3, lr: float = 0.1) -> Path:
    open_run(folder, described(lr), overwrite=False)
    (folder / "progress.jsonl").write_bytes(
        b"".join(line_of({"event": "note", "epoch": i}) for i in range(3))
    )
    again(folder, wrong_every=wrong_every)
    return folder


def again(folder: Path, *, wrong_every: int = 3) -> None:
    """As the run's command does, which trains nothing any more."""
    predictions = make_predictions(wrong_every)
    about = {
        "protocol": "loso",
        "selection": "last",
        "batches": "own",
        "subject_independent": True,
        "oracle": None,
        "diverged": [],
        "wall_seconds": 1.0,
        "throughput": None,
    }
    write_scored(folder, predictions, {**about, **score(predictions)})


@pytest.fixture
def run(tmp_path) -> Path:
    return finished(tmp_path / "run")


CHANGES = {
    "score": lambda f: edit(f, "metrics.json", lambda m: m.update(uf1=0.9)),
    "seal": lambda f: write_plain(f / "metrics.json"),
    "nothing": lambda f: (f / "metrics.json").write_bytes(b""),
    "half": lambda f: cut(f / "metrics.json", 90),
    "zeros": lambda f: (f / "metrics.json").write_bytes(bytes(300)),
    "subject": lambda f: replaced(f, "predictions.csv", "sub01", "sub02"),
    "row": lambda f: cut(f / "predictions.csv", 60),
    "blank": lambda f: replaced(f, "predictions.csv", "\n", "\n\n"),
    "log": lambda f: cut(f / "progress.jsonl", 20),
    "lines": lambda f: (f / "progress.jsonl").write_bytes(b""),
    "identity": lambda f: replaced(f, "experiment.json", '"lr": 0.1', '"lr": 0.2'),
    "plain": lambda f: write_plain(f / "experiment.json"),
    "command": lambda f: replaced(f, "experiment.json", "toy.py", "foe.py"),
}


def write_plain(file: Path) -> None:
    file.write_text(json.dumps(read_json(file)), "utf-8")


def cut(file: Path, by: int) -> None:
    file.write_bytes(file.read_bytes()[:-by])


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_that_was_changed_is_refused_and_audited(run, change):
    assert check_unchanged(load_run(run)).verdict == "ok"
    before = {path.name for path in run.iterdir()}
    CHANGES[change](run)
    with pytest.raises(Changed, match=str(run)) as caught:
        load_run(run)
    assert "\n" not in str(caught.value)
    with pytest.raises(Changed, match=str(run)):
        read_run(run)
    found = check_unchanged(load_run(run, changed=True))
    assert found.verdict == "violation"
    named = {row["file"] for row in found.details}
    assert len(named) == 1 and named <= before


def test_the_remedies_work(run):
    """The command of the run writes anew what it says."""
    for name in ("metrics.json", "predictions.csv"):
        (run / name).write_text("{}", "utf-8")
        with pytest.raises(JmerError):
            load_run(run)
        again(run)
        load_run(run)
    CHANGES["command"](run)
    told = []
    open_run(run, described(), overwrite=False, say=told.append)
    assert "experiment.json was edited or damaged: it is written anew" in told[0]
    load_run(run)
    CHANGES["identity"](run)
    edit(run, "experiment.json", lambda a: a["identity"]["optim"].update(lr=0.3))
    with pytest.raises(Changed, match=r"lr is 0.3 there and 0.1 here.*--overwrite"):
        open_run(run, described(), overwrite=False)
    open_run(run, described(), overwrite=True)
    assert [path.name for path in run.iterdir()] == ["experiment.json"]


def test_what_is_noted_and_appended_later_is_no_change(run):
    note(run, "plan", {"tasks": 3})
    with (run / "progress.jsonl").open("ab") as file:
        file.write(line_of({"event": "note", "epoch": 3}))
    load_run(run)


def test_a_log_that_is_gone_is_said(run, capsys):
    (run / "progress.jsonl").unlink()
    assert load_run(run).curves == {}
    assert f"{run}/progress.jsonl is gone" in capsys.readouterr().err
    assert check_unchanged(Run(run)).verdict == "warning"


def test_an_experiment_that_is_not_that_of_its_identity(run):
    edit(run, "experiment.json", lambda a: a["experiment"]["optim"].update(lr=0.3))
    reseal(run)
    wanted = r"contradicts itself \(optim.lr is 0.1 in its identity and 0.3 in its exp"
    with pytest.raises(Changed, match=wanted):
        load_run(run)


def test_results_of_another_run(run, tmp_path):
    other = finished(tmp_path / "other", wrong_every=4, lr=0.2)
    for name in ("metrics.json", "predictions.csv", "progress.jsonl"):
        shutil.copy(other / name, run / name)
    with pytest.raises(Changed, match=r"is of another run than experiment\.json"):
        load_run(run)
    rows = check_unchanged(Run(run, changed=True)).details
    assert [row["file"] for row in rows] == ["metrics.json"]


def test_scores_that_are_not_those_of_the_predictions(run):
    for name in ("metrics.json", "experiment.json"):
        write_json(run / name, {**read_json(run / name), "checksums": None})
        write_plain(run / name)
    edit(run, "metrics.json", lambda m: m.pop("sums"))
    assert check_unchanged(Run(run)).verdict == "unknown"
    assert read_run(run).metrics["n_samples"] == 30
    edit(run, "metrics.json", lambda m: m.update(uar=0.9))
    with pytest.raises(Changed, match=r"says uar 0.9, but the predictions .* have 0"):
        read_run(run)


@pytest.mark.parametrize(
    "sums", [3, {"predictions.csv": None}, {"predictions.csv": {}}]
)
def test_checksums_that_are_none_are_no_traceback(run, sums):
    edit(run, "metrics.json", lambda m: m.update(sums=sums))
    reseal_metrics = unsealed(json.loads((run / "metrics.json").read_text("utf-8")))
    write_json(run / "metrics.json", reseal_metrics)
    if isinstance(sums, dict):
        with pytest.raises(Changed, match="has a checksum that is none"):
            load_run(run)
    assert check_unchanged(Run(run, changed=True)).rule == "unchanged"


def test_a_cell_in_the_folder_of_another(run, tmp_path):
    cells = [{"name": "cell", "folder": "run"}, {"name": "more", "folder": "more"}]
    write_json(tmp_path / "sweep.json", {"cells": cells})
    assert [*finished_cells(tmp_path)] == ["cell"]
    shutil.copytree(run, tmp_path / "more")
    with pytest.raises(Changed, match="more is the run 'sweep: cell', not cell 'more'"):
        finished_cells(tmp_path)
