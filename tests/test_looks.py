"""Pictures of hard clips come from the run alone, whoever wrote it."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from test_report import make_predictions, make_run, parse
from toy import make_clips

from jmer.errors import JmerError
from jmer.files import write_bytes, write_json
from jmer.files.digest import written
from jmer.report import write_report
from jmer.report.looks import (
    FOLDER,
    HARD_CLIPS,
    INDEX,
    LARGEST,
    SIDE,
    hardest,
    looks,
    write_looks,
)
from jmer.report.pictures import index_of
from jmer.report.render.blocks import Figure
from jmer.runner.outcome import predict
from jmer.runner.outcome import test_curve as curve_of
from jmer.scores.metrics import uf1
from jmer.train.tasks import Task


def logits_of(clips):
    """Wrong everywhere."""
    return np.eye(3)[(clips.label + 1) % 3]


def wrong_everywhere(clips):
    return predict(Task(0, "all"), np.arange(len(clips)), logits_of(clips), clips)


def image_of(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def test_the_worst_come_first():
    p = make_predictions(("a", "b", "c"))
    found = hardest(p)
    shares = [(p.predicted[rows] != p.label[rows]).mean() for _, rows in found]
    assert shares == sorted(shares, reverse=True) and min(shares) > 0
    assert len(found) <= HARD_CLIPS
    for key, rows in found:
        assert {(p.dataset[i], p.subject[i], p.clip[i]) for i in rows} == {key}


@pytest.mark.parametrize("size", [7, 28, 64, 90])
def test_what_was_seen_is_kept_small(tmp_path, size):
    clips = make_clips(size=size)
    p = wrong_everywhere(clips)
    write_looks(tmp_path, clips, p, "none")
    found = looks(tmp_path)
    assert [*found] == [key for key, _ in hardest(p)]
    for content in found.values():
        height, width, _ = image_of(content).shape
        assert height == min(size, SIDE) and width == 2 * height + 4
    # Fewer of them leave none of the others behind.
    some = predict(Task(0, "s1"), np.arange(3, 6), logits_of(clips)[3:6], clips)
    write_looks(tmp_path, clips, some, "none")
    assert len(looks(tmp_path)) == len([*(tmp_path / FOLDER).glob("*.png")]) == 3


def test_features_of_ones_own_have_no_picture(tmp_path):
    clips = make_clips()
    tokens = {"tokens": np.zeros((len(clips), 5, 4), np.float32)}
    p = wrong_everywhere(clips)
    write_looks(
        tmp_path,
        SimpleNamespace(**{**vars(clips), "inputs": tokens, "names": clips.names}),
        p,
        "none",
    )
    assert not (tmp_path / FOLDER).exists() and looks(tmp_path) == {}


def png(side=4):
    return cv2.imencode(".png", np.zeros((side, side, 3), np.uint8))[1].tobytes()


def make_looks(folder, keys):
    write_json(folder / FOLDER / INDEX, {"clips": keys})
    for i in range(len(keys)):
        write_bytes(folder / FOLDER / f"{i:02d}.png", png())


def damaged(kind, folder, secret):
    index, first = folder / FOLDER / INDEX, folder / FOLDER / "00.png"
    match kind:
        case "link":
            first.unlink()
            first.symlink_to(secret)
        case "folder link":
            (folder / FOLDER).rename(folder.parent / "elsewhere")
            (folder / FOLDER).symlink_to(folder.parent / "elsewhere")
        case "not a picture":
            first.write_bytes(secret.read_bytes())
        case "too large":
            first.write_bytes(png() + bytes(LARGEST))
        case "gone":
            first.unlink()
        case "index link":
            index.unlink()
            index.symlink_to(secret)
        case _:
            index.write_text(kind)


@pytest.mark.parametrize(
    "kind",
    [
        *("link", "folder link", "not a picture", "too large", "gone", "index link"),
        *("[]", "{", '{"clips": 3}', '{"clips": [[1, 2, 3]]}', "[" * 100_000),
        *('{"clips": [["a", "b", "c", "d"]]}', '{"clips": [["a", {}, "c"]]}', "null"),
    ],
)
def test_what_a_stranger_left_is_not_followed(tmp_path, kind):
    folder = make_run(tmp_path / "r")
    secret = tmp_path / "secret"
    secret.write_text("\x89PNG a secret")
    make_looks(folder, [["set|1", "s0", "clip"]])
    assert len(looks(folder)) == 1
    damaged(kind, folder, secret)
    assert looks(folder) == {}
    if "link" in kind:
        with pytest.raises(JmerError, match="link out of"):
            write_report(folder)
        return
    write_report(folder)
    assert "secret" not in (folder / "report.html").read_text(encoding="utf-8")


def other(content: bytes) -> bytes:
    """Another picture of the same size."""
    return cv2.imencode(".png", 255 - image_of(content))[1].tobytes()


CHANGED = {
    "another picture": lambda folder, first: first.write_bytes(
        other(first.read_bytes())
    ),
    "that of another clip": lambda folder, first: first.write_bytes(
        (folder / "01.png").read_bytes()
    ),
    "something behind it": lambda folder, first: first.write_bytes(
        first.read_bytes() + b"x"
    ),
    "another name": lambda folder, first: (folder / INDEX).write_text(
        (folder / INDEX).read_text().replace('"s1"', '"s9"')
    ),
}


@pytest.mark.parametrize("how", CHANGED)
def test_a_picture_that_was_changed_is_not_shown(tmp_path, how):
    clips = make_clips(size=28)
    p = wrong_everywhere(clips)
    write_looks(tmp_path, clips, p, "none")
    before, said = looks(tmp_path), []
    CHANGED[how](tmp_path / FOLDER, tmp_path / FOLDER / "00.png")
    found = looks(tmp_path, said.append)
    keys = [*before]
    assert [*found] == ([] if how == "another name" else keys[1:])
    file = INDEX if how == "another name" else "00.png"
    assert len(said) == 1 and str(tmp_path / FOLDER / file) in said[0]
    write_looks(tmp_path, clips, p, "none")
    assert looks(tmp_path) == before


def explained(folder):
    index = index_of("c", ["So."], [Figure("figures/a.png", "alt", "caption", png())])
    write_bytes(folder / "explain/c/figures/a.png", png())
    write_json(folder / "explain/c/explain.json", index)
    return folder / "explain/c/figures/a.png"


def spotted(folder):
    scores = {"f1": 0.5, "precision": 0.5, "recall": 0.5}
    record = {"frames": 3, "auc": 0.5, "strs": 0.5, "intervals": scores, "drawn": {}}
    write_bytes(folder / "spotting/figures/roc.png", png())
    sums = {"roc.png": written(png())}
    write_json(folder / "spotting/spotting.json", {**record, "figures": sums})
    return folder / "spotting/figures/roc.png"


@pytest.mark.parametrize("make", [explained, spotted])
def test_a_figure_that_was_changed_is_refused(tmp_path, make):
    folder = make_run(tmp_path / "r")
    file = make(folder)
    write_report(folder)
    for content in (png(5), png() + b"x", other(png())):
        file.write_bytes(content)
        with pytest.raises(JmerError, match=f"{file} is not the figure that jmer drew"):
            write_report(folder)
    file.unlink()  # as the message says
    write_report(folder)


def test_the_report_shows_them_and_leads_to_what_explains_them(tmp_path):
    folder = make_run(tmp_path / "r")
    p = make_predictions(("a", "b", "c"))
    keys = [list(key) for key, _ in hardest(p)]
    make_looks(folder, keys[:3])
    figure = Figure("figures/a.png", "alt", "caption", png())
    index = index_of(keys[1][2], ["It says so."], [figure], tuple(keys[1]))
    write_json(folder / "explain/some-clip/explain.json", index)
    write_report(folder)
    page = parse((folder / "report.html").read_text(encoding="utf-8"))
    assert sum(pair == ("class", "look") for pair in page.attributes) == 3
    assert ("href", "#explained-some-clip") in page.attributes
    assert ("id", "explained-some-clip") in page.attributes
    assert page.attributes.count(("href", "#explained-some-clip")) == 2  # and contents


# ---- the curve of UF1


def test_the_curve_ends_where_the_last_epoch_was_scored():
    clips = make_clips()
    rng = np.random.default_rng(3)
    folds = [
        SimpleNamespace(name=f"s{i}", test=np.arange(3 * i, 3 * i + 3))
        for i in range(4)
    ]
    tasks = [Task(seed, fold.name) for seed in (0, 1) for fold in folds]

    def result(some, epochs):
        shape = (len(epochs), len(some), 3, 3)
        return SimpleNamespace(
            tasks=some,
            epoch=np.array(epochs),
            test_logits=rng.normal(size=shape),
            alive=np.ones((len(epochs), len(some)), bool),
        )

    results = [result(tasks[:5], [1, 2, 4]), result(tasks[5:], [1, 4])]
    results[0].alive[-1, 0] = False
    found = curve_of(results, set(tasks), folds, clips)
    assert found["epoch"] == [1, 4]  # at which all were evaluated
    for when, value in zip(found["epoch"], found["uf1"], strict=True):
        each = []
        for seed in (0, 1):
            confusion = np.zeros((3, 3))
            for r in results:
                row = r.epoch.tolist().index(when)
                for i, task in enumerate(r.tasks):
                    if task.seed != seed or not r.alive[-1, i]:
                        continue
                    test = next(f.test for f in folds if f.name == task.fold)
                    for clip, logits in zip(test, r.test_logits[row, i], strict=True):
                        confusion[clips.label[clip], logits.argmax()] += 1
            each.append(uf1(confusion))
        assert value == pytest.approx(np.mean(each))


@pytest.mark.parametrize(
    "told",
    [
        *(None, [], {}, {"epoch": [1], "uf1": []}, {"epoch": ["1"], "uf1": [0.5]}),
        *({"epoch": [1, 2], "uf1": [0.5]}, {"epoch": [1], "uf1": ["x"]}),
    ],
)
def test_odd_curves_are_left_out(tmp_path, told):
    folder = make_run(tmp_path / "r", test_curve=told)
    write_report(folder)
    assert (folder / "figures/learning.png").stat().st_size
    plain = make_run(tmp_path / "plain")
    write_report(plain)
    drawn = [(f / "figures/learning.png").read_bytes() for f in (folder, plain)]
    assert drawn[0] == drawn[1]


def test_the_curve_is_drawn_and_said_to_choose_nothing(tmp_path):
    curve = {"epoch": [1, 2, 5], "uf1": [0.1, 0.5, 0.4]}
    folder, plain = make_run(tmp_path / "r", test_curve=curve), make_run(tmp_path / "p")
    for run in (folder, plain):
        write_report(run)
    drawn = [(f / "figures/learning.png").read_bytes() for f in (folder, plain)]
    assert drawn[0] != drawn[1]
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "did not choose an epoch by them" in text
    assert json.loads((folder / "metrics.json").read_text())["test_curve"] == curve
