"""Which number of a file's name counts the frames of its folder."""

from pathlib import Path

import pytest

from data_builders.frame_numbers import numbered
from jmer.errors import JmerError

FOLDER = Path("clip")


def read(*names):
    found = numbered(FOLDER, [FOLDER / name for name in sorted(names)])
    return {number: path.name for number, path in found.items()}


def series(pattern, numbers=range(46, 50)):
    return [pattern.format(n) for n in numbers]


@pytest.mark.parametrize(
    "pattern",
    [
        "img{}.jpg",
        "img{}_0.jpg",
        "img{} (1).jpg",
        "img{}-copy.jpg",
        "img{}.jpg.jpg",
        "frame_{}_of_90.png",
        "EP01_12-{}.jpg",
        "006_{:05d}.jpg",
        "{}_200fps_20140508.bmp",
        "2014-05-08_{}_10.30.00.png",
        "img{0}_{0}.tif",
        "IMG ({}).JPG",
        "frame-{}.pgm",
    ],
)
def test_the_number_that_varies_counts(pattern):
    names = series(pattern)
    assert list(read(*names)) == [46, 47, 48, 49]
    assert read(*names)[48] == pattern.format(48)


def test_of_two_that_vary_the_one_without_gaps_counts():
    names = [f"img{n}_{1000 + 33 * n * n}.png" for n in range(46, 50)]
    assert list(read(*names)) == [46, 47, 48, 49]
    # The camera changes, too, but does not tell frames apart.
    names = [f"cam{n % 2}_{n}.png" for n in range(4)]
    assert list(read(*names)) == [0, 1, 2, 3]


def test_what_is_no_frame_is_passed_over():
    beside = ("._img46.jpg", ".img7.jpg", "Thumbs.db", "notes 7.txt", "x.png")
    assert list(read(*series("img{}.jpg"), *beside)) == [46, 47, 48, 49]


def test_paddings_and_foreign_names_may_mix():
    names = [*series("img{:03d}.jpg", range(1, 4)), "img4.jpg", "bild 5.png"]
    assert list(read(*names)) == [1, 2, 3, 4, 5]
    assert read("img7.jpg") == {7: "img7.jpg"}
    assert read() == {}


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ("img47_0.jpg", r"img47_0\.jpg may be frame 47 or 0, .* than img47\.jpg\. Rem"),
        ("img47 (1).jpg", r"img47 \(1\)\.jpg may be frame 47 or 1"),
        ("img60_0.jpg", r"img60_0\.jpg may be frame 60 or 0, .* than img46\.jpg"),
        ("img47-copy.jpg", r"img47-copy\.jpg and img47\.jpg are both|img47\.jpg and i"),
        ("img47.jpg.jpg", r"img47\.jpg and img47\.jpg\.jpg are both frame 47. Remove"),
        ("img047.jpg", r"img047\.jpg and img47\.jpg are both frame 47"),
        ("img47.png", r"img47\.jpg and img47\.png are both frame 47"),
        ("copy_img47.jpg", r"img47\.jpg and copy_img47\.jpg are both frame 47"),
    ],
)
def test_one_file_that_is_called_otherwise(odd, words):
    with pytest.raises(JmerError, match=words):
        read(*series("img{}.jpg"), odd)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a1_100.png", "a2_133.png", "a4_200.png"], "differ in more than one number"),
        (["cam1_5.png", "cam2_5.png", "cam1_6.png", "cam2_6.png"], "both frame|differ"),
        (["img46_1.jpg", "img46_2.jpg", "img47_1.jpg", "img48_1.jpg"], "both frame 46"),
        ([*series("img{}.jpg"), *series("img{}_thumb.jpg")], "are both frame 46"),
    ],
)
def test_names_that_do_not_tell_are_refused(names, words):
    with pytest.raises(JmerError, match=words):
        read(*names)
