"""Prepared sets know which frames of which video their clips were cut from."""

import json

import numpy as np
import pytest
from downloads import write

from jmer.audit.roster import Roster, Round
from jmer.audit.shared_frames import check_frames
from jmer.data import load
from jmer.data.load import spans
from jmer.data.random_clips import RandomClips
from jmer.data.splits import Fold


@pytest.mark.parametrize("name", ["casme2", "casme_cubed", "samm"])
def test_spans_are_those_of_the_sheet(name, tmp_path):
    tree = write(name, tmp_path)
    clips = load(tree.config)
    found = sorted(spans(tree.config))
    assert [span[:3] for span in found] == clips.names
    ends = [(span.first, span.last) for span in found]
    assert ends == [(take.onset, take.offset) for take in tree.loaded]
    videos = {
        "casme2": lambda s: f"CASME2-Cropped/{s.subject}/{s.clip}",
        # Clips that lie apart have the numbers of their video.
        "casme_cubed": lambda s: f"{s.subject}/{s.clip.split('_')[0]}",
        "samm": lambda s: "_".join(s.clip.split("_")[:2]),
    }
    for span in found:
        assert span.video.split("/", 1)[0] == name
        if name != "casme2":
            assert span.video.split("/", 1)[1] == videos[name](span)


def test_frames_of_the_context_count(tmp_path):
    tree = write("casme_cubed", tmp_path, source="videos", context=2, resample="whole")
    load(tree.config)
    around = [
        (take.onset - span.first, span.last - take.offset)
        for span, take in zip(sorted(spans(tree.config)), tree.loaded, strict=True)
    ]
    assert (2, 2) in around and np.min(around) >= 0 and np.max(around) <= 2


def test_the_composite_has_those_of_its_parts(tmp_path):
    tree = write("megc2019", tmp_path)
    clips = load(tree.config)
    assert sorted(span[:3] for span in spans(tree.config)) == sorted(clips.names)


def test_sets_that_do_not_tell(tmp_path):
    assert spans(RandomClips()) == []
    tree = write("casme2", tmp_path)
    load(tree.config)
    # As an earlier version prepared it.
    (path,) = tree.config.data_dir.rglob("metadata.json")
    metadata = json.loads(path.read_text())
    del metadata["spans"], metadata["checksums"]
    path.write_text(json.dumps(metadata))
    path.with_name("sums.json").unlink()
    assert spans(tree.config) == []


def test_overlap_is_found_as_by_comparing_all_pairs():
    rng = np.random.default_rng(1)
    n = 60
    names = tuple(("set", f"s{i % 7}", f"c{i}") for i in range(n))
    first = rng.integers(0, 300, n)
    last = first + rng.integers(0, 25, n)
    video = rng.integers(0, 3, n)
    test = rng.random(n) < 0.3
    table = Roster(
        names,
        (Fold("f", np.flatnonzero(~test), np.flatnonzero(test)),),
        (Round("", np.ones(n, int)),),
        {names[i]: (f"v{video[i]}", int(first[i]), int(last[i])) for i in range(n)},
    )
    expected = {
        f"set/s{i % 7}/c{i} ({first[i]}–{last[i]})"
        for i in np.flatnonzero(test)
        if any(
            video[i] == video[j] and first[i] <= last[j] and first[j] <= last[i]
            for j in np.flatnonzero(~test)
        )
    }
    found = check_frames(table)
    assert 0 < len(expected) < test.sum()
    assert {row["tested"] for row in found.details} == expected
    assert f"{len(expected)} of {test.sum()} in fold f" in found.text
