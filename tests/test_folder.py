"""A set of one's own: a table, folders of frames and videos."""

import csv
import os
import shutil
import unicodedata

import cv2
import numpy as np
import openpyxl
import pytest
from filmed import film, noise, turned

from data_builders.folder import Folder
from data_builders.video_files import VideoFrame, pictures, video
from jmer.cli import main
from jmer.data import load, prepare
from jmer.data.maker import builder_of
from jmer.errors import JmerError

SIZE = 47


def shown(path, *indices):
    """Pictures of a video by index."""
    frames = [VideoFrame(path, i) for i in indices]
    return {frame.index: picture for frame, picture in pictures(frames)}


@pytest.mark.parametrize(
    "name, options",
    [
        ("a.mkv", {}),
        ("a.avi", {}),
        ("a.mp4", {"codec": "libx264rgb"}),
        ("b.mov", {"codec": "libx264rgb", "bf": "3", "g": "10"}),
        ("c.mp4", {"codec": "libx264rgb", "sound": True}),
    ],
)
def test_frames_of_a_video_are_those_that_were_written(tmp_path, name, options):
    written = noise(30)
    path = film(tmp_path / name, written, **options)
    assert len(video(path)) == 30 and video(path).steady
    assert video(path).frame_rate == pytest.approx(50)
    for indices in ((0,), (29,), (17, 3, 18), range(30)):
        found = shown(path, *indices)
        assert sorted(found) == sorted(indices)
        for i, picture in found.items():
            np.testing.assert_array_equal(picture, written[i])


def test_frames_are_shown_when_the_file_says(tmp_path):
    times = [0, 10, 50, 60, 200, 210]
    path = film(tmp_path / "a.mkv", noise(6), times=times)
    np.testing.assert_allclose(video(path).seconds, np.array(times) / 1000, atol=1e-9)
    assert not video(path).steady


@pytest.mark.parametrize("degrees, quarters", [(90, -1), (180, 2), (270, 1)])
def test_a_camera_on_its_side_is_turned_back(tmp_path, degrees, quarters):
    written = noise(3)
    path = turned(film(tmp_path / "a.mp4", written, codec="libx264rgb"), degrees)
    np.testing.assert_array_equal(shown(path, 1)[1], np.rot90(written[1], quarters))


def cut(path, part):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])


def test_what_is_no_video_is_named(tmp_path):
    empty, text, heard = (tmp_path / n for n in ("empty.mp4", "text.mkv", "heard.mp4"))
    empty.touch()
    text.write_text("clip,subject\n")
    av = pytest.importorskip("av")
    with av.open(str(heard), "w") as file:
        track = file.add_stream("aac", rate=16000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), "f4"), "fltp", "mono")
        sound.sample_rate = 16000
        file.mux(track.encode(sound))
        file.mux(track.encode())
    for path, words in ((empty, "is empty"), (text, "as a video"), (heard, "pictures")):
        with pytest.raises(JmerError, match=words) as error:
            video(path)
        assert str(path) in str(error.value)


def test_a_video_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path):
    written = noise(20)
    path = film(tmp_path / "a.mkv", written)
    cut(path, 0.6)
    known = len(video(path))
    assert 5 < known < 20
    whole = shown(path, *range(known - 2))
    assert all((whole[i] == written[i]).all() for i in whole)


def test_a_frame_that_is_damaged_is_not_made_up(tmp_path):
    av = pytest.importorskip("av")
    path = film(tmp_path / "a.mp4", noise(12), codec="libx264rgb")
    with av.open(str(path)) as file:
        *_, last = (p for p in file.demux(file.streams.video[0]) if p.size)
        at, size = last.pos, last.size
    content = bytearray(path.read_bytes())
    content[at + size // 3 : at + size] = bytes(size - size // 3)
    path.write_bytes(content)
    assert len(shown(path, *range(11))) == 11
    for indices in ((11,), (0, 11), (10, 11)):
        with pytest.raises(JmerError, match=r"a\.mp4 \(frame 11, from 0\) cannot be"):
            shown(path, *indices)


# --- tables


class Mine:
    """A folder with a table of clips, of frames and of videos by turns."""

    def __init__(self, folder):
        self.folder = folder
        self.rows = []
        self.written = {}
        for n in range(6):
            kind, person = ("happy", "sad", "calm")[n % 3], f"P {n // 2}, née Ñ"
            written = self.written[n] = noise(10, SIZE, SIZE, seed=n)
            if n % 2:
                place = f"films/{n}.mkv"
                (folder / "films").mkdir(exist_ok=True)
                film(folder / place, written)
            else:
                place = f"frames/{n}"
                (folder / place).mkdir(parents=True)
                for i, picture in enumerate(written, start=1):
                    name = f"{folder / place}/f{i:02d}.png"
                    cv2.imwrite(name, picture[..., ::-1])
            self.rows.append([place, person, kind, 3, 5, 8])

    def table(self, name="mine.csv", header=None, delimiter=",", encoding="utf-8"):
        header = header or ["clip", "subject", "label", "onset", "apex", "offset"]
        path = self.folder / name
        if path.suffix == ".xls":
            xlwt = pytest.importorskip("xlwt")
            book = xlwt.Workbook()
            sheet = book.add_sheet("clips")
            for i, row in enumerate([header, *self.rows]):
                for k, cell in enumerate(row):
                    sheet.write(i, k, cell)
            book.save(str(path))
            return path
        if path.suffix == ".xlsx":
            book = openpyxl.Workbook()
            for row in [header, *self.rows]:
                book.active.append(row)
            book.save(path)
            return path
        with path.open("w", newline="", encoding=encoding) as file:
            csv.writer(file, delimiter=delimiter).writerows([header, *self.rows])
        return path

    def builder(self, table=None, **fields):
        table = table or self.table()
        fields = {"modality": "clip", "resample": "uniform", "frames": 6, **fields}
        data = Folder(
            table=str(table), size=SIZE, data_dir=self.folder / "made", **fields
        )
        return builder_of(data)

    def clips(self, **fields):
        builder = self.builder(**fields)
        assert builder.problems() == []
        return [builder.example(item) for item in builder.items()]

    def problem(self, **fields):
        problems = self.builder(**fields).problems()
        assert len(problems) == 1, problems
        return problems[0]


@pytest.fixture(name="mine")
def _mine(tmp_path):
    pytest.importorskip("av")
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


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "row, value, words",
    [
        (0, "frames/none", "no folder of clip"),
        (0, "mine.csv", "neither a folder of frames nor a video"),
        (0, "../elsewhere", "--root DIR"),
        (1, "/somewhere/else.mkv", "--root DIR"),
        (4, "films/1", "is of"),
        (0, "frames/0/../1", "no folder of clip"),
        (1, "films/1.MKV", "did you mean '1.mkv'"),
        (1, "films/11.mkv", "no folder of clip"),
        (1, "link.mkv", "a link that leads nowhere"),
        (0, "films", "has no frames"),
        (0, "pipe.mkv", "neither a folder of frames nor a video"),
        (0, "text.mp4", "cannot be read as a video"),
        (0, "empty.mp4", "is empty"),
        (0, "picture.mp4", "has one frame"),
        (0, "two", "are both frame 2"),
        (0, "gap", "lacks 1 of 3 frames (2)"),
    ],
)
@pytest.mark.parametrize("moments", [True, False])
def test_a_place_that_is_none_is_named_with_its_row(mine, row, value, words, moments):
    mine.rows[row][0] = value
    if moments:
        mine.rows[row][3:] = [1, 2, 3]
    else:  # the whole clip: what is wrong is the place, and no empty cell
        mine.rows[row][3:] = ["", "", ""]
    (mine.folder / "link.mkv").symlink_to("nowhere.mkv")
    os.mkfifo(mine.folder / "pipe.mkv")
    (mine.folder / "text.mp4").write_text("clip,subject")
    (mine.folder / "empty.mp4").touch()
    for name in ("two/1.png", "two/2.png", "two/2.jpg", "gap/1.png", "gap/3.png"):
        file = mine.folder / name
        file.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(file), mine.written[0][0])
    shutil.copy(mine.folder / "two/1.png", mine.folder / "picture.mp4")
    if words == "is of":  # found without its ending: another's clip, but no mistake
        assert len(mine.clips()) == 6
        return
    problem = mine.problem()
    if words == "has one frame" and moments:
        words = "lacks 2 of 3 frames"
    assert words in problem and f"mine.csv, row {row + 2}" in problem


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


def test_a_damaged_video_is_named(mine):
    path = mine.folder / "films/1.mkv"
    path.write_bytes(b"")
    assert f"{path} is empty" in mine.problem()
    film(path, mine.written[1])
    cut(path, 0.5)
    found = mine.problem()
    assert "lacks" in found and str(path) in found


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


def test_a_table_begins_with_the_clips_that_lie_there(mine, capsys):
    out = mine.folder / "new.csv"
    words = ["data", "new", "folder", "--out", str(out)]
    assert main(words) == 0
    said = capsys.readouterr().out
    with out.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    places = [f"films/{n}.mkv" for n in (1, 3, 5)] + [f"frames/{n}" for n in (0, 2, 4)]
    assert [row[0] for row in rows] == places
    assert header[:3] == ["clip", "subject", "label"] and rows[0][1] == "films"
    assert main(words) == 2
    # As it says: to fill it in, and to check.
    command = said.partition("then `jmer ")[2].partition("`")[0].split()
    assert main([*command, "--data-dir", str(mine.folder)]) == 1
    with out.open("w", newline="") as file:
        filled = [[row[0], str(n % 3), "ab"[n % 2]] for n, row in enumerate(rows)]
        csv.writer(file).writerows([header[:3], *filled])
    capsys.readouterr()
    assert main([*command, "--data-dir", str(mine.folder)]) == 0
    assert "6 clips, 3 subjects (3 a, 3 b)" in capsys.readouterr().out


def listed(folder, code=0, **options):
    """The places in a table that is begun of a folder."""
    out = folder / "begun.csv"
    out.unlink(missing_ok=True)
    more = [word for name, value in options.items() for word in (f"--{name}", value)]
    assert main(["data", "new", "folder", "--out", str(out), *map(str, more)]) == code
    if code:
        assert not out.exists()
        return []
    with out.open(encoding="utf-8-sig", newline="") as file:
        return [row[0] for row in [*csv.reader(file)][1:]]


def touched(*files):
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def test_each_file_is_listed_once_by_whatever_links(tmp_path):
    mine, outside = tmp_path / "mine", tmp_path / "outside"
    films = [mine / "a/x.mkv", mine / "b/c/y.mp4", mine / "frames/1.png"]
    films += [outside / "deep/z.avi", mine / ".git/annex/kept.mkv"]
    touched(*films)
    own = ["a/x.mkv", "b/c/y.mp4", "frames"]
    for place, target in [
        ("a/again", "."),  # itself
        ("a/up", ".."),
        ("b/c/top", mine),
        ("b/other", "../a"),
        ("b/round", "c/round"),  # each other
        ("b/c/round", "../round"),
        ("0.mkv", "a/x.mkv"),
        ("0frames", "frames"),
        ("around", tmp_path),
    ]:
        (mine / place).symlink_to(target)
    assert listed(mine) == own
    # Out of it, by two links, and into what is hidden.
    (mine / "out").symlink_to(outside)
    (mine / "out2").symlink_to(outside / "deep")
    (outside / "back").symlink_to(mine / "a")
    (mine / "kept.mkv").symlink_to(".git/annex/kept.mkv")
    assert listed(mine) == [*own, "kept.mkv", "out/deep/z.avi"]


@pytest.mark.parametrize(
    "files",
    [
        [],
        ["notes.txt", "a/b/face.png"],
        ["a/.x.mkv"],
        ["r/experiment.json", "r/thumbnails/01.png"],
    ],
)
def test_a_folder_without_clips_is_no_table(tmp_path, capsys, files):
    mine = tmp_path / "mine"
    touched(mine / "empty/none", *(mine / file for file in files))
    listed(mine, code=1)
    said = capsys.readouterr().err
    assert said.startswith(f"error: {mine} has no clips") and said.count("\n") == 1
    assert all(word in said for word in (".mkv", ".png", "--root DIR"))
    touched(tmp_path / "films/a.mkv")
    assert listed(mine, root=tmp_path / "films") == ["a.mkv"]


def test_what_jmer_wrote_is_no_clip(tmp_path, capsys):
    touched(
        *(tmp_path / "runs/one" / name for name in
          ("experiment.json", "thumbnails/01.png", "explain/1/figures/1.png")),
        *(tmp_path / "predictions/x-one" / name for name in
          ("predict.md", "predict.html", "figures/classes-001.png")),
        # A prediction of films among them, and figures that are nobody's page.
        *(tmp_path / "films" / name for name in
          ("predict.md", "predict.html", "figures/face-1.png", "a.mkv")),
        *(tmp_path / "lab" / name for name in ("figures/1.png", "index.html")),
    )  # fmt: skip
    assert listed(tmp_path) == ["films/a.mkv", "lab/figures"]
    assert "2 clips of" in capsys.readouterr().out


def frames_at(mine, *places):
    """Rows of one subject, each of frames of its own."""
    mine.rows = []
    for n, place in enumerate(places):
        folder = mine.folder / place
        folder.mkdir(parents=True)
        for i in range(1, 4):
            cv2.imwrite(f"{folder}/{i}.png", mine.written[n][i])
        mine.rows.append([place, "s9", "ab"[n % 2], 1, 2, 3])


@pytest.mark.parametrize(
    "places", [("a-b/c", "a/b-c"), ("x/Film", "x/film"), ("s9/q-r", "s9/q/r")]
)
def test_two_files_of_one_name_are_no_duplicate(mine, capsys, places):
    frames_at(mine, *places, "z")
    for n, row in enumerate(mine.rows):
        row.append(f"own{n}" if n < 2 else "")
    header = ["clip", "subject", "label", "onset", "apex", "offset", "Name"]
    table = mine.table(header=header)
    (problem,) = mine.builder(table=table).problems()
    for words in (f"row 3: two files have one name: {places[1]} here", places[0],
                  "in row 2", "Or leave both rows out"):  # fmt: skip
        assert words in problem
    code, said = checked(capsys, mine, "--table", str(table))
    assert code == 1 and "files that have one name: 1" in said
    assert "without 2 rows: `" in said
    # Each remedy, as it is typed.
    whole = ("--table", str(table))
    code, said = checked(capsys, mine, *whole, "--columns", "clip_name=Name")
    assert code == 0 and "3 clips, 1 subject" in said
    named = mine.clips(table=table, columns=("clip_name=Name",))
    assert [clip["clip_id"] for clip in named] == ["own0", "own1", "z"]
    out = problem.rpartition("--exclude ")[2]
    code, said = checked(capsys, mine, *whole, "--exclude", out)
    assert code == 0 and "1 clip, 1 subject" in said
    (mine.folder / places[1]).rename(mine.folder / "renamed")
    mine.rows[1][0] = "renamed"
    assert len(mine.clips(table=mine.table(header=header))) == 3


@pytest.mark.parametrize("times, more", [(2, "both rows"), (3, "all 3 rows")])
@pytest.mark.parametrize("place", ["films/1.mkv", "./films/1.mkv"])
def test_leaving_a_duplicate_out_says_what_it_drops(mine, capsys, times, more, place):
    mine.rows = [mine.rows[0], *[[*mine.rows[1]] for _ in range(times)]]
    mine.rows[2][0] = place
    mine.rows[2][2] = "sad" if times == 2 else "happy"
    table = mine.table()
    problems = mine.builder(table=table).problems()
    assert len(problems) == times - 1
    assert all("duplicate clip" in p and f"leave {more} out" in p for p in problems)
    _, said = checked(capsys, mine, "--table", str(table))
    assert f"without {times} rows: `" in said
    out = problems[0].rpartition("--exclude ")[2].strip("'")
    code, said = checked(capsys, mine, "--table", str(table), "--exclude", out)
    assert code == 0 and f"left out: {times} " in said


@pytest.mark.parametrize("times", ["frames", "seconds"])
def test_all_bad_rates_are_named_at_once(mine, capsys, times):
    moments = [0, 0, 0.1] if times == "seconds" else [3, 5, 8]
    mine.rows = [[*mine.rows[0][:3], *moments] for _ in range(7)]
    rates = [-25, 0, "1.5.2", "inf", "1e9", "fast", 10]
    mine.rows = [[*row, rate] for row, rate in zip(mine.rows, rates, strict=True)]
    for n, row in enumerate(mine.rows):
        row[1] = f"p{n}"
    header = ["clip", "subject", "label", "onset", "apex", "offset", "fps"]
    table = str(mine.table(header=header))
    problems = mine.builder(table=table, times=times).problems()
    assert len(problems) == 6
    for n, (problem, rate) in enumerate(zip(problems, rates, strict=False), start=2):
        assert f"row {n}: fps '{rate}' is no number" in problem
    out = [p.rpartition("--exclude ")[2] for p in problems]
    words = ["--table", table, "--times", times, "--exclude", *out]
    code, said = checked(capsys, mine, *words)
    assert code == 0 and "1 clip, 1 subject" in said and "left out: 1 p0/" in said


def test_all_bad_cells_of_a_row_are_named_at_once(mine, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("label;class\nhappy;a\nsad;b\n")
    header = ["clip", "subject", "label", "onset", "apex", "offset", "fps"]
    happy = [*mine.rows[0], ""]
    mine.rows = [
        happy,
        ["frames/2", "p2", "sad", "x", "-1", "3.5", "fast"],
        ["frames/none", "p3", "fear", "x", 5, 8, -1],
        ["films/none.mkv", "", "fear", 3, 5, "y", 10],
        ["films/1.mkv", "p4", "sad", 3, "3-May", "", 0],
    ]
    table = mine.table(header=header)
    found = {n: [] for n in range(2, 7)}
    for problem in mine.builder(table=table, labels=labels).problems():
        found[int(problem.partition("row ")[2].partition(":")[0])].append(problem)
    wanted = {
        2: [],
        3: ["fps 'fast'", "onset 'x'", "offset '3.5'", "apex '-1'"],
        4: ["no folder of clip", "fps '-1'", "unknown label 'fear'", "onset 'x'"],
        5: ["no folder of clip", "subject or clip is empty", "unknown label 'fear'",
            "offset 'y'"],
        6: ["fps '0'", "apex '3-May'"],
    }  # fmt: skip
    for row, words in wanted.items():
        assert len(found[row]) == len(words), found[row]
        assert all(w in p for w, p in zip(words, found[row], strict=True))
    mine.rows = [["frames/0", "p0", "happy", "a", -1, 99, 10], happy]
    problems = mine.builder(table=mine.table(header=header), times="seconds").problems()
    assert [p.partition(": ")[2][:9] for p in problems[:3]] == [
        "onset 'a'", "apex '-1'", "offset '9"]  # fmt: skip


@pytest.mark.parametrize("word", ["calm", "Very Calm", "7"])
def test_a_word_that_labels_lack_is_added_to_them(mine, tmp_path, capsys, word):
    labels = tmp_path / "labels.csv"
    labels.write_text("label;class\nHappy;Good\nsad;bad\n")
    mine.rows[2][2] = mine.rows[5][2] = word
    words = ("--table", str(mine.table()), "--labels", str(labels))
    code, said = checked(capsys, mine, *words)
    assert code == 1 and f"unknown label '{word.lower()}'" in said
    assert f"happy, sad, or be added to {labels}, where an empty class" in said
    labels.write_text(f"{labels.read_text()}{word};\n")
    code, said = checked(capsys, mine, *words)
    assert code == 0 and f"left out: 2 {word.lower()} (no class in {labels})" in said
    code, said = checked(capsys, mine, *words, "--classes", "Good")
    assert "left out: 2 sad (no class of Good)" in said
    assert f"left out: 2 {word.lower()} (no class in {labels})" in said
    labels.write_text(labels.read_text().replace(";\n", ";calm\n"))
    code, said = checked(capsys, mine, *words)
    assert code == 0 and "(2 Good, 2 bad, 2 calm)" in said


def test_capitals_make_no_other_class(mine):
    words = ("Up", "up", "UP", "down", "Down", "down")
    for row, word in zip(mine.rows, words, strict=True):
        row[2] = word
    builder = mine.builder()
    assert builder.problems() == [] and builder.class_names() == ("Up", "down")


@pytest.mark.parametrize("titles", [("a", "b"), ("2023", "2024", "Copy")])
def test_two_sheets_of_a_workbook_are_no_parts(mine, capsys, titles):
    path = mine.table("t.xlsx")
    book = openpyxl.load_workbook(path)
    first = book.active
    first.title = titles[0]
    for title in titles[1:]:
        book.copy_worksheet(first).title = title
    book.save(path)
    code, said = checked(capsys, mine, "--table", str(path))
    assert code == 1 and "part" not in said and ", ".join(titles) in said
    assert "Remove all but one, or save that one as CSV." in said
    for title in titles[1:]:
        book.remove(book[title])
    book.save(path)
    assert checked(capsys, mine, "--table", str(path))[0] == 0


@pytest.mark.parametrize("inside", [[], ["mine.csv"], ["b.xlsx", "mine.csv", "x.txt"]])
def test_a_folder_is_no_table(mine, capsys, inside):
    path = mine.folder / "tables"
    path.mkdir()
    touched(*(path / name for name in inside))
    code, said = checked(capsys, mine, "--table", str(path))
    assert code == 1 and f"error: {path} is a folder: give the table in it" in said
    shown = [str(path / name) for name in inside if not name.endswith(".txt")]
    assert (f"(such as {', '.join(shown)})" if shown else "workbook, with") in said
    assert "`jmer data new folder`" in said and "--table FILE" in said


def checked(capsys, mine, *words):
    """The code of a check of the table, and what it said."""
    home = ["--data-dir", str(mine.folder / "made")]
    code = main(["data", "check", "folder", *home, *words])
    return code, "".join(capsys.readouterr())


def test_what_errors_tell_to_type_works(mine, capsys):
    table = str(mine.table())
    code, said = checked(capsys, mine)
    assert code == 1 and "--table FILE" in said
    assert main(["data", "new", "folder", "--out", str(mine.folder / "t.csv")]) == 0
    code, said = checked(capsys, mine, "--table", f"{table}x")
    assert code == 1 and "--table FILE" in said
    code, said = checked(capsys, mine, "--table", table)
    assert code == 0 and "6 clips" in said
    code, said = checked(capsys, mine, "--table", table, "--classes", "hapy")
    assert code == 1 and "Classes are calm, happy, sad" in said
    assert checked(capsys, mine, "--table", table, "--classes", "happy")[0] == 0

    seconds = "--table", table, "--times", "seconds"
    code, said = checked(capsys, mine, *seconds)
    assert code == 1 and "--times frames" in said and "--fps RATE" in said
    assert checked(capsys, mine, "--table", table, "--times", "frames")[0] == 0
    assert checked(capsys, mine, *seconds, "--fps", "1")[0] == 1  # of films, of 0.2 s
    only = [
        word
        for n in (1, 3, 5)
        for word in ("--exclude", f"P {n // 2}, née Ñ/films-{n}")
    ]
    assert checked(capsys, mine, *seconds, "--fps", "1", *only)[0] == 0

    lists = mine.folder / "lists"
    lists.mkdir()
    other = mine.table("lists/t.csv")
    code, said = checked(capsys, mine, "--table", str(other))
    assert code == 1 and "no folder of clip" in said
    assert (
        checked(capsys, mine, "--table", str(other), "--root", str(mine.folder))[0] == 0
    )
    mine.rows[0][0] = "../frames/0"
    code, said = checked(capsys, mine, "--table", str(mine.table("lists/u.csv")))
    assert code == 1 and "--root DIR" in said

    named = str(mine.table(header=["Was", "Wer", "Wie", "a", "b", "c"]))
    code, said = checked(capsys, mine, "--table", named)
    assert code == 1 and "--columns clip=NAME subject=NAME label=NAME" in said
    mine.rows[0][0] = "frames/0"
    mine.table(header=["Was", "Wer", "Wie", "a", "b", "c"])
    words = ("--columns", "clip=Was", "subject=Wer", "label=Wie")
    assert checked(capsys, mine, "--table", named, *words)[0] == 0
