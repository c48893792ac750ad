"""What is asked of a finished run of a baseline: its bundle, and its word on a film."""

import json

import numpy as np
import pytest
from filmed import film
from numpy.testing import assert_allclose
from untrained import write_untrained_run

import jmer
from data_builders.synthetic import Synthetic
from jmer.baselines.hoof import HoofConfig
from jmer.baselines.lbp_top import LbpTopConfig
from jmer.cli import main
from jmer.data import load
from jmer.data.random_clips import RandomClips
from jmer.files import read_json, write_json
from jmer.runs.folder import DESCRIPTION
from jmer.runs.programs import random_clips
from jmer.synthetic.rendering import render_clip
from jmer.synthetic.spec import SyntheticSpec

SET = {"subjects": 2, "clips": 6, "length": 12, "size": 32}
SPEC = SyntheticSpec(subjects=2, clips=6, length=12, size=64, seed=9)
HOOF = HoofConfig(size=8, blocks=2, machines="each")
LBP = LbpTopConfig(frames=4, size=12, blocks=2, radii=(1, 1, 1))


@pytest.fixture(name="of_units", scope="module")
def _of_units(tmp_path_factory):
    place = tmp_path_factory.mktemp("asked")
    data = Synthetic(**SET, flow_size=8, data_dir=place / "tfds")
    return write_untrained_run(place / "hoof", HOOF, data, load(data), units=(4, 12))


@pytest.fixture(name="of_classes", scope="module")
def _of_classes(tmp_path_factory):
    shapes = (("clip", LBP.input_shapes[0]),)
    data = RandomClips(shapes=shapes, subjects=2, per_subject=4, dtype="uint8")
    folder = tmp_path_factory.mktemp("asked") / "lbptop"
    write_untrained_run(folder, LBP, data, data.clips())
    told = read_json(folder / DESCRIPTION)
    write_json(folder / DESCRIPTION, {**told, "data": told["data"] | data.origin})
    return folder


@pytest.mark.parametrize("name", ["of_units", "of_classes"])
def test_a_bundle_of_a_baseline_agrees_with_its_run(name, request, tmp_path):
    run = request.getfixturevalue(name)
    assert main(["export", str(run), "--out", str(tmp_path / "b")]) == 0
    loaded, weights = jmer.load_bundle(tmp_path / "b"), jmer.load_run(run).weights
    network = weights.config
    assert [spec.name for spec in loaded.inputs] == [*network.inputs]
    for count in (1, 3):
        clips = random_clips(loaded.inputs, count, seed=count)
        each = [weights.predict(**clips, subject=fold) for fold in loaded.folds]
        assert_allclose(loaded(**clips), np.mean(each, 0), atol=1e-5)


def test_a_baseline_is_asked_about_a_video(of_units, tmp_path):
    pytest.importorskip("av")
    video = film(tmp_path / "face.mkv", render_clip(SPEC, 0).frames, rate=24)
    words = ["predict", of_units, video, "--clip", "whole", "--align", "none"]
    assert main([*map(str, [*words, "--out", tmp_path / "out"])]) == 0
    told = json.loads((tmp_path / "out/predict.json").read_text())
    assert told["windows"][0]["probabilities"].keys() == {"AU4", "AU12"}
    assert "figures/classes-001.png" in told["figures"]  # and none of what it looked at
    assert "looked at" not in (tmp_path / "out/predict.md").read_text()
