"""A data set in memory is sound, and its fingerprint sees everything."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import make_clips

from jmer.data.clips import COLUMNS, ClipSet
from jmer.errors import JmerError


def changed(array, index, value):
    copy = array.astype(object) if array.dtype.kind == "U" else array.copy()
    copy[index] = value
    return copy.astype(str) if array.dtype.kind == "U" else copy


def with_flow(clips: ClipSet, flow) -> ClipSet:
    return replace(clips, inputs={"apex_flow": flow})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(clips, bad):
    flow = changed(clips.inputs["apex_flow"], (7, 2, 3, 1), bad)
    with pytest.raises(JmerError) as caught:
        with_flow(clips, flow)
    assert "apex_flow of clip clip7 of subject s2" in str(caught.value)
    assert "Remove the clip or repair its source" in str(caught.value)


def test_a_clip_that_occurs_twice_is_refused(clips):
    with pytest.raises(JmerError, match="clip clip3 of subject s1 occurs twice") as e:
        replace(clips, clip_id=changed(clips.clip_id, 5, "clip3"))
    assert "Remove one of the two" in str(e.value)
    # Two subjects may use one name.
    replace(clips, clip_id=changed(clips.clip_id, 5, "clip0"))


def test_a_subject_of_two_data_sets_is_refused(clips):
    with pytest.raises(JmerError, match="subject s1 occurs in toy and in other") as e:
        replace(clips, dataset=changed(clips.dataset, 4, "other"))
    assert "Prefix the names" in str(e.value)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_outside_the_classes_is_refused(clips, label):
    with pytest.raises(JmerError) as caught:
        replace(clips, label=changed(clips.label, 10, label))
    assert f"label {label} of clip clip10 of subject s3" in str(caught.value)
    assert "('negative', 'positive', 'surprise')" in str(caught.value)
    assert "then prepare the set again" in str(caught.value)


def test_an_empty_set_is_refused(clips):
    empty = {name: getattr(clips, name)[:0] for name in (*COLUMNS, "label")}
    flow = clips.inputs["apex_flow"][:0]
    with pytest.raises(JmerError, match="toy has no clips; prepare it again"):
        replace(clips, inputs={"apex_flow": flow}, **empty)


@pytest.mark.parametrize("column", COLUMNS)
def test_columns_of_different_lengths_are_refused(clips, column):
    with pytest.raises(JmerError, match=f"11 values of {column} for 12 clips.*again"):
        replace(clips, **{column: getattr(clips, column)[:-1]})


def test_inputs_of_another_length_are_refused(clips):
    with pytest.raises(JmerError, match="11 values of apex_flow for 12 clips"):
        with_flow(clips, clips.inputs["apex_flow"][1:])


def test_the_fingerprint_is_that_of_the_content(clips):
    again = make_clips()
    assert again.fingerprint == clips.fingerprint
    assert len(clips.fingerprint) == 16
    # Neither the name of the set nor the layout in memory is content.
    assert replace(clips, name="other").fingerprint == clips.fingerprint
    fortran = np.asfortranarray(clips.inputs["apex_flow"])
    assert with_flow(clips, fortran).fingerprint == clips.fingerprint
    wide = replace(clips, label=clips.label.astype(np.int64))
    assert wide.fingerprint == clips.fingerprint


@given(st.integers(0, 11), st.integers(0, 6), st.integers(0, 6), st.integers(0, 2))
def test_one_pixel_changes_the_fingerprint(clip, y, x, channel):
    clips = make_clips()
    flow = clips.inputs["apex_flow"].copy()
    at = (clip, y, x, channel)
    flow[at] = np.nextafter(flow[at], np.float16(np.inf))
    assert with_flow(clips, flow).fingerprint != clips.fingerprint


@given(st.integers(0, 11), st.sampled_from((*COLUMNS, "label")))
def test_one_entry_changes_the_fingerprint(row, column):
    clips = make_clips(12, 1)  # a subject of its own can change its data set
    array = getattr(clips, column)
    kind = array.dtype.kind
    value = (array[row] + 1) % 3 if kind == "i" else {"f": 25, "b": True}.get(kind, "x")
    other = replace(clips, **{column: changed(array, row, value)})
    assert other.fingerprint != clips.fingerprint


def test_types_and_class_names_change_the_fingerprint(clips):
    wide = with_flow(clips, clips.inputs["apex_flow"].astype(np.float32))
    renamed = replace(clips, classes=("negative", "positive", "other"))
    feature = replace(clips, inputs={"flow": clips.inputs["apex_flow"]})
    found = {c.fingerprint for c in (clips, wide, renamed, feature)}
    assert len(found) == 4


def test_the_summary_counts(clips):
    # 12 clips, of classes 0, 1, 2 in turn: 4 of each, but for one that changes class.
    summary = replace(clips, label=changed(clips.label, 0, 2)).summary()
    assert summary["n_clips"] == 12
    assert summary["n_subjects"] == 4
    assert summary["per_class"] == {"negative": 3, "positive": 4, "surprise": 5}
