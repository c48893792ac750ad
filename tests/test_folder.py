"""A set of one's own: a table, folders of frames and videos."""

import shutil
import unicodedata

import numpy as np
import pytest
from filmed import film
from own_folder import Mine

from data_builders.folder import Folder
from jmer.cli import main
from jmer.data import load, prepare
from jmer.errors import JmerError


@pytest.fixture(name="mine")
def _mine(tmp_path):
    return Mine(tmp_path)


def test_frames_and_videos_give_the_frames_of_the_table(mine):
    clips = mine.clips()
    assert [clip["clip_id"] for clip in clips[:2]] == ["frames-0", "films-1"]
    assert {clip["subject"] for clip in clips} == {f"P {i}, née Ñ" for i in range(3)}
    for n, clip in enumerate(clips):
        # Frames 3 to 8, the first frame being 1.
        np.testing.assert_array_equal(clip["clip"], mine.written[n][2:8])
        assert (clip["onset"], clip["apex"], clip["offset"]) == (0, 2, 5)
    assert [clip["frame_rate"] for clip in clips[:2]] == [0, pytest.approx(50)]
    assert mine.builder().class_names() == ("calm", "happy", "sad")


@pytest.mark.parametrize(
    "table",
    [
        {"name": "t.xlsx"},
        {"name": "t.xls"},
        {"delimiter": ";", "encoding": "utf-8-sig"},
        {"delimiter": ";", "encoding": "cp1252"},
        {"delimiter": "\t", "encoding": "utf-16-le", "name": "t.txt"},
        {"delimiter": "\t", "encoding": "utf-16"},
        {"header": ["File", "Participant", "Emotion", "Start", "Peak", "End"]},
    ],
)
def test_tables_are_read_as_programs_write_them(mine, table):
    clips = mine.clips(table=mine.table(**table))
    assert len(clips) == 6 and clips[3]["label"] == 1
    np.testing.assert_array_equal(clips[3]["clip"], mine.written[3][2:8])


def test_columns_can_be_called_anything(mine):
    table = mine.table(header=["Datei", "Wer", "Gefühl", "a", "b", "c"])
    with pytest.raises(JmerError, match="no row that names the needed columns") as why:
        mine.builder(table=table).problems()
    assert "--columns clip=NAME subject=NAME label=NAME" in str(why.value)
    names = ("clip=Datei", "subject=Wer", "label=Gefühl")
    more = ("onset=a", "apex=b", "offset=c")
    assert len(mine.clips(table=table, columns=names + more)) == 6
    # Without them, clips are whole.
    assert {clip["offset"] for clip in mine.clips(table=table, columns=names)} == {5}


def test_seconds_are_the_nearest_frames(mine):
    times = [0, 10, 50, 60, 200, 210, 220, 260, 300, 340]
    film(mine.folder / "films/1.mkv", mine.written[1], times=times)
    # Frames of a folder are at 0, 0.1 … 0.9 s; the video's as its file says.
    mine.rows = [[*row[:3], 0.19, 0.21, 0.3] for row in mine.rows[:2]]
    with_rate, film_ = mine.clips(times="seconds", fps=10)
    wanted = mine.written[0][[2, 2, 3]]
    assert with_rate["clip"].shape[0] == 6 and (with_rate["clip"][0] == wanted[0]).all()
    np.testing.assert_array_equal(with_rate["clip"][-1], mine.written[0][3])
    np.testing.assert_array_equal(film_["clip"][0], mine.written[1][4])
    np.testing.assert_array_equal(film_["clip"][-1], mine.written[1][8])
    assert with_rate["frame_rate"] == 10
    assert "--fps RATE" in mine.problem(times="seconds")
    mine.rows = [[*row[:3], 0, 0.1, 7.5] for row in mine.rows[:1]]
    assert "from 0 to 0.900 seconds" in mine.problem(times="seconds", fps=10)


def test_seconds_may_have_decimal_commas(mine):
    mine.rows = [[*row[:3], "0,19", "0,21", "0,3"] for row in mine.rows[:1]]
    table = mine.table(delimiter=";")
    (clip,) = mine.clips(table=table, times="seconds", fps=10)
    np.testing.assert_array_equal(clip["clip"][-1], mine.written[0][3])


def test_a_table_without_labels_says_what_to_fill_in(mine):
    mine.rows = [[*row[:2], "", *row[3:]] for row in mine.rows]
    with pytest.raises(JmerError, match=r"no row has a label\. Fill in the column"):
        mine.builder().class_names()


def test_moments_that_nobody_wrote_down(mine):
    mine.rows = [[*row[:3], "", "", ""] for row in mine.rows]
    clips = mine.clips(frames=10)
    for n, clip in enumerate(clips):
        np.testing.assert_array_equal(clip["clip"], mine.written[n])
        assert (clip["onset"], clip["apex"], clip["offset"]) == (0, -1, 9)
    problems = mine.builder(modality="apex-flow").problems()
    assert len(problems) == 6 and "--missing-apex middle" in problems[0]
    assert len(mine.clips(modality="apex-flow", missing_apex="middle")) == 6


def test_several_clips_of_one_video(mine):
    place, person, kind, *_ = mine.rows[1]
    mine.rows = [[place, person, kind, 1, 2, 4], [place, person, kind, 5, 7, 9]]
    first, second = mine.clips(frames=4)
    assert (first["clip_id"], second["clip_id"]) == ("films-1@1", "films-1@5")
    np.testing.assert_array_equal(second["clip"][0], mine.written[1][4])


def test_a_table_of_labels_says_what_words_mean(mine, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("label;class\nHAPPY;positive\nsad;negative\n")
    assert "unknown label 'calm'" in mine.builder(labels=labels).problems()[0]
    labels.write_text("label;class\nHAPPY;positive\nsad;negative\ncalm;\n")
    builder = mine.builder(labels=labels)
    assert builder.class_names() == ("negative", "positive")
    assert len(mine.clips(labels=labels)) == 4
    assert "left out: 2 calm (no class" in builder.summary()
    chosen = mine.builder(labels=labels, classes="positive,negative")
    assert chosen.class_names() == ("positive", "negative")
    with pytest.raises(JmerError, match="Classes are negative, positive"):
        mine.builder(labels=labels, classes="positiv").class_names()
    labels.write_text("label;class\nsad;a\nsad;b\n")
    with pytest.raises(JmerError, match=r"row 3: label 'sad' is of class 'b' here"):
        mine.builder(labels=labels).class_names()


def test_other_sets_in_one_table(mine):
    header = ["clip", "subject", "label", "dataset"]
    mine.rows = [[*row[:3], ("A", "B")[n // 2 % 2]] for n, row in enumerate(mine.rows)]
    clips = mine.clips(table=mine.table(header=header))
    assert [clip["dataset"] for clip in clips] == list("AABBAA")
    mine.rows[5][3] = "B"
    problem = mine.problem(table=mine.table(header=header))
    assert "is of data set 'B' here, and of 'A' above" in problem


@pytest.mark.parametrize(
    "place",
    ["{}/films/1.mkv", "films/../films/1.mkv", "./films//1.mkv", "films/1",
     "../{up}/films/1.mkv", "films\\1.mkv", "linked.mkv", "films/é 李\n, x.mkv"],
)  # fmt: skip
def test_one_place_has_many_spellings(mine, place):
    """Absolute, with detours, by a link, with an accent that the disk writes apart."""
    apart = unicodedata.normalize("NFD", "films/é 李\n, x.mkv")
    shutil.copy(mine.folder / "films/1.mkv", mine.folder / apart)
    (mine.folder / "linked.mkv").symlink_to("films/1.mkv")
    mine.rows = [mine.rows[1]]
    mine.rows[0][0] = place.format(mine.folder, up=mine.folder.name)
    (clip,) = mine.clips()
    np.testing.assert_array_equal(clip["clip"], mine.written[1][2:8])
    if "linked" not in place and "x.mkv" not in place:
        assert clip["clip_id"] == "films-1"


def test_from_a_table_to_a_run(mine, capsys):
    (mine.folder / "exp.py").write_text(
        "from data_builders.folder import Folder\n"
        "from jmer.experiment import EngineConfig, Experiment\n"
        "from jmer.models.ststnet import STSTNetConfig\n"
        "from jmer.optim import SgdConfig\n"
        "EXPERIMENT = Experiment(model=STSTNetConfig(size=28), epochs=2,\n"
        "    optim=SgdConfig(lr=0.01),\n"
        "    data=Folder(modality='apex-flow', size=28),\n"
        "    engine=EngineConfig(plan_seconds=0, lowering='patches', devices=1))\n"
    )
    table = ["--data.table", str(mine.table()), "--data.data-dir", str(mine.folder)]
    run = ["--run-dir", str(mine.folder / "run")]
    assert main(["run", str(mine.folder / "exp.py"), *table, *run]) == 0
    assert main(["audit", str(mine.folder / "run")]) == 0
    assert "the tested clips are those of the data set" in capsys.readouterr().out


@pytest.mark.slow
def test_two_commands_lead_from_clips_to_a_report(mine, monkeypatch, capsys):
    """Whoever they are of, and whether they are videos or frames."""
    monkeypatch.chdir(mine.folder)
    home = ["data-dir", str(mine.folder / "made")]
    table = ["--table", str(mine.table()), f"--{home[0]}", home[1]]
    assert main(["data", "check", "folder", *table, "--modality", "apex-flow"]) == 0
    assert "6 clips, 3 subjects (2 calm, 2 happy, 2 sad)" in capsys.readouterr().out
    table = ["--data.table", table[1], f"--data.{home[0]}", home[1]]
    quick = ["--engine.plan-seconds", "0", "--engine.lowering", "patches"]
    assert main(["run", "own_clips", *table, "--epochs", "2", *quick]) == 0
    assert "runs/own_clips/report.html" in capsys.readouterr().out
    said = (mine.folder / "runs/own_clips/report.md").read_text()
    assert "leave-one-subject-out, 3 folds · 6 clips · 3 classes" in said
    assert "P 0, née Ñ" in said


def test_what_was_prepared_is_used_where_the_table_is_gone(mine):
    table = mine.table()
    data = mine.builder().data
    prepare(data)
    before = load(data)
    mine.rows[0][2] = "sad"
    mine.table()
    with pytest.raises(JmerError, match=r"has changed since .* --overwrite`\.$"):
        load(data)
    table.unlink()
    gone = Folder(**{n: getattr(data, n) for n in ("table", "modality", "resample",
                  "frames", "size", "data_dir")})  # fmt: skip
    assert gone.manual_dir is None
    assert load(gone).classes == before.classes == ("calm", "happy", "sad")


def test_capitals_make_no_other_class(mine):
    words = ("Up", "up", "UP", "down", "Down", "down")
    for row, word in zip(mine.rows, words, strict=True):
        row[2] = word
    builder = mine.builder()
    assert builder.problems() == [] and builder.class_names() == ("Up", "down")
