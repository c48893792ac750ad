"""`jmer predict`: what a run makes of a video, by its command."""

import csv
import json
import wave

import numpy as np
import pytest
from filmed import film, noise, turned
from untrained import write_untrained_run

from data_builders.synthetic import Synthetic
from jmer.cli import main
from jmer.data import load
from jmer.errors import JmerError
from jmer.models.ststnet import STSTNetConfig
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.synthetic.rendering import render_clip
from jmer.synthetic.spec import SyntheticSpec

SET = {"subjects": 3, "clips": 9, "length": 12, "size": 32}
SPEC = SyntheticSpec(subjects=4, clips=8, length=24, size=64, expressions=1, seed=9)
RATE = 24


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    pytest.importorskip("av")
    return tmp_path_factory.mktemp("predict")


@pytest.fixture(scope="module")
def namer(place):
    data = Synthetic(**SET, flow_size=8, data_dir=place / "tfds")
    network = STSTNetConfig(size=8, filters=(2,))
    write_untrained_run(place / "namer", network, data, load(data), seeds=(0, 3))
    return place / "namer"


@pytest.fixture(scope="module")
def spotter(place):
    data = Synthetic(
        **SET | {"modality": "clip", "expressions": 1}, data_dir=place / "tfds"
    )
    network = VisualMemoryConfig(
        frames=12, steps=11, size=32, width=2, hidden=3, temporal_net=False,
        contrast=False, memory="none",
    )  # fmt: skip
    write_untrained_run(place / "spotter", network, data, load(data))
    return place / "spotter"


@pytest.fixture(scope="module")
def video(place):
    return film(place / "face.mkv", render_clip(SPEC, 0).frames, rate=RATE)


def told(out):
    return json.loads((out / "predict.json").read_text())


def wrong(capsys, *words):
    """The one line that a command ends with, and its exit code."""
    code = main(["predict", *map(str, words)])
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error:")]
    assert len(lines) == 1
    return lines[0], code


def test_windows_have_the_mean_of_all_trainings(namer, video, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["predict", namer, video, "--out", out, "--align", "none", "--most", "0"]
    assert main([*map(str, words)]) == 0
    said = capsys.readouterr().out
    assert "by 6 trainings" in said and "synthetic faces alone" in said
    found = told(out)
    assert found["intervals_from"] is None and "intervals" not in found
    assert len(found["classes_from"]["members"]) == 6
    for one in found["windows"]:
        shares = [x["mean"] for x in one["probabilities"].values()]
        assert sum(shares) == pytest.approx(1, abs=1e-4)
        assert one["onset"] < one["offset"] and one["onset"] <= one["apex"]
    assert found["windows"][0]["onset"] == 0
    assert found["windows"][-1]["offset"] == pytest.approx(23 / RATE, abs=0.05)
    page = (out / "predict.html").read_text()
    assert "What it cannot know" in page and "http" not in page.partition("<body")[2]
    rows = [*csv.DictReader((out / "found.csv").read_text().splitlines())]
    assert len(rows) == len(found["windows"])
    assert {*found["figures"]} == {
        str(file.relative_to(out)) for file in (out / "figures").iterdir()
    }


def test_a_spotter_finds_what_another_names(namer, spotter, video, tmp_path):
    out = tmp_path / "out"
    words = ["predict", namer, video, "--spotter", spotter, "--out", out]
    words += ["--align", "none"]
    words += ["--threshold", "0.4", "--most", "0", "--spotter-fold", "syn03"]
    assert main([*map(str, words)]) == 0
    found = told(out)
    rows = [*csv.DictReader((out / "curve.csv").read_text().splitlines())]
    # Each frame but the first, whose motion nobody knows.
    assert len(rows) == 23
    times = [float(row["seconds"]) for row in rows]
    np.testing.assert_allclose(times, np.arange(1, 24) / RATE, atol=2e-3)
    levels = np.array([float(row["intensity"]) for row in rows])
    above = levels >= 0.4
    assert len(found["intervals"]) == int(
        (np.diff(np.concatenate([[0], above, [0]])) == 1).sum()
    )
    assert found["intervals_from"]["network"] == "visual_memory"
    assert found["intervals_from"]["members"] == ["syn03, seed 0"]
    assert found["classes_from"]["network"] == "ststnet"
    assert all("probabilities" in one for one in found["intervals"])


def test_one_fold_is_one_training(namer, video, tmp_path):
    words = ["predict", namer, video, "--clip", "whole", "--align", "none"]
    shares = []
    for i, more in enumerate(([], ["--fold", "syn02", "--seed", "3"])):
        out = tmp_path / str(i)
        assert main([*map(str, [*words, *more, "--out", out, "--most", "0"])]) == 0
        found = told(out)
        assert len(found["windows"]) == 1
        shares.append(found["windows"][0]["probabilities"])
    assert found["classes_from"]["members"] == ["syn02, seed 3"]
    assert all(x["spread"] == 0 for x in shares[1].values())
    assert any(x["spread"] > 0 for x in shares[0].values())


def test_the_same_folder_twice_has_no_figure_of_before(namer, video, tmp_path):
    words = ["predict", namer, video, "--align", "none", "--fold", "syn01"]
    words += ["--out", tmp_path / "out"]
    mine = tmp_path / "out/figures/mine.png"
    for most in ("1", "0"):
        assert main([*map(str, [*words, "--most", most])]) == 0
        mine.write_bytes(b"mine")
    assert {f.name for f in mine.parent.iterdir()} == {*(
        "mine.png", "windows.png", "face.png",
    )}  # fmt: skip


def test_a_folder_of_frames_and_one_of_videos(namer, video, tmp_path, capsys):
    import cv2

    frames = tmp_path / "frames"
    frames.mkdir()
    for i, frame in enumerate(render_clip(SPEC, 0).frames):
        cv2.imwrite(str(frames / f"img{i:03d}.png"), frame[..., ::-1])
    line, code = wrong(capsys, namer, frames, "--out", tmp_path / "o")
    assert code == 2 and "--fps RATE" in line
    words = ["predict", namer, frames, video.parent / "face.mkv", "--align", "none"]
    words += ["--fps", RATE, "--out", tmp_path / "o", "--most", "0"]
    assert main([*map(str, words)]) == 0
    both = [told(tmp_path / "o" / name)["windows"] for name in ("frames", "face")]
    for one, other in zip(*both, strict=True):
        assert one["frames"] == other["frames"]
        assert one["class"] == other["class"]


def test_images_of_twelve_bits_in_sixteen_are_read_as_such(namer, tmp_path):
    import cv2

    from jmer.predict.source import sources

    frame = render_clip(SPEC, 0).frames[0]
    for i in range(3):
        deep = frame[..., ::-1].astype(np.uint16) * 16
        cv2.imwrite(str(tmp_path / f"{i}.png"), deep)
    source = sources(tmp_path, 25)[0]
    assert "12 bits" in source.notes[0]
    [(number, seen), *_] = source.pictures([0])
    assert number == 0
    np.testing.assert_array_equal(seen, frame)


def test_grey_turned_and_unsteady_films_are_looked_at(namer, place, tmp_path):
    from jmer.predict.source import sources

    grey = np.repeat(noise(6)[..., :1], 3, -1)
    steady = film(place / "grey.mkv", grey, rate=25)
    [(_, seen)] = sources(steady)[0].pictures([2])
    np.testing.assert_array_equal(seen, grey[2])
    tall = film(place / "tall.mp4", noise(4, 48, 64), codec="libx264rgb")
    [(_, seen)] = sources(turned(tall, 90))[0].pictures([1])
    assert seen.shape == (64, 48, 3)
    times = [0, 40, 90, 200, 220, 300]
    unsteady = sources(film(place / "odd.mkv", noise(6), times=times))[0]
    np.testing.assert_allclose(unsteady.seconds, np.array(times) / 1000)
    assert "Frames are shown for 20 to 110 ms" in unsteady.notes[0]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("empty.mp4", "is empty"),
        ("text.mkv", "cannot be read as a video"),
        ("one.mkv", "one frame, in which nothing moves"),
        ("gone.mp4", "does not exist"),
        ("picture.png", "one image"),
    ],
)
def test_what_is_no_video_is_one_error(name, why, namer, tmp_path, capsys):
    file = tmp_path / name
    if name == "one.mkv":
        film(file, noise(1))
    elif name != "gone.mp4":
        file.write_bytes(b"" if name == "empty.mp4" else b"no video")
    words = ("--align", "none", "--out", tmp_path / "out")  # nobody looks for faces
    line, code = wrong(capsys, namer, file, *words)
    assert code in (1, 2) and why in line and name in line
    assert not (tmp_path / "out").exists()


def test_a_video_is_one_whatever_it_is_called(namer, tmp_path):
    from jmer.predict.source import opened

    film(tmp_path / "real.mp4", noise(4), codec="mpeg4")
    for name in ("called.jpg", "called.PNG", "no ending"):
        (tmp_path / name).write_bytes((tmp_path / "real.mp4").read_bytes())
        assert len(opened(tmp_path / name).seconds) == 4


def test_of_several_videos_the_whole_ones_are_looked_at(namer, tmp_path, capsys):
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("b.mkv", "d.mkv"):
        film(clips / name, noise(20), rate=25)
    (clips / "a.mp4").write_bytes(b"")
    (clips / "c.mkv").write_bytes(b"no video")
    words = (clips, "--align", "none", "--most", "0", "--out", tmp_path / "out")
    assert main(["predict", *map(str, (namer, *words))]) == 1
    err = capsys.readouterr().err
    assert "error: 2 of 4 were not looked at" in err and "a.mp4, c.mkv." in err
    # Nobody has a table here whose rows could go.
    assert "a.mp4 is empty. Restore the file." in err and "rows" not in err
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"b", "d"}
    assert all(told(tmp_path / "out" / name)["frames"] == 20 for name in ("b", "d"))


@pytest.mark.parametrize("theirs", ["found.csv", "predict.html", "figures"])
def test_an_answer_takes_nobody_elses_place(theirs, namer, place, tmp_path, capsys):
    first, out = film(place / f"x{theirs}.mkv", noise(20), rate=25), tmp_path / "out"
    words = ("--align", "none", "--most", "0", "--out", out)
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    if theirs == "figures":
        (out / theirs).mkdir()
    else:
        (out / theirs).write_text("mine")
    before = {p.name for p in out.iterdir()}
    line, code = wrong(capsys, namer, first, *words)
    assert code == 2 and f"{theirs} is there already" in line
    assert {p.name for p in out.iterdir()} == before
    command = ["predict", *map(str, (namer, first, *words))]
    assert main([*command, "--overwrite"]) == 0 and told(out)["frames"] == 20
    assert main(command) == 0  # the same question once more
    assert (out / "notes.txt").read_text() == "mine"


def test_an_answer_about_another_video_stays(namer, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--align", "none", "--most", "0")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        film(tmp_path / folder / "x.mkv", noise(20), rate=25)
    ask = ["predict", str(namer), *words]
    assert main([*ask, "a/x.mkv"]) == 0
    (answer,) = (tmp_path / "predictions").iterdir()
    line, code = wrong(capsys, namer, "b/x.mkv", *words)
    assert code == 2 and "about a/x.mkv is there already" in line
    assert "--out" in line and told(answer)["source"] == "a/x.mkv"
    assert main([*ask, "b/x.mkv", "--out", "second"]) == 0
    assert main([*ask, "b/x.mkv", "--overwrite"]) == 0
    assert told(answer)["source"] == "b/x.mkv"


def test_two_processes_do_not_share_a_folder(namer, video, tmp_path, capsys):
    from jmer.files.lock import owned
    from jmer.predict.room import LOCK

    out = tmp_path / "out"
    words = ("--align", "none", "--most", "0", "--out", out)
    with owned(out / LOCK, "somebody"):
        line, code = wrong(capsys, namer, video, *words)
    assert code == 1 and "is in use by" in line and "--out" in line
    assert not out.exists() or not any(out.iterdir())
    # What was killed half-way is written anew.
    out.mkdir(exist_ok=True)
    (out / LOCK).write_text("")
    (out / "predict.html").write_text("half")
    assert main(["predict", *map(str, (namer, video, *words))]) == 0
    assert told(out)["windows"] and not (out / LOCK).exists()


def test_sound_alone_is_no_video_and_is_in_no_table(tmp_path):
    from data_builders import video_files
    from jmer.predict.source import opened

    file = tmp_path / "voice.mp4"
    with wave.open(str(file), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1600))
    with pytest.raises(JmerError, match=r"no pictures\. Name the video\.$"):
        opened(file)
    with pytest.raises(JmerError, match=r"Name the video, or remove its rows\.$"):
        video_files.video(file)


def test_a_film_that_was_cut_off_is_looked_at_as_far_as_it_goes(namer, tmp_path):
    whole = film(tmp_path / "whole.avi", noise(40), codec="mpeg4")
    cut = tmp_path / "cut.avi"
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) * 6 // 10])
    words = ["predict", namer, cut, "--align", "none", "--most", "0"]
    assert main([*map(str, [*words, "--out", tmp_path / "out"])]) == 0
    last = told(tmp_path / "out")["windows"][-1]
    assert 0 < last["frames"][2] < 40


def test_options_that_cannot_be_are_refused(namer, spotter, video, tmp_path, capsys):
    cases = [
        (["--fold", "syn2"], "did you mean 'syn02'", 2),
        (["--seed", "7"], "has 0, 3", 2),
        (["--clip", "2,1"], "ONSET,OFFSET", 2),
        (["--clip", "0.1,70"], "is no moment of it", 1),
        (["--face", "third"], "must be largest, left, right", 2),
        (["--rate", "0"], "must be above 0", 2),
        (["--spotter", str(namer)], "tells no intensity", 2),
        (["--out", str(namer / "in")], "lies in the run", 2),
    ]
    for words, why, expected in cases:
        out = [] if "--out" in words else ["--out", tmp_path / "out"]
        line, code = wrong(capsys, namer, video, *out, "--align", "none", *words)
        assert code == expected and why in line, line
    line, _ = wrong(capsys, spotter, video, "--window", "2", "--align", "none")
    assert "change that with --rate" in line
    assert not (tmp_path / "out").exists()


def test_a_video_or_a_camera_is_needed(namer, capsys):
    for words in ([], ["a.mp4", "--camera", "0"]):
        line, code = wrong(capsys, namer, *words)
        assert code == 2 and "jmer predict RUN VIDEO" in line
    line, code = wrong(capsys, namer, "--camera", "77")
    assert code == 1 and "camera 77" in line


def test_what_is_advised_works_when_typed(namer, spotter, video, tmp_path, capsys):
    words = [spotter, video, "--align", "none", "--most", "0"]
    line, _ = wrong(capsys, *words, "--window", "2", "--out", tmp_path / "out")
    assert "change that with --rate" in line
    taken = tmp_path / "taken"
    taken.write_text("mine")
    line, _ = wrong(capsys, *words, "--rate", "12", "--out", taken)
    assert "choose another folder with --out" in line
    assert taken.read_text() == "mine"
    words += ["--rate", "12", "--out", tmp_path / "out"]
    assert main([*map(str, ["predict", *words])]) == 0
    found = told(tmp_path / "out")
    assert found["seen_at"] == 12
    assert found["window_seconds"] == pytest.approx(11 / 12, abs=1e-4)
    rows = (tmp_path / "out/curve.csv").read_text().splitlines()[1:]
    times = [float(row.split(",")[0]) for row in rows]
    np.testing.assert_allclose(np.diff(times), 1 / 12, atol=1e-3)


def test_the_best_on_inner_clips_is_one_training(namer, monkeypatch):
    import dataclasses

    from jmer.errors import UsageError
    from jmer.predict.members import Members
    from jmer.runs.run import load_run

    run = load_run(namer)
    pack = run.packs[0]
    scores = np.linspace(0, 0.5, len(pack.tasks))
    scores[4] = 0.9
    pack = dataclasses.replace(pack, epoch=np.array([1]))
    best = dataclasses.replace(pack, inner_uf1=scores[None])
    monkeypatch.setitem(run.__dict__, "packs", [best])
    assert Members(run, member="best-inner").tasks == [pack.tasks[4]]
    none = dataclasses.replace(pack, inner_uf1=np.full((1, len(scores)), np.nan))
    monkeypatch.setitem(run.__dict__, "packs", [none])
    with pytest.raises(UsageError, match="no score on inner clips"):
        Members(run, member="best-inner")


def test_trainings_that_disagree_are_told():
    from jmer.predict.cautions import of_members

    assert not of_members(0.02)
    assert "--fold" in of_members(0.3)[0]
