"""Frames of video files, to the bit, and files that are no videos."""

import numpy as np
import pytest
from filmed import cut, film, noise, turned

from data_builders.video_files import VideoFrame, pictures, video
from jmer.errors import JmerError


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
