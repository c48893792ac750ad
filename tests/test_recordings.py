"""Recordings of synthetic faces: what is true of them, and the videos of them."""

import csv
import dataclasses

import numpy as np
import pytest
from damaging import append, empty, flip, flip_many, repeat, truncate, zero

from data_builders.video_files import VideoFrame, pictures
from jmer.errors import JmerError, UsageError
from jmer.files import read_json
from jmer.synthetic.footage import MOMENTS, TABLE, TRUTH, write_footage, write_video
from jmer.synthetic.recordings import LONGEST, SHORTEST, Shooting, record
from jmer.synthetic.scenery import draw_stage, head_paths
from jmer.synthetic.spec import SyntheticSpec

SPEC = SyntheticSpec(
    subjects=2, clips=6, size=32, difficulty=0.0, noise=0.2, imbalance=0.0
)
SMALL = Shooting(seconds=1.2, rate=25.0, width=48, height=40)


def test_a_recording_is_the_same_every_time():
    first, second = record(SPEC, 3, SMALL), record(SPEC, 3, SMALL)
    assert np.array_equal(first.frames, second.frames)
    assert first.frames.shape == (30, 40, 48, 3) and first.frames.dtype == np.uint8
    other = record(SPEC, 4, SMALL)
    assert not np.array_equal(first.frames, other.frames)


@pytest.mark.parametrize("rate", [25.0, 30.0, 60.0])
def test_events_last_as_long_at_every_rate(rate):
    shooting = Shooting(seconds=3.0, rate=rate, expressions=2, width=48, height=40)
    one = record(SPEC, 0, shooting)
    assert len(one.frames) == round(3 * rate) and len(one.moments) == 2
    for onset, apex, offset in one.moments:
        assert onset < apex < offset
        takes = (offset - onset) / rate
        assert SHORTEST - 1 / rate <= takes <= LONGEST + 1 / rate
        assert one.intensity[apex] == 1
        assert one.intensity[onset] == one.intensity[offset] == 0
    assert one.moments[0][2] < one.moments[1][0]
    within = sum(offset - onset - 1 for onset, _, offset in one.moments)
    assert (one.intensity > 0).sum() <= within


def test_without_an_expression_nothing_is_shown():
    none = dataclasses.replace(SMALL, expressions=0)
    one = record(SPEC, 0, none)
    assert one.moments == () and not one.intensity.any()


def test_an_expression_moves_the_face_and_rest_does_not():
    still = dataclasses.replace(SPEC, noise=0.0)
    quiet = dataclasses.replace(SMALL, blinks=0, head_moves=0)
    one = record(still, 0, quiet)
    onset, apex, _ = one.moments[0]
    rest = one.frames[:onset].astype(int)
    assert (rest == rest[0]).all()
    assert np.abs(one.frames[apex].astype(int) - rest[0]).max() > 8


def test_too_many_expressions_are_refused():
    with pytest.raises(UsageError, match=r"seconds=1\.0: 2 expressions need 2\.2"):
        Shooting(seconds=1.0, expressions=2)


def test_a_head_lies_well_inside_its_scene():
    for seed in range(20):
        stage = draw_stage(64, 48, 32, np.random.default_rng(seed))
        side = stage.scale * 32
        assert 0.45 * 48 <= side <= 0.68 * 48
        x, y = stage.middle
        assert side / 2 < x < 64 - side / 2 and side / 2 < y < 48 - side / 2


def test_moves_of_the_head_take_as_long_at_every_rate():
    slow, fast = (
        head_paths(3 * rate, rate, 3, 0.0, np.random.default_rng(2))
        for rate in (25, 50)
    )
    assert np.abs(fast[:, ::2] - slow).max() < 1e-9
    assert slow[:2].any() and not slow[2:].any()


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("footage") / "videos"
    return folder, write_footage(folder, SPEC, SMALL)


def rows(file):
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


def test_videos_are_what_was_recorded(footage):
    from data_builders.video_files import VideoFrame, pictures, video

    folder, shown = footage
    assert len(shown) == 6
    for index in (0, 5):
        one = record(SPEC, index, SMALL)
        file = folder / shown[index].video
        found = video(file)
        assert len(found) == len(one.frames) == shown[index].frames
        assert found.frame_rate == pytest.approx(25)
        numbers = [VideoFrame(file, i) for i in range(len(found))]
        seen = np.stack([picture for _, picture in pictures(numbers)])
        # Lossy, and of half the colours.
        assert np.abs(seen.astype(int) - one.frames).mean() < 8


def test_tables_say_what_is_shown(footage):
    folder, shown = footage
    exact, erring = rows(folder / TABLE), rows(folder / MOMENTS)
    assert len(exact) == 6 and len(erring) == 18
    for row, one in zip(exact, shown, strict=True):
        (moments,) = one.moments
        told = tuple(int(row[name]) - 1 for name in ("onset", "apex", "offset"))
        assert told == moments
        assert (row["clip"], row["subject"]) == (one.video, one.subject)
        assert (row["label"], row["dataset"]) == (one.label, "synthetic")
    for row in erring:
        onset, apex, offset = (int(row[n]) for n in ("onset", "apex", "offset"))
        assert 1 <= onset < apex <= offset
    for i in range(6):
        onsets = {row["onset"] for row in erring[3 * i : 3 * i + 3]}
        assert len(onsets) == 3 and exact[i]["onset"] in onsets


def test_a_video_says_how_many_frames_a_stride_in_milliseconds_is(footage, tmp_path):
    from data_builders.folder import Folder
    from jmer.data.load import load

    folder, _ = footage
    made = load(
        Folder(
            table=str(folder / TABLE), data_dir=tmp_path, modality="clip", size=16,
            resample="native", stride_ms=80.0, frames=15, context=30,
        )
    )  # fmt: skip
    assert (made.inputs["present"].sum(1) == 15).all()
    assert made.frame_rate == pytest.approx(25)
    assert {*made.dataset} == {"synthetic"}


def test_what_is_there_stays(footage):
    folder, shown = footage
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    assert write_footage(folder, SPEC, SMALL) == shown
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    with pytest.raises(JmerError, match="footage of other options"):
        write_footage(folder, dataclasses.replace(SPEC, seed=1), SMALL)


def test_a_damaged_truth_is_named(footage, tmp_path):
    folder, _ = footage
    content = read_json(folder / TRUTH)
    del content["videos"][0]["rate"]
    from jmer.files import write_json

    write_json(tmp_path / TRUTH, content)
    with pytest.raises(JmerError, match=r"truth\.json does not say .* delete"):
        write_footage(tmp_path, SPEC, SMALL)


KINDS = (flip, flip_many, truncate, append, zero, repeat, empty)


@pytest.mark.parametrize("damage", KINDS, ids=lambda one: one.__name__)
def test_a_truth_that_is_damaged_at_random_is_never_another(footage, tmp_path, damage):
    """It says what it said, or is named: of no damage other numbers come."""
    folder, shown = footage
    content = (folder / TRUTH).read_bytes()
    refused = 0
    for seed in range(12):
        changed = damage(np.random.default_rng(seed), content)
        (tmp_path / TRUTH).write_bytes(changed)
        try:
            assert write_footage(tmp_path, SPEC, SMALL) == shown
        except JmerError as error:
            assert str(tmp_path / TRUTH) in str(error) or str(tmp_path) in str(error)
            refused += 1
        assert [file.name for file in tmp_path.iterdir()] == [TRUTH]
    assert refused > 6


def test_footage_that_was_stopped_is_made_by_the_same_words(footage, tmp_path):
    """What is true of it is written last: where that is, all is."""
    folder, shown = footage

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_footage(tmp_path, SPEC, SMALL, watch=stop)
    assert not (tmp_path / TRUTH).exists()
    assert write_footage(tmp_path, SPEC, SMALL) == shown
    for file in (TRUTH, TABLE, MOMENTS):
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()
    # x264 makes other choices for the same frames in about one process of twenty.
    made, before = (
        [picture for _, picture in pictures([VideoFrame(place, i) for i in range(30)])]
        for place in (tmp_path / shown[-1].video, folder / shown[-1].video)
    )
    apart = np.abs(np.array(made, float) - np.array(before, float))
    assert len(made) == shown[-1].frames and apart.mean() < 1


def test_a_place_that_is_a_file_is_named(tmp_path):
    pytest.importorskip("av")
    (tmp_path / "taken").write_text("")
    with pytest.raises(JmerError, match="cannot write"):
        write_video(tmp_path / "taken" / "a.mp4", np.zeros((2, 16, 16, 3), np.uint8), 5)
