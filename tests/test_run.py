"""Whole runs through the command line, on synthetic faces."""

import contextlib
import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from holding import held
from killing import REPORTING, Program, Server
from sklearn.metrics import f1_score, recall_score

import jmer
from jmer.cli import main
from jmer.errors import JmerError

ROOT = Path(__file__).resolve().parent.parent
HANGING = 900  # seconds that no process takes, on however busy a machine
EXPERIMENT = '''"""A LOSO that takes a second."""

from data_builders.synthetic import Synthetic
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import SgdConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(size=8, filters=(2,)),
    data=Synthetic(subjects=4, clips=12, length=5, size=32, flow_size=8),
    optim=SgdConfig(lr=0.01),
    epochs=3,
    batch_size=4,
)
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with the experiment, and the prepared set below it."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "tiny.py").write_text(EXPERIMENT)
    return folder


def words(place: Path, run_dir: Path, *options: str) -> list[str]:
    data = ("--data.data-dir", str(place / "tfds"))
    return ["run", str(place / "tiny.py"), "--run-dir", str(run_dir), *data, *options]


@pytest.fixture(scope="module")
def finished(place) -> Path:
    assert main(words(place, place / "finished")) == 0
    return place / "finished"


def rows(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


def metrics_of(run_dir: Path) -> dict:
    return json.loads((run_dir / "metrics.json").read_text())


def test_a_run_leaves_all_there_is_to_know(finished):
    names = {path.name for path in finished.iterdir()}
    files = {"experiment.json", "progress.jsonl", "predictions.csv", "metrics.json"}
    assert files | {"report.md", "report.html", "checkpoints", "figures"} <= names
    assert (finished / "figures/confusion.png").stat().st_size > 1000
    described = json.loads((finished / "experiment.json").read_text())
    assert described["experiment"]["optim"]["lr"] == 0.01
    assert described["data"]["n_subjects"] == 4
    assert len(described["data"]["fingerprint"]) == 16
    assert described["versions"]["jmer"] == jmer.__version__
    lines = (finished / "progress.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    kinds = [event["event"] for event in events]
    assert kinds == ["evaluation"] * 3 + ["task"] * 4


def test_every_clip_is_tested_once_by_its_own_fold(finished):
    found = rows(finished)
    assert len({(r["subject"], r["clip"]) for r in found}) == len(found) == 12
    assert all(r["fold"] == r["subject"] for r in found)


def test_metrics_are_those_of_the_predictions(finished):
    found, metrics = rows(finished), metrics_of(finished)
    label = [r["label"] for r in found]
    predicted = [r["predicted"] for r in found]
    f1 = f1_score(label, predicted, average="macro", labels=sorted(set(label)))
    recall = recall_score(label, predicted, average="macro", labels=sorted(set(label)))
    assert metrics["uf1"] == pytest.approx(f1)
    assert metrics["uar"] == pytest.approx(recall)
    assert metrics["n_folds"] == 4 and metrics["n_samples"] == 12
    assert metrics["oracle"]["acc"] >= metrics["acc"]
    assert metrics["selection"] == "last" and metrics["subject_independent"]


def test_a_finished_run_is_not_trained_again(place, finished, capsys):
    before = (finished / "predictions.csv").read_bytes()
    assert main(words(place, finished)) == 0
    assert "nothing to train" in capsys.readouterr().out
    assert (finished / "predictions.csv").read_bytes() == before


def test_another_experiment_is_refused(place, finished, capsys):
    before = (finished / "metrics.json").read_bytes()
    assert main(words(place, finished, "--optim.lr", "0.02")) == 1
    error = capsys.readouterr().err
    assert "optim.lr is 0.01 there and 0.02 here" in error and "--overwrite" in error
    assert (finished / "metrics.json").read_bytes() == before


def test_more_seeds_train_only_what_is_missing(place, finished, tmp_path, capsys):
    folder = tmp_path / "seeds"
    assert main(words(place, folder)) == 0
    capsys.readouterr()
    assert main(words(place, folder, "--seeds", "0", "1")) == 0
    assert "4 tasks to train (4 folds, seeds 0 1; 4 done)" in capsys.readouterr().out
    assert [s["seed"] for s in metrics_of(folder)["per_seed"]] == [0, 1]
    first = [r for r in rows(folder) if r["seed"] == "0"]
    assert first == rows(finished)


@pytest.mark.parametrize(
    "options",
    [
        ("--engine.strategy", "vmap"),
        ("--engine.strategy", "loop"),
        ("--engine.pack", "1"),
        ("--engine.chunk", "3"),
        ("--engine.lowering", "backend"),
        ("--engine.devices", "1"),
    ],
    ids=" ".join,
)
def test_the_layout_does_not_change_the_result(place, finished, tmp_path, options):
    assert main(words(place, tmp_path / "run", *options)) == 0
    for mine, other in zip(rows(tmp_path / "run"), rows(finished), strict=True):
        assert mine["clip"] == other["clip"]
        assert float(mine["prob_positive"]) == pytest.approx(
            float(other["prob_positive"]), abs=2e-3
        )


@pytest.mark.parametrize("batches", ["own", "shared"])
def test_inner_selection_runs(place, tmp_path, batches):
    options = ("--selection", "inner", "--batches", batches, "--inner-fraction", "0.3")
    assert main(words(place, tmp_path / "run", *options)) == 0
    metrics = metrics_of(tmp_path / "run")
    assert (metrics["selection"], metrics["batches"]) == ("inner", batches)
    epochs = {task.selected_epoch for task in jmer.load_run(tmp_path / "run").tasks}
    assert epochs <= {1, 2, 3}


def test_variants_are_trained_together_and_told_apart(place, finished, tmp_path):
    """The first is the experiment itself."""
    run_dir = tmp_path / "run"
    variants = ("--variants", "optim.lr=0.01", "optim.lr=1e-6,optim.weight-decay=0.1")
    assert main(words(place, run_dir, *variants)) == 0
    found, alone = rows(run_dir), rows(finished)
    assert sorted(row["variant"] for row in found) == ["0"] * 12 + ["1"] * 12
    first = [row for row in found if row["variant"] == "0"]
    for row, other in zip(first, alone, strict=True):
        assert row["clip"] == other["clip"]
        for name in row:
            if name.startswith("prob_"):
                assert abs(float(row[name]) - float(other[name])) < 1e-4
    metrics = metrics_of(run_dir)
    assert [v["values"]["optim.lr"] for v in metrics["variants"]] == [0.01, 1e-6]
    assert (
        metrics["uf1"] == metrics["variants"][0]["uf1"] == metrics_of(finished)["uf1"]
    )
    assert metrics["n_samples"] == 12
    report = (run_dir / "report.md").read_text()
    assert "optim.lr 1e-06" in report and "is no result" in report
    again = tmp_path / "again"
    data = ["--data.data-dir", str(place / "tfds"), "--weights", str(run_dir)]
    arguments = ["evaluate", str(place / "tiny.py"), "--run-dir", str(again), *data]
    assert main(arguments) == 0
    assert sorted(map(str, rows(again))) == sorted(map(str, found))


def test_a_protocol_that_mixes_subjects_says_so(place, tmp_path):
    text = EXPERIMENT.replace(
        "Experiment(\n", "Experiment(\n    protocol=ClipHoldOut(),\n"
    )
    imported = "from jmer.data.splits import ClipHoldOut\n"
    (tmp_path / "mixed.py").write_text(imported + text)
    options = ("--data.data-dir", str(place / "tfds"), "--selection", "inner")
    inner = ("--inner-unit", "clip", "--inner-criterion", "loss")
    run_dir = tmp_path / "run"
    arguments = ["run", str(tmp_path / "mixed.py"), "--run-dir", str(run_dir)]
    assert main([*arguments, *options, *inner]) == 0
    metrics = metrics_of(run_dir)
    assert not metrics["subject_independent"]
    assert "NOT subject-independent" in metrics["protocol"]
    for name in ("report.md", "report.html"):
        assert "not subject-independent" in (run_dir / name).read_text()
        assert "Means over folds" in (run_dir / name).read_text()


def test_training_starts_from_a_pretrained_trunk(place, tmp_path, capsys):
    torch = pytest.importorskip("torch")
    torch.save({"bn1.weight": torch.ones(2)}, tmp_path / "trunk.pth")
    option = ("--pretrained", str(tmp_path / "trunk.pth"))
    assert main(words(place, tmp_path / "run", *option)) == 1
    error = capsys.readouterr().err
    assert "ststnet does not start from weights of another network" in error


def test_the_notebook_interface_gives_the_trained_networks(finished):
    run = jmer.load_run(finished)
    p = run.predictions
    assert [t.subject for t in run.tasks] == sorted(set(p.subject))
    assert run.params(subject="syn01", seed=0)["block"]["conv"]["kernel"].shape == (
        3,
        3,
        3,
        2,
    )
    from data_builders.synthetic import Synthetic
    from jmer.data import load

    data = Synthetic(
        subjects=4, clips=12, length=5, size=32, flow_size=8,
        data_dir=finished.parent / "tfds",
    )  # fmt: skip
    clips = load(data)
    for subject in ("syn01", "syn03"):
        test = clips.subject == subject
        logits = run.model(subject=subject, seed=0)(clips.inputs["apex_flow"][test])
        chance = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        np.testing.assert_allclose(
            chance, p.select(fold=subject).probabilities, atol=1e-5
        )
    with pytest.raises(JmerError, match="Subjects: syn01"):
        run.params(subject="nobody", seed=0)


def test_a_run_can_be_evaluated_again(place, finished, tmp_path):
    data = ["--data.data-dir", str(place / "tfds")]
    arguments = ["--weights", str(finished), "--run-dir", str(tmp_path / "again")]
    assert main(["evaluate", str(place / "tiny.py"), *arguments, *data]) == 0
    assert metrics_of(tmp_path / "again")["uf1"] == metrics_of(finished)["uf1"]
    assert metrics_of(tmp_path / "again")["oracle"] is None


def test_a_set_with_other_inputs_is_refused(place, tmp_path, capsys):
    assert main(words(place, tmp_path / "run", "--model.size", "10")) == 1
    error = capsys.readouterr().err
    assert "ststnet takes apex_flow of shape (10, 10, 3)" in error
    assert not (tmp_path / "run").exists()
    assert main(words(place, tmp_path / "run", "--data.modality", "clip")) == 1
    assert "has clip, flow, intensity" in capsys.readouterr().err


def test_a_run_in_which_all_diverge_says_so(place, tmp_path, capsys):
    assert main(words(place, tmp_path / "run", "--optim.lr", "1e30")) == 1
    assert "every task diverged" in capsys.readouterr().err


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with contextlib.closing(Server(folder, ["jmer.commands.run", *REPORTING])) as one:
        yield one


@pytest.fixture
def process(server, place) -> Callable[..., Program]:
    """Starts runs that are processes of their own."""
    own = {name: os.environ[name] for name in ("JMER_CACHE", "XLA_FLAGS")}
    return lambda folder, *options: server.start(
        ROOT, words(place, folder, *options), own
    )


def limited(place: Path, run_dir: Path, *options: str) -> tuple[int, str]:
    """The exit code and the error of a run whose files may not grow beyond a few kB, as
    on a disk without room."""
    shell = ["bash", "-c", 'ulimit -f 4; exec "$@"', "bash"]
    done = subprocess.run(
        [*shell, sys.executable, "-m", "jmer", *words(place, run_dir, *options)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANGING,
    )
    return done.returncode, done.stderr


LONG = ("--epochs", "150")
SAVED_EACH = ("--engine.checkpoint-seconds", "0")


@pytest.mark.slow
def test_killed_at_random_moments_a_run_ends_the_same_to_the_bit(process, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"

    def saved() -> int:
        """The epoch of the last checkpoint."""
        names = (path.name for path in (cut / "checkpoints").glob("pack-*/*/*"))
        return max((int(name) for name in names if name.isdigit()), default=0)

    for number in range(3):
        chance = random.Random(number)
        # Wait for some checkpoints of this process, then for a moment: most epochs are
        # left even of the last one.
        enough = saved() + chance.randint(1, 15)
        running = process(cut, *LONG, *SAVED_EACH)
        deadline = time.monotonic() + HANGING
        while saved() < enough:
            assert running.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.02))
        running.send_signal(signal.SIGKILL)
        running.communicate(HANGING)
        assert running.returncode == -signal.SIGKILL
        assert not (cut / "metrics.json").exists()
    for folder in (cut, whole):
        running = process(folder, *LONG)
        running.communicate(HANGING)
        assert running.returncode == 0
    assert (cut / "predictions.csv").read_bytes() == (
        whole / "predictions.csv"
    ).read_bytes()
    mine, other = jmer.load_run(cut).weights, jmer.load_run(whole).weights
    for path, value in mine.arrays.items():
        np.testing.assert_array_equal(value, other.arrays[path])


@pytest.mark.slow
def test_a_full_disk_is_one_clear_error_and_loses_nothing(place, finished, tmp_path):
    folder = tmp_path / "run"
    code, error = limited(place, folder, *SAVED_EACH)
    assert code == 1
    # TensorStore may complain from its own threads besides.
    (line,) = (x for x in error.splitlines() if x.startswith("error: "))
    assert line.startswith("error: cannot write")
    assert str(folder) in line and "Make room" in line
    assert not (folder / "metrics.json").exists()
    assert main(words(place, folder, *SAVED_EACH)) == 0
    assert metrics_of(folder)["n_samples"] == 12


def test_a_full_disk_in_preparation_leaves_nothing_behind(place, tmp_path):
    options = ("--data.data-dir", str(tmp_path / "tfds"))
    code, error = limited(place, tmp_path / "run", *options)
    assert code == 1 and error.count("\n") == 1
    assert error.startswith(f"error: cannot write {tmp_path / 'tfds'}")
    assert not list((tmp_path / "tfds").glob("**/dataset_info.json"))
    assert main(words(place, tmp_path / "run", *options)) == 0


def test_a_run_directory_that_cannot_be_written(place, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main(words(place, tmp_path / "file" / "run")) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: cannot write") and "file" in error


@pytest.mark.parametrize(
    "stop", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_an_interrupted_run_saves_and_says_how_to_go_on(process, tmp_path, stop):
    # So many that a plan would be measured first, for up to a minute.
    long = ("--epochs", "100000", "--engine.plan-seconds", "0")
    running = process(tmp_path / "run", *long)
    progress = tmp_path / "run/progress.jsonl"
    while not progress.exists() or not progress.stat().st_size:
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(stop)
    _, error = running.communicate(timeout=HANGING)
    assert running.returncode == 130
    assert list((tmp_path / "run/checkpoints/pack-0000").glob("[0-9]*/[0-9]*"))
    assert error == "interrupted; the same command goes on\n"


@pytest.mark.parametrize(
    "options", [(), ("--overwrite",), ("--seeds", "0", "1"), ("--optim.lr", "0.02")]
)
def test_a_run_in_use_is_left_alone(place, finished, capsys, options):
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*") if p.is_file()}
    with held(finished / ".lock") as other:
        assert main(words(place, finished, *options)) == 1
        error = capsys.readouterr().err
        assert f"run directory {finished} is in use by process {other.pid}" in error
        assert "--wait" in error and "--run-dir" in error
        assert not {"delete", "remove", "room"} & set(error.lower().split())
        assert main(["report", str(finished), "--out", str(place / "compared")]) == 0
        assert f"{finished} is in use by process {other.pid}" in capsys.readouterr().err
    files = {p: p.stat().st_mtime_ns for p in finished.rglob("*") if p.is_file()}
    assert before.keys() <= files.keys() and not (finished / ".lock").exists()
    assert files[finished / "experiment.json"] == before[finished / "experiment.json"]


def test_an_unfinished_run_in_use_is_not_said_to_need_anything(tmp_path, capsys):
    for name in ("experiment.json", "metrics.json"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text("{}")
        with held(folder / ".lock") as other:
            for command in ("report", "audit", "explain", "spot"):
                assert main([command, str(folder)]) == 1
                error = capsys.readouterr().err
                assert f"in use by process {other.pid}" in error
                assert "Wait for it to end" in error and "jmer run" not in error


def test_whoever_waits_uses_what_the_first_made(process, tmp_path):
    """Three at once: one trains, the others find it done."""
    folder = tmp_path / "run"
    running = [process(folder, "--wait") for _ in range(3)]
    outputs = [one.communicate(timeout=HANGING) for one in running]
    assert [one.returncode for one in running] == [0, 0, 0], outputs
    done = [out for out, _ in outputs if "nothing to train" in out]
    assert len(done) == 2
    lines = (folder / "progress.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["event"] for line in lines]
    assert kinds == ["evaluation"] * 3 + ["task"] * 4
    assert not (folder / ".lock").exists()


def test_a_killed_run_is_taken_over(place, process, tmp_path, capsys):
    """Its lock lies there, and belongs to nobody."""
    running = process(tmp_path / "run", "--epochs", "100000")
    progress = tmp_path / "run/progress.jsonl"
    while not progress.exists() or not progress.stat().st_size:
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.communicate(HANGING)
    assert (tmp_path / "run/.lock").exists()
    assert main(words(place, tmp_path / "run", "--overwrite")) == 0
    assert f"left by process {running.pid}" in capsys.readouterr().out
    assert not (tmp_path / "run/.lock").exists()
    assert metrics_of(tmp_path / "run")["n_samples"] == 12
