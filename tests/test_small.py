"""The small size of each network, and the part of a set that it sees."""

import dataclasses
import json
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from toy import make_clips

from jmer.cli import main
from jmer.data.extract import Extract, fitted, shrunk
from jmer.data.listed import ClipLists
from jmer.data.random_clips import RandomClips
from jmer.data.splits import Loso, make_folds
from jmer.errors import UsageError
from jmer.experiment import Experiment, load_experiment
from jmer.models.base import networks
from jmer.models.hsta import HstaConfig
from jmer.models.stanet import STANetConfig
from jmer.models.ststnet import STSTNetConfig
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.optim import SgdConfig
from jmer.papers import TABLES
from jmer.report.reproduction import matches
from jmer.runs.explain import set_of
from jmer.runs.run import load_run
from jmer.sweep.cells import Sweep
from jmer.sweep.given import given_in
from jmer.sweep.readings import readings
from jmer.sweep.small import made_small, small_cells

TRAINED = [kind for kind in networks() if kind.name != "magnet"]


def experiment_of(network, **options):
    shapes = tuple(zip(network.inputs, network.input_shapes, strict=True))
    return Experiment(
        model=network,
        data=RandomClips(shapes=shapes, subjects=3, per_subject=6),
        **{"optim": SgdConfig(lr=0.01), **options},
    )


@pytest.mark.parametrize("kind", TRAINED, ids=lambda kind: kind.name)
def test_every_network_has_a_small_size(kind):
    assert kind().small_size
    made, words = made_small(experiment_of(kind()))
    assert made.small and made.epochs <= 5
    assert any(word.startswith("epochs 5 instead of 100") for word in words)
    for own, paper in zip(made.model.input_shapes, kind().input_shapes, strict=True):
        assert len(own) == len(paper) and np.all(np.array(own) <= np.array(paper))
    # Once more changes nothing more.
    assert made_small(made) == (made, ())


def test_what_is_smaller_already_stays():
    tiny = STANetConfig(frames=3, size=20, width=2, levels=0, lstm=3)
    assert made_small(experiment_of(tiny, epochs=2))[0].model == tiny
    # Unless it does not go with the rest.
    odd = HstaConfig(dim_v=50, dim_s=25, heads=5, size=224)
    assert made_small(experiment_of(odd))[0].model.heads == 4


def test_what_was_given_stays():
    base = experiment_of(STANetConfig())
    words = ["--model.width", "32", "--epochs=100", "--model.no-sab", "--x"]
    given = given_in([*words, "--batch-size", "4"], base)
    assert {"model.width", "epochs", "model.sab", "batch_size"} <= given
    wide = dataclasses.replace(base.model, width=32)
    base = dataclasses.replace(base, model=wide, batch_size=4)
    made, said = made_small(base, given)
    assert (made.model.width, made.epochs, made.batch_size) == (32, 100, 4)
    assert made.model.size == 32 and not any("width" in word for word in said)
    assert made_small(base, {"model"})[0].model == base.model


def test_a_phase_that_starts_from_another_run_starts_from_nothing():
    second = VisualMemoryConfig(phase="memory", train_motion=True)
    made, _ = made_small(experiment_of(second, start_from="a"))
    assert (made.model.phase, made.start_from) == ("joint", None)
    first = VisualMemoryConfig(phase="spatial")
    assert made_small(experiment_of(first))[0].model.phase == "spatial"


def test_lists_of_clips_become_loso():
    assert ClipLists.files
    made, words = made_small(experiment_of(STSTNetConfig(), protocol=ClipLists()))
    assert made.protocol == Loso() and "protocol Loso instead of ClipLists" in words


def test_rows_of_a_sweep_keep_what_they_set():
    sweep = Sweep(
        experiment_of(STANetConfig()),
        rows={"wide": {"model.width": 64}, "narrow": {"model.width": 32}},
        values={"epochs": (9, 10)},
    )
    cells, words = small_cells(sweep, sweep.cells, ())
    widths = [(cell.experiment.model.width, cell.experiment.epochs) for cell in cells]
    assert widths == [(64, 9), (64, 10), (32, 9), (32, 10)]
    assert [cell.name for cell in cells] == [cell.name for cell in sweep.cells]
    assert {cell.experiment.model.size for cell in cells} == {32} and words


def test_it_is_no_row_of_a_papers_table():
    table = TABLES["stanet-1"]
    base = load_experiment("stanet_casme2")

    def like(experiment):
        fields = json.loads(json.dumps(experiment.resolved()))
        run = SimpleNamespace(experiment={"experiment": fields}, metrics={})
        return [one for one in matches(table, [run], read=readings(table)) if one.run]

    assert [one.differing for one in like(base)] == [()]
    for given in ((), ("model", "epochs", "batch_size", "extract")):
        made, _ = made_small(base, given)
        assert all(one.differing for one in like(made)) or not like(made)


def test_identities_of_runs_stay_what_they_were():
    base = experiment_of(STSTNetConfig())
    assert "extract" not in base.identity() and "small" not in base.identity()
    part = dataclasses.replace(base, extract=Extract(clips=9))
    assert part.identity()["extract"]["clips"] == 9


@pytest.mark.parametrize("name", ["subjects", "clips"])
@pytest.mark.parametrize("value", [0, 1, -3, 2.5])
def test_an_extract_has_people_to_compare(name, value):
    with pytest.raises(UsageError, match=f"extract.{name}"):
        Extract(**{name: value})


def test_an_extract_has_all_classes_and_a_share_of_each_person():
    clips = make_clips(subjects=30, per_subject=7)
    shapes = {"apex_flow": (7, 7, 3)}
    part = Extract(subjects=5, clips=20).of(clips, shapes)
    assert len(part) == 20 and len(set(part.subject)) == 5
    counts = [list(part.subject).count(name) for name in set(part.subject)]
    assert max(counts) - min(counts) <= 1
    make_folds(Loso(), part)  # which refuses a class that a fold cannot train on
    rows = [clips.names.index(name) for name in part.names]
    assert rows == sorted(rows)
    np.testing.assert_array_equal(part.label, clips.label[rows])
    chosen = clips.inputs["apex_flow"][rows]
    np.testing.assert_array_equal(part.inputs["apex_flow"], chosen)
    assert Extract().of(clips, shapes) is clips
    assert Extract(subjects=99, clips=999, fitted=True).of(clips, shapes) is clips


def test_rare_classes_are_not_lost():
    clips = make_clips(subjects=40, per_subject=3)
    label = np.zeros(len(clips), np.int32)
    label[[35, 80]] = 2  # two people have it
    label[[10, 50, 90]] = 1
    part = Extract(subjects=6, clips=12).of(
        dataclasses.replace(clips, label=label), {"apex_flow": (7, 7, 3)}
    )
    assert sorted(set(part.label.tolist())) == [0, 1, 2]
    assert len(set(part.subject)) == 6
    make_folds(Loso(), part)


def test_images_shrink_by_area_and_flow_stays_in_pixels():
    image = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    np.testing.assert_array_equal(
        shrunk(image, (2, 2))[..., 0], np.rint([[2.5, 4.5], [10.5, 12.5]])
    )
    flow = np.zeros((3, 4, 8, 3), np.float16)
    flow[..., 0], flow[..., 1], flow[..., 2] = 4, 6, 5
    small = shrunk(flow, (2, 2), moves=2)
    assert small.shape == (3, 2, 2, 3) and small.dtype == np.float16
    np.testing.assert_array_equal(small[0, 0, 0], [1, 3, 5])
    one = fitted("flow", flow[..., :2], (3, 2, 2, 2))
    np.testing.assert_array_equal(one, small[..., :2])
    assert fitted("flow", flow, (4, 2, 2, 3)) is flow
    many = np.ones((5, 5, 7), np.float32)
    np.testing.assert_allclose(shrunk(many, (3, 3)), np.ones((3, 3, 7)), rtol=1e-6)


@pytest.mark.parametrize(
    "shape", [(9, 9, 3), (7, 9, 3), (7, 7, 2), (7, 7), (1, 7, 7, 3)]
)
def test_what_is_no_smaller_image_stays(shape):
    clips = make_clips()
    part = Extract(fitted=True).of(clips, {"apex_flow": shape})
    assert part is clips


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A small run of a set with larger images than the network sees, and what it
    printed."""
    folder = tmp_path_factory.mktemp("small")
    file = folder / "mine.py"
    file.write_text(
        "from jmer.data.random_clips import RandomClips\n"
        "from jmer.experiment import Experiment\n"
        "from jmer.models.ststnet import STSTNetConfig\n"
        "from jmer.optim import SgdConfig\n"
        "EXPERIMENT = Experiment(model=STSTNetConfig(size=40, filters=(2,)),\n"
        "    data=RandomClips(shapes=(('apex_flow', (40, 40, 3)),), subjects=3,\n"
        "        per_subject=6), optim=SgdConfig(lr=0.01), seeds=(3, 4))\n"
    )
    place = folder / "run"
    words = ["run", str(file), "--small", "--epochs", "1", "--run-dir", str(place)]
    assert main(words) == 0
    return place


def test_a_small_run_says_so(ran):
    run = load_run(ran)
    about = run.experiment
    assert about["experiment"]["small"] is True
    assert "model.size 28 instead of 40" in about["small"]
    assert about["experiment"]["epochs"] == 1  # as it was given
    assert about["experiment"]["seeds"] == [3]
    text = (ran / "report.md").read_text()
    assert "A small size (--small)" in text and "model.size 28 instead of 40" in text
    assert "A small size" in run._repr_html_()


def test_a_small_run_is_explained_on_what_it_saw(ran):
    run = load_run(ran)
    clips = set_of(run)
    assert clips.inputs["apex_flow"].shape == (18, 28, 28, 3)
    assert clips.fingerprint == run.experiment["data"]["fingerprint"]


def test_its_weights_are_tested_on_what_it_saw(ran, tmp_path):
    words = ["evaluate", str(ran.parent / "mine.py"), "--weights", str(ran), "--small"]
    assert main([*words, "--run-dir", str(tmp_path / "again")]) == 0
    again, run = load_run(tmp_path / "again"), load_run(ran)
    np.testing.assert_allclose(
        again.predictions.probabilities, run.predictions.probabilities, atol=1e-5
    )


def test_a_network_that_says_nothing_is_trained_on_fewer_clips():
    class Own(STSTNetConfig):
        small_size: ClassVar = {}

    made, words = made_small(experiment_of(Own(size=40)))
    assert made.model.size == 40
    assert (made.extract.subjects, made.extract.clips) == (6, 60)
    assert "extract.subjects 6 instead of none" in words


def test_it_goes_on_as_it_began(ran, capsys):
    file = str(ran.parent / "mine.py")
    assert main(["run", file, "--small", "--epochs", "1", "--run-dir", str(ran)]) == 0
    shown = capsys.readouterr()
    assert "nothing to train" in shown.out
    assert "small size, to try things out" in shown.err
    assert main(["run", file, "--epochs", "1", "--run-dir", str(ran)]) == 1
    assert "is the run of another experiment" in capsys.readouterr().err


def test_people_are_the_first_two_of_each_class_then_others_at_even_distances():
    clips = make_clips(subjects=9, per_subject=2)
    label = np.zeros(len(clips), np.int32)
    label[12:] = 1  # the last three people alone
    clips = dataclasses.replace(clips, label=label)
    people = list(dict.fromkeys(clips.subject.tolist()))

    def chosen(most):
        part = Extract(subjects=most).of(clips, {})
        return [people.index(one) for one in dict.fromkeys(part.subject.tolist())]

    assert chosen(2) == [0, 1]
    assert chosen(4) == [0, 1, 6, 7]
    assert chosen(6) == [0, 1, 2, 6, 7, 8]  # of 2, 3, 4, 5 and 8 the first and the last
    assert chosen(7) == [0, 1, 2, 4, 6, 7, 8]
