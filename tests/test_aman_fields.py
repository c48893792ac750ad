"""AMAN's configuration: frames that are seen, mistakes, files, and older runs."""

import dataclasses
import json
from pathlib import Path

import pytest
from small_aman import CLIP, SMALL, pairs

from jmer.data.random_clips import RandomClips
from jmer.errors import JmerError, UsageError
from jmer.experiment import Experiment
from jmer.models.aman import AmanConfig
from jmer.models.base import network
from jmer.nn.resnet18 import read_resnet18
from jmer.optim import SgdConfig
from jmer.runner.features import features


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    return pairs(tmp_path_factory)


@pytest.mark.parametrize(
    ("pick", "n", "seen"),
    [
        # "from the beginning at a certain interval": 20 / 10 is 2, and 20 / 11 1.81…
        ("step", 10, tuple(range(0, 20, 2))),
        ("step", 11, (0, 1, 3, 5, 7, 9, 10, 12, 14, 16, 18)),
        ("step", 1, (0,)),
        ("step", 2, (0, 10)),
        ("step", 20, tuple(range(20))),
        ("linspace", 11, (0, 2, 4, 6, 8, 10, 11, 13, 15, 17, 19)),
        ("linspace", 2, (0, 19)),
        # Of the 19 other frames, 1 to 19: their middle, and that of each half.
        ("without-onset", 1, (10,)),
        ("without-onset", 2, (5, 15)),
        ("without-onset", 19, tuple(range(1, 20))),
        ("without-onset", 20, tuple(range(20))),
    ],
)
def test_frames_are_those_of_the_paper(pick, n, seen):
    assert AmanConfig(n=n, pick=pick).seen == seen


def test_the_papers_reading_is_the_default():
    assert AmanConfig().seen == AmanConfig(pick="step").seen
    for n in range(1, 21):
        for pick in ("step", "linspace", "without-onset"):
            seen = AmanConfig(n=n, pick=pick).seen
            assert len(set(seen)) == n and seen == tuple(sorted(seen))
            assert seen[0] >= 0 and seen[-1] < 20


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("k", 0),
        ("n", 0),
        ("n", 21),
        ("frames", 0),
        ("width", 0),
        ("size", 222),
        ("magnify_size", 6),
        ("stored", 223),
        ("stored", -1),
        ("pick", "first"),
        ("norm", "batch"),
        ("init", "xavier"),
        ("ma", "max"),
        ("ma", "single"),
        ("ma", "single:0.5"),
        ("ma", "single:nan"),
        ("fa", "max"),
        ("magnify", "eulerian"),
        ("pretrain", "some"),
        ("cache", "int8"),
        ("amp_offset", 2),
    ],
)
def test_bad_fields_are_refused_by_the_name_of_the_option(field, value):
    option = field.replace("_", "-")
    with pytest.raises(UsageError, match=rf"model\.{option}="):
        AmanConfig(**{field: value})


def test_weights_that_lack_are_asked_for(paired):
    config, _ = paired("paper")
    for field, words in (
        ("magnifier", r"model\.magnifier is not given: .* --model.magnify linear"),
        ("backbone", r"model\.backbone is not given: give .* --model.pretrain none"),
    ):
        without = dataclasses.replace(config, **{field: None})
        with pytest.raises(UsageError, match=words):
            features(without, {"clip": CLIP}, "patches")


def test_files_of_something_else_are_refused(paired, tmp_path):
    config, _ = paired("paper")
    for field, words in (
        ("magnifier", r"no checkpoint of the magnification network: .* is missing"),
        ("backbone", r"is no ResNet-18 of 2 channels \(.*it holds encoder"),
    ):
        given = {"magnifier": config.backbone, "backbone": config.magnifier}[field]
        wrong = dataclasses.replace(config, **{field: given})
        with pytest.raises(JmerError, match=words):
            wrong.features(CLIP)
        gone = dataclasses.replace(config, **{field: str(tmp_path / "gone.pth")})
        with pytest.raises(JmerError, match=r"gone\.pth: No such file"):
            gone.features(CLIP)


def test_a_backbone_of_another_width_is_refused(paired):
    with pytest.raises(JmerError, match=r"no ResNet-18 of 3 channels \(conv1.*shape"):
        read_resnet18(3, Path(paired("paper")[0].backbone))


def test_the_backbone_is_no_pretrained_trunk():
    with pytest.raises(JmerError, match=r"--model\.backbone FILE, not as --pretrained"):
        SMALL.trunk_from_torch({})


def test_it_survives_a_run_directory(paired):
    config, _ = paired("paper")
    fields = json.loads(json.dumps(dataclasses.asdict(config)))
    assert network("aman", fields) == config


def test_runs_from_before_a_field_did_what_was_done_then():
    """Theirs have no such fields, and are continued by what says the same."""
    old = json.loads(json.dumps(dataclasses.asdict(SMALL)))
    for field in ("norm", "pick", "stored", "init"):
        del old[field]
    found = network("aman", old)
    assert (found.norm, found.pick, found.init) == ("pooled", "linspace", "he")
    assert (found.stored, found.k, found.n) == (0, 2, 3)

    def identity(config):
        experiment = Experiment(
            model=config, data=RandomClips(), optim=SgdConfig(), epochs=1
        )
        return experiment.identity()["model"]

    assert not {"norm", "pick", "stored", "init"} & set(identity(found))
    assert identity(SMALL)["norm"] == "per-image"
