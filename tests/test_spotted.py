"""Scores and figures of spotting: against answers worked out by hand."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from data_builders.synthetic import Synthetic
from jmer.data import load
from jmer.errors import JmerError, UsageError
from jmer.files import read_json
from jmer.report.draw.spotting import maps_png
from jmer.report.spotting import write_spotting
from jmer.scores.intervals import STATES, annotated, linear_intensity, states
from jmer.scores.spotting import (
    COLUMNS,
    Rule,
    Watched,
    frame_table,
    spotting_record,
    state_counts,
    watch,
    watch_all,
)

CLASSES = ("happiness", "disgust", "surprise")
RULE = Rule(threshold=0.5, min_frames=2, max_gap=1)


def clip(
    name="a1", subject="a", found=(), true=(), shown=(), predicted=0, label=0, **more
):
    """What was found in a clip with expressions at `shown`, whatever is `true`."""
    arrays = (np.array(x, float) for x in (found, true))
    shown = np.array(shown, int).reshape(-1, 2)
    return Watched(name, subject, *arrays, shown, predicted, label, **more)


# An expression found with a gap in it, a false one, and one too short to count.
FIRST = clip(
    found=[0, 0, 0.6, 0.2, 0.9, 0.0, 0.0, 0.7, 0.8, 0.0, 0.0, 0.6, 0.0],
    true=[0, 0, 0.5, 1.0, 0.5, 0.0, 0, 0, 0, 0, 0, 0, 0],
    shown=[(2, 5)],
)
# One that is found, in another class than its own, and one that is missed.
SECOND = clip(
    *("b1", "b"),
    found=[0.7, 0.9, 0.9, 0.1, 0.3, 0.1],
    true=[0.0, 1.0, 0.0, 0.0, 1.0, 0.4],
    shown=[(0, 2), (4, 5)],
    predicted=1,
    label=2,
)
# Nothing but rest.
THIRD = clip("b2", "b", found=[0.1, 0.0, 0.2], true=[0, 0, 0], label=2)
CLIPS = [FIRST, SECOND, THIRD]


def test_intervals_of_all_clips_are_pooled():
    record = spotting_record(CLIPS, CLASSES, RULE)
    # Found 2..4 and 7..8 of true 2..5; 0..2 of true 0..2 and 4..5; nothing.
    expected = {"hits": 2, "found": 3, "true": 3}
    assert {k: record["intervals"][k] for k in expected} == expected
    assert record["intervals"]["f1"] == pytest.approx(2 / 3)
    assert (record["clips"], record["frames"]) == (3, 22)
    assert record["frames_of_expressions"] == 4 + 5
    # Right once of two: precision 1 and recall 1 of happiness, 0 of surprise.
    assert record["analysis_f1"] == pytest.approx(0.5)
    assert record["strs"] == pytest.approx(2 / 3 * 0.5)
    assert record["per_subject"]["b"]["f1"] == pytest.approx(2 / 3)
    assert json.loads(json.dumps(record)) == record


def test_the_rule_decides_what_is_found():
    longer = spotting_record(CLIPS, CLASSES, replace(RULE, max_gap=0))["intervals"]
    assert (longer["hits"], longer["found"]) == (1, 2)
    single = spotting_record(CLIPS, CLASSES, replace(RULE, min_frames=1))["intervals"]
    assert (single["hits"], single["found"]) == (2, 4)
    higher = spotting_record(CLIPS, CLASSES, replace(RULE, threshold=0.95))["intervals"]
    assert (higher["hits"], higher["found"], higher["f1"]) == (0, 0, 0.0)


def test_frames_of_all_clips_are_pooled():
    record = spotting_record(CLIPS, CLASSES, RULE)
    found, true = (
        np.concatenate([getattr(c, name) for c in CLIPS]) for name in ("found", "true")
    )
    first = np.isin(np.arange(13), range(2, 6))
    within = np.concatenate([first, [1, 1, 1, 0, 1, 1], [0, 0, 0]])
    assert record["auc"] == pytest.approx(roc_auc_score(within, found))
    assert record["mean_absolute_error"] == pytest.approx(np.abs(found - true).mean())
    own = record["per_subject"]["a"]
    assert own["auc"] == pytest.approx(roc_auc_score(first, FIRST.found))
    assert own["clips"] == 1


def test_a_subject_at_rest_has_no_curve_of_its_own():
    record = spotting_record([FIRST, THIRD], CLASSES, RULE)
    assert record["per_subject"]["b"] == {"clips": 1, "auc": None, "f1": 0.0}
    with pytest.raises(JmerError, match="all 3 frames are outside an expression"):
        spotting_record([THIRD], CLASSES, RULE)
    with pytest.raises(JmerError, match="all 2 frames are within an expression"):
        within = clip(found=[0.1, 0.2], true=[0.5, 1.0], shown=[(0, 1)])
        spotting_record([within], CLASSES, RULE)
    with pytest.raises(JmerError, match="no clip to score"):
        spotting_record([], CLASSES, RULE)


def test_frames_are_counted_by_state():
    counts = state_counts(CLIPS)
    assert counts.sum() == 22
    true = np.concatenate([c.true_states for c in CLIPS])
    found = np.concatenate([states(c.found) for c in CLIPS])
    for i, j in ((0, 0), (3, 0), (0, 2), (4, 3)):
        assert counts[i, j] == ((true == i) & (found == j)).sum()
    record = spotting_record(CLIPS, CLASSES, RULE)["states"]
    assert record == {"names": list(STATES), "counts": counts.tolist()}


def test_the_table_has_every_frame():
    rows = list(csv.reader(io.StringIO(frame_table(CLIPS))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 1 + 22
    assert rows[5] == ["a", "a1", "4", "1", "0.5000", "0.9000", "apex-offset", "apex"]
    # The offset is within the expression, although its intensity is 0.
    assert rows[6] == ["a", "a1", "5", "1", "0.0000", "0.0000", "offset", "neutral"]
    assert rows[7][3:] == ["0", "0.0000", "0.0000", "neutral", "neutral"]


def test_a_network_tells_the_last_frames():
    shown = {
        "intensity": np.array([0.2, 0.6], np.float32),
        "motion": np.zeros((2, 3, 3, 1)),
        "step_logits": np.zeros((2, 3)),
    }
    true = np.array([0.0, 0.3, 1.0], np.float32)
    where = np.array([[0, 0], [0, 1], [2, 2]])
    seen = watch("x", "s", np.array([0.1, 0.9, 0.2]), shown, true, where, 2)
    # Of three frames the last two: what ended before is not there.
    assert seen.expressions.tolist() == [[0, 0], [1, 1]]
    np.testing.assert_allclose(seen.true, [0.3, 1.0], rtol=1e-6)
    np.testing.assert_allclose(seen.found, [0.2, 0.6], rtol=1e-6)
    assert (seen.predicted, seen.label) == (1, 2)
    assert seen.maps.keys() == {"motion"}
    for steps in (0, 4):
        other = shown | {"intensity": np.zeros(steps)}
        with pytest.raises(JmerError, match=f"clip x: {steps} intensities were found"):
            watch("x", "s", np.zeros(3), other, true, where, 2)
    with pytest.raises(JmerError, match="clip x: the network tells step_logits and no"):
        watch(
            *("x", "s", np.zeros(3), {"step_logits": np.zeros((2, 3))}, true, where, 2)
        )


def recording(onset, offset, frames=60):
    """A recording of one expression at these frames, its target, and what was found."""
    apex = (onset + offset) // 2
    target = linear_intensity(onset, apex, offset, frames)
    return target, annotated(target, onset, offset)


def test_the_truth_is_the_annotated_interval_and_not_what_the_network_learns():
    """Annotated 25 to 35: scored as those eleven frames, whatever the target says."""
    target, where = recording(25, 35)
    assert where.tolist() == [[25, 35]]
    for found, auc, hits in (
        (np.isin(np.arange(60), range(25, 36)), 1.0, 1),
        # Where the target is above 0.1: the two ends are missed, 2 of 11.
        (target >= 0.1, 1 - 0.5 * 2 / 11, 1),
        # A frame too early, and one too late: 49 frames are outside, one of them high.
        (np.isin(np.arange(60), range(26, 37)), (10 / 11 + 48 / 49) / 2, 1),
        (np.isin(np.arange(60), range(31, 36)), 0.5 * (1 + 5 / 11), 0),
    ):
        one = clip(found=found.astype(float), true=target, shown=where)
        record = spotting_record([one], CLASSES, Rule())
        assert record["auc"] == pytest.approx(auc)
        assert record["frames_of_expressions"] == 11
        assert record["intervals"]["hits"] == hits


@pytest.mark.parametrize(
    ("intensity", "first", "expected"),
    [
        # The apex is the onset, the offset, or all there is.
        ([0, 1, 0.5, 0, 0], (1, 3), [[1, 3]]),
        ([0, 0, 0.5, 1, 0], (1, 3), [[1, 3]]),
        ([0, 0, 1, 0, 0], (2, 2), [[2, 2]]),
        # A second one, with 0 at both of its ends, and one cut off by the end.
        ([0, 1, 0, 0, 0.4, 0.9, 0.2, 0], (0, 2), [[0, 2], [3, 7]]),
        ([0, 1, 0, 0, 0.4, 0.9], (0, 2), [[0, 2], [3, 5]]),
        # It was annotated longer than anything is seen.
        ([0, 0, 0.3, 0, 0, 0], (0, 5), [[0, 5]]),
    ],
)
def test_expressions_are_where_they_were_annotated(intensity, first, expected):
    assert annotated(np.array(intensity), *first).tolist() == expected


def test_tested_clips_are_found_in_their_set(tmp_path):
    fields = {"length": 12, "expressions": 1, "size": 32, "data_dir": tmp_path}
    clips = load(Synthetic(modality="clip", subjects=2, clips=6, **fields))
    shown = {"intensity": np.linspace(0, 1, 11)}
    logits = np.array([0.1, 0.9, 0.2])
    first, second = watch_all(clips, [(4, logits, shown), (1, -logits, shown)])
    assert (first.clip, first.subject) == (clips.clip_id[4], clips.subject[4])
    assert (first.predicted, second.predicted) == (1, 0)
    assert (first.label, second.label) == (clips.label[4], clips.label[1])
    np.testing.assert_allclose(second.true, clips.inputs["intensity"][1, 1:])
    assert second.expressions.tolist() == [[clips.onset[1] - 1, clips.offset[1] - 1]]
    still = replace(clips, inputs={"clip": clips.inputs["clip"]})
    with pytest.raises(JmerError, match="synthetic has clip and no intensity"):
        watch_all(still, [(4, logits, shown)])
    # Nothing can be spotted where all is expression, or nobody knows where it is.
    whole, unknown = clips.onset.copy(), clips.onset.copy()
    whole[[0, 4]], unknown[4] = 0, -1
    ends = np.where(np.isin(np.arange(len(clips)), [0, 4]), 11, clips.offset)
    full = replace(clips, onset=whole, offset=ends)
    names = f"{clips.clip_id[4]} of {clips.subject[4]}, {clips.clip_id[0]} of"
    with pytest.raises(JmerError, match=f"all frames of {names}.*resample=whole"):
        watch_all(full, [(i, logits, shown) for i in (4, 1, 0)])
    with pytest.raises(JmerError, match=f"{clips.clip_id[4]} .* no annotated onset"):
        watch_all(
            replace(clips, onset=unknown), [(1, logits, shown), (4, logits, shown)]
        )


def test_what_fills_up_a_clip_is_no_frame_of_it(tmp_path):
    """Of 12 stored frames 9 are there: 8 steps are scored, and none of the others, in
    which something is found; an expression beyond them is cut off at the end."""
    fields = {"length": 12, "expressions": 1, "size": 32, "data_dir": tmp_path}
    clips = load(Synthetic(modality="clip", subjects=2, clips=6, **fields))
    true = np.array([0, 0, 0.5, 1, 0.5, 0, 0, 0, 1, 0, 0, 0], np.float32)
    present = (np.arange(12) < 9).astype(np.uint8)
    inputs = {"intensity": np.stack([true] * 6), "present": np.stack([present] * 6)}
    padded = replace(clips, inputs=inputs, onset=np.full(6, 1), offset=np.full(6, 5))
    found = np.array([0, 0.4, 0.9, 0.4, 0, 0, 0, 0.8, 1, 1, 1])
    maps = np.arange(11.0)[:, None, None, None]
    shown = {"intensity": found, "motion": maps}
    (one,) = watch_all(padded, [(1, np.zeros(3), shown)])
    np.testing.assert_allclose(one.true, true[1:9])
    np.testing.assert_allclose(one.found, found[:8])
    assert one.maps["motion"].ravel().tolist() == list(range(8))
    # Frames 1 to 5 as annotated and 7 to 8 as it rises, where steps begin at frame 1.
    assert one.expressions.tolist() == [[0, 4], [6, 7]]
    record = spotting_record([one], clips.classes, RULE)
    assert (record["frames"], record["frames_of_expressions"]) == (8, 7)


@pytest.mark.parametrize(
    ("found", "true", "message"),
    [
        ([0.1, np.nan], [0, 1], "clip a1: an intensity of nan is found"),
        ([0.1, 0.2], [0, 1.5], "clip a1: an intensity of 1.5 is true"),
        ([-0.1, 0.2], [0, 1], "clip a1: an intensity of -0.1 is found"),
        ([0.1], [0, 1], r"clip a1: \(1,\) intensities were found, but \(2,\) are true"),
    ],
)
def test_what_is_no_intensity_is_refused_by_clip(found, true, message):
    with pytest.raises(JmerError, match=message):
        clip(found=found, true=true)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.0}, "threshold=0.0 must be above 0"),
        ({"threshold": 1.1}, "threshold=1.1 must be above 0, at most 1"),
        ({"min_frames": 0}, "min-frames=0 must be at least 1"),
        ({"max_gap": -1}, "max-gap=-1 must be at least 0"),
    ],
)
def test_an_impossible_rule_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        Rule(**options)


def maps(steps):
    rng = np.random.default_rng(0)
    return {
        "contrast": rng.uniform(size=(steps, 4, 4, 3)),
        "motion": rng.uniform(size=(steps, 4, 4, 1)),
    }


def test_one_call_writes_record_table_and_figures(tmp_path):
    clips = [replace(FIRST, maps=maps(13)), SECOND, THIRD]
    record = write_spotting(tmp_path, clips, CLASSES, RULE, most=2)
    assert read_json(tmp_path / "spotting.json", required=True) == record
    assert record["drawn"] == {"01": "a1", "02": "b1"}
    assert (tmp_path / "frames.csv").read_text() == frame_table(clips)
    figures = sorted(file.name for file in (tmp_path / "figures").iterdir())
    assert figures == [
        *("intensity-01.png", "intensity-02.png", "maps-01.png", "roc.png")
    ]
    for name in figures:
        content = (tmp_path / "figures" / name).read_bytes()
        assert content.startswith(b"\x89PNG") and len(content) > 5000


def test_nothing_is_written_without_a_score(tmp_path):
    with pytest.raises(JmerError, match="outside an expression"):
        write_spotting(tmp_path / "out", [THIRD], CLASSES, RULE)
    assert not (tmp_path / "out").exists()


def test_maps_show_what_there_is():
    """Clips of fewer steps than columns, and networks without one of the maps."""
    both = maps(2)
    shown = np.array([0.2, 0.7])
    sizes = [
        len(maps_png({name: both[name] for name in names}, shown))
        for names in (("contrast", "motion"), ("contrast",), ("motion",))
    ]
    assert sizes[0] > sizes[1] > sizes[2]
    with pytest.raises(ValueError, match="no map"):
        maps_png({}, shown)
