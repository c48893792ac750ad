"""The synthetic set survives its preparation: what is loaded is what was generated."""

import tempfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from data_builders import datasets
from data_builders.synthetic import Synthetic
from data_builders.synthetic import synthetic_dataset_builder as builder
from jmer.data import check, load, prepare
from jmer.data.maker import builder_of
from jmer.errors import JmerError, UsageError
from jmer.preprocess.flow import apex_flow, dis, estimate, farneback
from jmer.preprocess.flow_colours import flow_colours
from jmer.preprocess.tracks import straight_tracks, tracks
from jmer.synthetic.rendering import generate, render_clip
from jmer.synthetic.spec import SyntheticSpec

TINY = {"subjects": 3, "clips": 7, "length": 5, "size": 32}


def config(tmp_path, **fields) -> Synthetic:
    return Synthetic(data_dir=tmp_path, **{**TINY, **fields})


def generated():
    """The clips in the order of a data set: by subject, then by name."""
    clips = list(generate(SyntheticSpec(**TINY)))
    return sorted(clips, key=lambda clip: (clip.subject, clip.clip_id))


def assert_same_annotation(clips, truth):
    assert clips.classes == ("negative", "positive", "surprise")
    assert set(clips.dataset) == {"synthetic"}
    names = ("label", "subject", "clip_id", "onset", "apex", "offset", "action_units")
    for name in names:
        expected = [getattr(clip, name) for clip in truth]
        assert_array_equal(getattr(clips, name), expected, err_msg=name)


def test_apex_flow_is_that_of_the_generated_frames(tmp_path):
    clips, truth = load(config(tmp_path, flow_size=13)), generated()
    assert_same_annotation(clips, truth)
    assert clips.inputs.keys() == {"apex_flow"}
    stored = clips.inputs["apex_flow"]
    assert stored.dtype == np.float16
    assert stored.shape == (7, 13, 13, 3)
    for one, clip in zip(stored, truth, strict=True):
        flow = apex_flow(clip.frames, clip.onset, clip.apex, 13)
        assert_array_equal(one, flow.astype(np.float16))
    assert np.abs(stored[..., :2]).max() > 0.05


def test_clips_are_those_generated(tmp_path):
    clips, truth = load(config(tmp_path, modality="clip")), generated()
    assert_same_annotation(clips, truth)
    assert clips.inputs.keys() == {"clip", "flow", "intensity"}
    assert clips.inputs["clip"].shape == (7, 5, 32, 32, 3)
    for i, clip in enumerate(truth):
        assert_array_equal(clips.inputs["clip"][i], clip.frames)
        assert_array_equal(clips.inputs["intensity"][i], clip.intensity)
        flow = clips.inputs["flow"][i]
        assert flow.dtype == np.float16
        np.testing.assert_allclose(flow, clip.flow, rtol=2**-11, atol=2**-24)


def test_flow_is_true_as_long_as_all_frames_are_kept(tmp_path):
    true = load(config(tmp_path, modality="flow"))
    both = load(config(tmp_path, modality="clip"))
    assert true.inputs.keys() == {"flow"}
    assert_array_equal(true.inputs["flow"], both.inputs["flow"])
    assert_same_annotation(true, generated())
    clip = generated()[0]
    for method in ("farneback", "dis", "tvl1"):
        recipe = config(tmp_path, modality="flow", flow=method)
        flow = load(recipe).inputs["flow"]
        assert flow.dtype == np.float16
        expected = estimate(clip.frames[1], clip.frames[2], method).astype(np.float16)
        assert_array_equal(flow[0, 1], expected)


def test_resampled_flow_is_that_of_the_resampled_clip(tmp_path):
    recipe = {"resample": "linear", "frames": 7}
    clips = load(config(tmp_path, modality="clip", **recipe))
    flow = load(config(tmp_path, modality="flow", **recipe))
    assert clips.inputs.keys() == {"clip"}
    assert clips.inputs["clip"].shape == (7, 7, 32, 32, 3)
    assert flow.inputs["flow"].shape == (7, 6, 32, 32, 2)
    for i in range(7):
        frames = clips.inputs["clip"][i]
        expected = farneback(frames[2], frames[3]).astype(np.float16)
        assert_array_equal(flow.inputs["flow"][i, 2], expected)
    for i, clip in enumerate(generated()):
        assert (clips.onset[i], clips.offset[i]) == (0, 6)
        assert_array_equal(clips.inputs["clip"][i, 0], clip.frames[clip.onset])
        assert_array_equal(clips.inputs["clip"][i, 6], clip.frames[clip.offset])


def test_the_special_frames_come_from_the_clip_as_it_was(tmp_path):
    fields = {"modality": "clip", "resample": "uniform", "frames": 6}
    found = {
        kind: load(config(tmp_path, special=kind, **fields))
        for kind in ("sf", "apex-offset", "random2")
    }
    for i, clip in enumerate(generated()):
        shown = clip.frames[clip.onset : clip.offset + 1]
        sf, late, two = (found[kind].inputs["special"][i] for kind in found)
        assert_array_equal(sf, clip.frames[[clip.onset, clip.apex]])
        assert_array_equal(late, clip.frames[[clip.apex, clip.offset]])
        first, second = ((shown == f).all((1, 2, 3)).argmax() for f in two)
        assert first < second
        assert_array_equal(two, shown[[first, second]])
        apex = found["sf"].inputs["clip"][i, found["sf"].apex[i]]
        assert_array_equal(apex, clip.frames[clip.apex])


def test_special_images_show_the_motion_of_both_intervals(tmp_path):
    fields = {"modality": "clip", "flow": "dis"}
    thin = config(tmp_path, special="of", tracks="chained", **fields)
    drawn = load(thin).inputs["special"]
    thick = load(config(tmp_path, special="of", **fields)).inputs["special"]
    dense = load(config(tmp_path, special="dense", **fields)).inputs["special"]
    assert drawn.shape == dense.shape == (7, 2, 32, 32, 3)
    for i, clip in enumerate(generated()):
        onset, apex, offset = clip.onset, clip.apex, clip.offset
        rise, fall = clip.frames[onset : apex + 1], clip.frames[apex : offset + 1]
        assert_array_equal(drawn[i], [tracks(rise), tracks(fall)])
        ways = [straight_tracks(part[0], part[-1]) for part in (rise, fall)]
        assert_array_equal(thick[i], ways)
        flows = [dis(part[0], part[-1]) for part in (rise, fall)]
        assert_array_equal(dense[i], flow_colours(np.stack(flows)))
    # Whatever the faces do, something moves in some of them.
    assert drawn.any()


def test_recipes_lie_beside_one_another(tmp_path):
    recipes = [
        config(tmp_path),
        config(tmp_path, seed=1),
        config(tmp_path, flow_size=11),
        config(tmp_path, modality="clip"),
    ]
    assert len({recipe.config_name for recipe in recipes}) == 4
    first = [load(recipe).fingerprint for recipe in recipes]
    assert len(set(first)) == 4
    assert [load(recipe).fingerprint for recipe in recipes] == first
    folders = {prepare(recipe) for recipe in recipes}
    assert len(folders) == 4


def test_the_places_are_no_part_of_the_recipe(tmp_path):
    here = config(tmp_path / "a")
    there = config(tmp_path / "b", manual_dir=tmp_path)
    assert here.config_name == there.config_name
    assert here.recipe == there.recipe
    assert not {"manual_dir", "data_dir"} & set(here.recipe)
    assert load(here).fingerprint == load(there).fingerprint


def test_a_prepared_set_is_not_generated_again(tmp_path, monkeypatch):
    before = load(config(tmp_path)).fingerprint

    def forbidden(spec, index):
        raise AssertionError(f"generated again: {spec}, {index}")

    monkeypatch.setattr(builder, "render_clip", forbidden)
    assert load(config(tmp_path)).fingerprint == before


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    def half(spec, index):
        if index == 4:
            raise KeyboardInterrupt
        return render_clip(spec, index)

    with monkeypatch.context() as patch:
        patch.setattr(builder, "render_clip", half)
        with pytest.raises(KeyboardInterrupt):
            load(config(tmp_path))
    assert not list(tmp_path.rglob("dataset_info.json"))
    assert not list(tmp_path.rglob("incomplete.*"))
    assert len(load(config(tmp_path))) == 7


def test_the_check_counts(tmp_path):
    problems, summary = check(config(tmp_path))
    assert not problems
    counts = np.bincount([clip.label for clip in generated()], minlength=3)
    assert summary == (
        f"7 clips, 3 subjects ({counts[0]} negative, {counts[1]} positive, "
        f"{counts[2]} surprise); generated"
    )


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(JmerError, match=f"cannot write {tmp_path}/file/x.*Make room"):
        load(config(tmp_path / "file" / "x"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"flow_size": 3}, "flow_size=3: must be at least 4"),
        ({"modality": "apex-flow", "special": "sf"}, "special=sf .*modality=clip"),
        ({"frames": 3}, "frames=3: resample=none keeps all 5 frames"),
        ({"frames": 1, "resample": "tim"}, "frames=1: must be at least 2"),
        ({"subjects": 1}, "subjects=1: must be a whole number from 2"),
        ({"clips": 5}, "clips=5: must be a whole number from 6"),
        ({"subjects": 11}, "clips=7: must be at least 11.*fewer subjects"),
        ({"classes": 6}, "classes=6: .* from 3 to 5"),
        ({"length": 3}, "length=3: .* from 4"),
        ({"size": 33}, "size=33: must be even"),
        ({"size": 32.0}, "size=32.0: must be a whole number"),
        ({"seed": -1}, "seed=-1: .* from 0"),
        ({"noise": 1.01}, "noise=1.01: must be a number from 0 to 1"),
        ({"difficulty": float("nan")}, "difficulty=nan: must be a number from 0 to 1"),
    ],
)
def test_bad_fields_are_refused(tmp_path, fields, words):
    with pytest.raises(UsageError, match=words):
        config(tmp_path, **fields)


def test_the_set_is_listed():
    assert Synthetic in set(datasets())


def test_looking_at_a_set_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    builder_of(Synthetic(data_dir=tmp_path / "sets"))
    assert not list((tmp_path / "temporary").iterdir())
