"""Videos that were cut off, and how many frames they have a second."""

import csv
import dataclasses
import struct

import numpy as np
import pytest
from filmed import cut, film, noise

from data_builders.folder import Folder
from data_builders.video_ends import lacks_bytes
from data_builders.video_files import Video, video
from jmer.cli import main
from jmer.data.maker import builder_of
from jmer.predict.source import Film, frame_rate

SIZE = 32
KINDS = [
    ("a.mkv", {}),
    ("b.mkv", {"sound": True}),
    ("c.webm", {"codec": "libvpx"}),
    ("d.avi", {}),
]


def written(folder, name, options, count=30, rate=30):
    return film(folder / name, noise(count, SIZE, SIZE), rate=rate, **options)


@pytest.mark.parametrize("name, options", [*KINDS, ("e.mp4", {"codec": "libx264rgb"})])
def test_a_whole_file_has_all_that_it_says(tmp_path, name, options):
    path = written(tmp_path, name, options)
    assert not lacks_bytes(path) and video(path).lost == 0
    assert video(path).frame_rate == pytest.approx(30, abs=1e-9)


@pytest.mark.parametrize("name, options", KINDS)
def test_a_file_that_was_cut_off_tells_what_it_lost(tmp_path, name, options):
    path = cut(written(tmp_path, name, options))
    known = video(path)
    assert lacks_bytes(path) and 5 < len(known) < 30
    assert known.lost == pytest.approx(1 - len(known) / 30, abs=0.01)
    film = Film(path)
    assert "cut off" in film.notes[0] and f"{film.seconds[-1]:.2f} s" in film.notes[0]


def test_a_file_without_its_last_bytes_has_lost_no_frame(tmp_path):
    path = written(tmp_path, "a.mkv", {})
    path.write_bytes(path.read_bytes()[:-5])  # of the index behind the frames
    assert lacks_bytes(path) and len(video(path)) == 30 and video(path).lost == 0


def test_a_film_for_the_web_that_was_cut_off(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as file:
        stream = file.add_stream("libx264rgb", rate=25, options={"crf": "0"})
        stream.height = stream.width = SIZE
        stream.pix_fmt = "rgb24"
        for picture in noise(20, SIZE, SIZE):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        file.mux(stream.encode())
    assert not lacks_bytes(path) and video(path).lost == 0
    cut(path)
    found = video(path)
    assert found.lost == pytest.approx(0.8 - len(found) / 25, abs=0.01)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x1a\x45",
        b"RIFF",
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01" + b"\xff" * 7,
        struct.pack(">I4s", 0, b"ftyp") + bytes(99),
        b"clip,subject\n",
    ],
    ids=["empty", "head", "riff", "as it was sent", "to the end", "text"],
)
def test_what_says_nothing_of_its_end_is_taken_as_it_is(tmp_path, content):
    path = tmp_path / "a.mkv"
    path.write_bytes(content)
    assert not lacks_bytes(path)


def test_a_box_may_be_long(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(struct.pack(">I4sQ", 1, b"mdat", 40) + bytes(24))
    assert not lacks_bytes(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert lacks_bytes(path)


@pytest.mark.parametrize(
    "rate, count", [(30, 24), (30, 40), (24, 17), (60, 50), (30000 / 1001, 60)]
)
def test_moments_in_milliseconds_have_the_rate_that_they_are_rounded_from(rate, count):
    ticks = tuple(np.round(np.arange(count) * 1000 / rate).astype(int).tolist())
    told = Video(ticks, 1e-3, stated=rate)
    assert told.frame_rate == rate
    # A file that says another rate, or none, has that of all its frames.
    step = np.round(1000 / rate)
    for stated in (0.0, 50.0):
        found = dataclasses.replace(told, stated=stated).frame_rate
        assert abs(found - rate) < abs(1000 / step - rate) + 1e-9
        assert found == pytest.approx(rate, rel=1e-3 * rate / count)


def test_other_moments_have_the_rate_of_the_usual_step():
    assert Video((0, 10, 50, 60, 200, 210), 1e-3, stated=50).frame_rate == (
        pytest.approx(100)
    )
    assert Video((0, 512, 1024), 1 / 15360, stated=25).frame_rate == pytest.approx(30)
    assert Video((7,), 1e-3, stated=30).frame_rate == 0
    # One frame that is shown twice as long is no rounding.
    assert Video((0, 33, 67, 134), 1e-3, stated=30).frame_rate == pytest.approx(
        1 / 0.034
    )


def test_a_prediction_takes_the_rate_that_a_set_does(tmp_path):
    path = written(tmp_path, "a.mkv", {}, count=24)
    assert frame_rate(Film(path)) == video(path).frame_rate == 30


def test_a_row_names_a_video_that_was_cut_off(tmp_path, capsys):
    cut(written(tmp_path, "a.mkv", {}))
    written(tmp_path, "b.mkv", {})
    table = tmp_path / "t.csv"

    def checked(*rows):
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([["clip", "subject", "label", "offset"], *rows])
        data = Folder(
            table=str(table), modality="clip", resample="uniform", frames=4, size=SIZE,
            data_dir=tmp_path / "made",
        )  # fmt: skip
        return builder_of(data).problems()

    fine = ["b.mkv", "p2", "sad", ""]
    (problem,) = checked(["a.mkv", "p1", "happy", ""], fine)
    assert f"{table}, row 2: {tmp_path / 'a.mkv'} was cut off" in problem
    assert "fill in the offset" in problem
    assert checked(["a.mkv", "p1", "happy", "9"], fine) == []
    (problem,) = checked(["a.mkv", "p1", "happy", "29"], fine)
    assert "row 2" in problem
    words = ["--table", str(table), "--data-dir", str(tmp_path), "--modality", "clip"]
    assert main(["data", "check", "folder", *words]) == 1
    assert "row 2" in "".join(capsys.readouterr())
