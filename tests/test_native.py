"""Recordings kept frame by frame: what is stored of them, and from where."""

import dataclasses
import shutil

import numpy as np
import pytest
from damage import refuses
from downloads import read, write
from numpy.testing import assert_array_equal
from remedies import option, said, works

from data_builders.casme2 import Casme2
from data_builders.samm import Samm
from data_builders.synthetic import Synthetic
from jmer.data import check, load
from jmer.data.maker import builder_of
from jmer.errors import UsageError
from jmer.preprocess.temporal import native, native_times
from jmer.preprocess.tensors import features, neighbour_flow, resize
from jmer.scores.intervals import linear_intensity

FRAMES = np.arange(1, 11, dtype=np.uint8)[:, None, None, None] * np.ones(
    (1, 2, 2, 3), np.uint8
)
"""Ten frames of the shades 1 to 10."""


def shades(made):
    return made[:, 0, 0, 0].tolist()


@pytest.mark.parametrize(
    ("context", "step", "stored", "moments"),
    [
        # Onset, apex and offset are frames 3, 5 and 6: shades 4, 6 and 7.
        (0, 1, [4, 5, 6, 7], (0, 2, 3)),
        (2, 1, [2, 3, 4, 5, 6, 7, 8, 9], (2, 4, 5)),
        (9, 1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], (3, 5, 6)),
        (9, 2, [1, 3, 5, 7, 9], (1, 2, 3)),
        (9, 3, [1, 4, 7, 10], (1, 2, 2)),
        # 0, 2.4, 4.8, 7.2 and 9.6, which is behind the last.
        (9, 2.4, [1, 3, 6, 8], (1, 2, 2)),
        (0, 4, [4], (0, 0, 0)),
    ],
)
def test_frames_are_kept_as_they_are(context, step, stored, moments):
    made, interval, there = native(FRAMES, (3, 5, 6), 12, step=step, context=context)
    assert shades(made) == stored + [0] * (12 - len(stored))
    assert (interval, there) == (moments, len(stored))


@pytest.mark.parametrize("t", range(1, 30))
@pytest.mark.parametrize("step", [1, 1.2, 1.5, 2, 2.4, 7.5])
def test_no_frame_is_taken_twice_and_none_is_further_than_half_a_frame(t, step):
    times = native_times(t, step)
    assert times[0] == 0 and (np.diff(times) > 0).all() and times[-1] < t
    assert np.abs(times - np.arange(len(times)) * step).max() <= 0.5
    # The next one is behind the end.
    assert np.floor(len(times) * step + 0.5) >= t


def test_too_many_frames_or_too_small_a_step_are_refused():
    with pytest.raises(ValueError, match="10 frames are more than n=9"):
        native(FRAMES, (3, 5, 6), 9, context=9)
    with pytest.raises(ValueError, match="must be at least 1"):
        native_times(10, 0.5)
    with pytest.raises(ValueError, match="must rise within"):
        native(FRAMES, (3, 2, 6), 9)


WHOLE = [("casme2", "raw"), ("casme_squared", "raw"), ("samm_long", "long")]


@pytest.mark.parametrize(("name", "source"), WHOLE)
@pytest.mark.parametrize(("context", "stride"), [(1000, 1), (1000, 2), (1, 1)])
def test_recordings_are_stored_as_they_were_made(
    name, source, context, stride, tmp_path
):
    """Every frame, the flow between two that are stored, nothing where none are."""
    tree = write(
        *(name, tmp_path),
        **{"source": source, "modality": "video", "resample": "native"},
        **{"context": context, "stride": stride, "frames": 40, "min_frames": 2},
    )
    if name == "casme2":  # all of one length as they are written
        for take, behind in zip(tree.loaded, (2, 1), strict=False):
            for number in take.images.numbers:
                if number >= take.offset + behind:
                    take.path(number).unlink(missing_ok=True)
    clips = load(tree.config)
    there = {
        take.images[source].path(tree.root, number)
        for take in tree.draft.takes
        for number in take.images[source].numbers
    }
    there = {path for path in there if path.exists()}
    lengths = set()
    for i, take in enumerate(tree.loaded):
        first, last = take.onset, take.offset
        while first > take.onset - context and take.path(first - 1) in there:
            first -= 1
        while last < take.offset + context and take.path(last + 1) in there:
            last += 1
        numbers = range(first, last + 1, stride)
        n = len(numbers)
        lengths.add(n)
        shown = resize(np.stack([read(take.path(k)) for k in numbers]), 32)
        assert_array_equal(clips.inputs["clip"][i, :n], shown)
        assert_array_equal(clips.inputs["present"][i], [1] * n + [0] * (40 - n))
        assert not clips.inputs["clip"][i, n:].any()
        flow = clips.inputs["flow"][i]
        assert_array_equal(flow[: n - 1], neighbour_flow(shown, "farneback"))
        assert not flow[n - 1 :].any()
        moments = clips.onset[i], clips.apex[i], clips.offset[i]
        assert_array_equal(clips.inputs["intensity"][i], linear_intensity(*moments, 40))
        if stride == 1:
            assert moments[0] == take.onset - first
            assert moments[2] == take.offset - first
    assert len(lengths) > 1 or name == "casme_squared" or context == 1


def test_a_stride_in_milliseconds_is_one_in_frames(tmp_path):
    """At 200 frames a second, 10 ms are two frames."""
    fields = {"source": "raw", "resample": "native", "context": 9, "frames": 30}
    tree = write("casme2", tmp_path, **fields)
    two = load(dataclasses.replace(tree.config, stride=2))
    ten = load(dataclasses.replace(tree.config, stride_ms=10.0))
    assert ten.inputs.keys() == {"clip", "present"}
    for name, value in ten.inputs.items():
        assert_array_equal(value, two.inputs[name])
    assert two.inputs["present"].sum() < load(tree.config).inputs["present"].sum()


@pytest.mark.parametrize(("rate", "ms", "step"), [(200, 5, 1), (30, 100, 3)])
def test_steps_of_several_rates(rate, ms, step):
    recipe = Casme2(resample="native", stride_ms=ms)
    assert recipe.step(rate) == pytest.approx(step)


@pytest.mark.parametrize("rate", [25 - 4e-15, 25 + 4e-15, 25.0])
def test_a_rate_that_was_derived_from_times_may_be_rounded(rate):
    step = Casme2(resample="native", stride_ms=40.0).step(rate)
    assert step >= 1 and step == pytest.approx(1)
    with pytest.raises(UsageError, match=r"frames are 40\.1 ms apart"):
        Casme2(resample="native", stride_ms=39.0).step(rate * 40 / 40.1)


def test_a_stride_that_cannot_be_is_refused(tmp_path):
    fields = {"source": "raw", "resample": "native", "context": 9, "frames": 30}
    tree = write("casme2", tmp_path, **fields)
    refuses(
        dataclasses.replace(
            tree, config=dataclasses.replace(tree.config, stride_ms=4.0)
        ),
        "frames are 5 ms apart; give as much or more",
    )
    problems, _ = check(dataclasses.replace(tree.config, stride=50))
    assert len(problems) == len(tree.loaded)
    for problem in problems:
        assert "of which that stride keeps one, in which nothing can move" in problem
    with pytest.raises(UsageError, match="frame rate of the recording is unknown"):
        features(
            dataclasses.replace(tree.config, stride_ms=10.0),
            *(FRAMES, (3, 5, 6), "clip"),
        )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stride": 0}, "stride=0: must be at least 1"),
        ({"stride": 2}, "stride=2 goes with resample=native, not with"),
        ({"stride_ms": -1.0}, "stride_ms=-1.0: must be 0 or more"),
        ({"stride_ms": float("nan")}, "stride_ms=nan: must be 0 or more"),
        (
            {"stride": 2, "stride_ms": 5.0, "resample": "native"},
            "stride=2 and stride_ms=5.0: leave out one of them",
        ),
        (
            {"context": 2, "resample": "native", "modality": "apex-flow"},
            "context=2 goes with resample=whole, native or apex-window",
        ),
    ],
)
def test_fields_that_do_not_go_together(fields, message):
    with pytest.raises(UsageError, match=message):
        Casme2(**fields)


def test_recordings_that_are_too_long_are_counted(tmp_path):
    fields = {"source": "raw", "resample": "native", "context": 1000, "frames": 9}
    tree = write("casme2", tmp_path, **fields)
    problems, _ = check(tree.config)
    (problem,) = problems
    longest = int(problem.split(", has ")[1].split(".")[0])
    assert "clips have more than frames=9; the longest, " in problem
    assert f"frames={longest}" in problem or f"frames {longest}" in problem
    enough = dataclasses.replace(tree.config, frames=longest)
    assert load(enough).inputs["present"].sum(1).max() == longest
    assert check(dataclasses.replace(tree.config, frames=longest - 1))[0]


@pytest.mark.parametrize(
    ("name", "selected", "whole"),
    [
        ("casme2", "CASME2_RAW_selected", "CASME2-RAW"),
        ("casme2", "CASME2_RAW_selected", "CASME2_RAW"),
        ("casme", "CASME_raw_selected", "CASME_raw"),
    ],
)
def test_frames_around_the_expression_are_those_of_whole_recordings(
    name, selected, whole, tmp_path
):
    tree = write(name, tmp_path, source="raw")
    for folder in (selected, whole):
        if not (tree.root / folder).exists():
            there = whole if folder == selected else selected
            shutil.copytree(tree.root / there, tree.root / folder)
    around = {"resample": "whole", "context": 5}
    config = dataclasses.replace(tree.config, **around)
    assert builder_of(tree.config, make=False).root.name == selected
    assert builder_of(config, make=False).root.name == whole
    shutil.rmtree(tree.root / whole)
    assert builder_of(config, make=False).root.name == selected


def test_clips_without_rest_are_named_where_some_was_asked_for(tmp_path):
    tree = write("casme2", tmp_path, source="raw")
    config = dataclasses.replace(tree.config, resample="whole", context=5)
    first = tree.loaded[0]
    for number in first.images.numbers:
        if not first.onset <= number <= first.offset:
            first.path(number).unlink()
    (note,) = builder_of(config, make=False).notes()
    assert f"1 of {len(tree.loaded)} clips" in note
    assert f"{'/'.join(first.key)}. Leave them out with --exclude" in note
    assert "or lay CASME2-RAW beside it" in note
    clips = "/".join(first.key)
    assert not builder_of(
        dataclasses.replace(config, exclude=(clips,)), make=False
    ).notes()
    assert not builder_of(tree.config, make=False).notes()


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (Casme2(), "78c08e093f17"),
        (
            Casme2(
                **{"source": "raw", "modality": "video", "resample": "whole"},
                **{"context": 1000, "frames": 64, "size": 64},
            ),
            "c12b26a441bc",
        ),
        (Samm(), "9198b51cacfd"),
        (Synthetic(), "28d462822032"),
    ],
)
def test_sets_that_were_prepared_before_are_still_found(config, name):
    """Folders of recipes as they were when there was no stride."""
    assert config.config_name == f"recipe-{name}"
    assert not {"stride", "stride_ms"} & config.recipe.keys()


def test_what_is_said_of_recordings_works_when_typed(tmp_path):
    tree = write("casme2", tmp_path, source="raw")
    check_it = ["data", "check", "casme2", "--manual-dir", str(tree.root)]
    check_it += ["--source", "raw", "--size", "32", "--context", "9"]
    native = [*check_it, "--resample", "native"]
    code, text = said([*native, "--frames", "30", "--stride", "50"])
    assert code and "keeps one" in text
    works([*native, "--frames", "30", *option(text, "--stride")])
    code, text = said([*native, "--frames", "9"])
    assert code and "clips have more than frames=9" in text
    works([*native, *option(text, "--frames")])
    assert "with a smaller --context" in text
    works([*native[:-3], "2", "--resample", "native", "--frames", "20"])
    first = tree.loaded[0]
    for number in first.images.numbers:
        if not first.onset <= number <= first.offset:
            first.path(number).unlink()
    text = works([*check_it, "--resample", "whole"])
    assert (
        "no frame before the onset" in text and "Leave them out with --exclude" in text
    )
    text = works([*check_it, "--resample", "whole", "--exclude", "/".join(first.key)])
    assert "no frame before the onset" not in text
