"""Fits of support vector machines, and runs of them that are like any other."""

import dataclasses
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import jmer
from jmer.baselines.lbp_top import LbpTopConfig
from jmer.baselines.machine import Machines, gaussian, voted
from jmer.baselines.svm import SvmConfig
from jmer.cli import main
from jmer.data.random_clips import RandomClips
from jmer.data.splits import make_folds
from jmer.errors import JmerError, UsageError
from jmer.experiment import Experiment, load_experiment
from jmer.models.origin import made_again
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamConfig
from jmer.runner.fitting import Fits
from jmer.runner.session import Session
from jmer.runs.weights import structure
from jmer.train.checkpoint import unflatten
from jmer.train.objective import LossConfig
from jmer.train.tasks import Task

RNG = np.random.default_rng(5)
LABEL = np.arange(60) % 3
FEATURES = (RNG.normal(size=(60, 7)) * [1, 5, 0.1, 1, 1, 1, 1] + 2).astype(np.float32)
FEATURES[:, 0] += LABEL
FEATURES[:, 6] = 4  # never varies
TESTED = RNG.normal(size=(9, 7)).astype(np.float32) + 2
TESTED[:, 6] = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plain(LbpTopConfig):
    """Seven features, whatever the clip is."""

    name = "plain"
    width = 7


def logits(network, arrays, x, classes=3):
    graphdef, (params, stats) = structure(network, classes)
    state = {"params": params, "stats": stats}
    one = {name: value[None] for name, value in arrays.items()}
    template = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((1, *x.shape), x.dtype), state
    )
    found = unflatten(template, one, Path("arrays"))
    found = jax.tree.map(lambda x: jnp.asarray(x[0]), found)
    model = nnx.merge(graphdef, found["params"], found["stats"])
    return np.asarray(model(jnp.asarray(x)))


@pytest.mark.parametrize("weights", ["none", "balanced"])
@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_decisions_are_those_of_scikit_learn(kernel, weights):
    kept = LABEL != 2
    kept[::2] = True  # so that classes are of different sizes
    features, label = FEATURES[kept], LABEL[kept]
    network = Plain(kernel=kernel, vectors=60)
    options = SvmConfig(c=0.7, gamma=1.3, weights=weights)
    arrays = options.fit(network, features, label, 3)
    scaler = StandardScaler().fit(features.astype(np.float64))
    theirs = SVC(
        C=0.7,
        kernel=kernel,
        gamma=1.3 / 7,
        tol=1e-6,
        class_weight="balanced" if weights == "balanced" else None,
        decision_function_shape="ovr",
        break_ties=True,
    ).fit(scaler.transform(features), label)
    found = logits(network, arrays, TESTED)
    assert_allclose(
        found, theirs.decision_function(scaler.transform(TESTED)), atol=2e-3
    )
    assert_array_equal(found.argmax(1), theirs.predict(scaler.transform(TESTED)))


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_units_are_those_of_a_machine_each(kernel):
    label = RNG.random((60, 3)) < [0.5, 0.2, 0]
    network = Plain(kernel=kernel, vectors=60, machines="each")
    arrays = SvmConfig(weights="balanced").fit(network, FEATURES, label, 3)
    scaler = StandardScaler().fit(FEATURES.astype(np.float64))
    found = logits(network, arrays, TESTED)
    for unit in range(2):
        theirs = SVC(kernel=kernel, gamma=1 / 7, tol=1e-6, class_weight="balanced")
        theirs.fit(scaler.transform(FEATURES), label[:, unit])
        expected = theirs.decision_function(scaler.transform(TESTED))
        assert_allclose(found[:, unit], expected, atol=5e-3)
    assert (found[:, 2] < 0).all()  # which nobody shows
    classes = SvmConfig(weights="balanced").fit(network, FEATURES, LABEL, 3)
    same = SvmConfig(weights="balanced").fit(
        network, FEATURES, LABEL[:, None] == np.arange(3), 3
    )
    for name, value in classes.items():
        assert value.tobytes() == same[name].tobytes()


def test_scaled_all_together_gamma_is_that_of_scikit_learn():
    label = RNG.random((60, 2)) < [0.5, 0.4]
    network = Plain(kernel="rbf", vectors=60, machines="each")
    arrays = SvmConfig(c=28.0, scaling="all").fit(network, FEATURES, label, 2)
    found = logits(network, arrays, TESTED, 2)
    for unit in range(2):
        theirs = SVC(C=28, gamma="scale", tol=1e-6).fit(FEATURES, label[:, unit])
        assert_allclose(found[:, unit], theirs.decision_function(TESTED), atol=2e-2)
    arrays = SvmConfig(c=0.01, scaling="none").fit(Plain(), FEATURES, LABEL, 3)
    theirs = SVC(C=0.01, kernel="linear", tol=1e-6, break_ties=True)
    theirs.fit(FEATURES, LABEL)
    found = logits(Plain(), arrays, TESTED)
    assert_allclose(found, theirs.decision_function(TESTED), atol=2e-3)
    still = np.full((4, 7), 3, np.float32)
    for scaling in ("all", "none"):
        made = SvmConfig(scaling=scaling).fit(Plain(), still, LABEL[:4], 3)
        assert all(np.isfinite(x).all() for x in made.values())


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_votes_by_hand(classes):
    pairs = classes * (classes - 1) // 2
    found = np.asarray(voted(jnp.ones((1, pairs)), classes))[0]
    assert_array_equal(np.argsort(-found), range(classes))
    # The first class wins all of its pairs, and its decisions sum up to their number.
    assert found[0] == pytest.approx(classes - 1 + (classes - 1) / (3 * classes))


def test_gaussians_by_hand():
    x = jnp.array([[0.0, 0.0], [3.0, 4.0]])
    found = gaussian(x, x[:1], jnp.float32(0.04))
    assert_allclose(found, [[1], [np.exp(-1)]], rtol=1e-6)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_the_same_clips_give_the_same_bits(kernel):
    network = Plain(kernel=kernel)
    one, two = (SvmConfig().fit(network, FEATURES, LABEL, 3) for _ in range(2))
    for name, value in one.items():
        assert value.tobytes() == two[name].tobytes()
        assert value.dtype == np.float32
    model = Machines(7, 3, vectors=512 if kernel == "rbf" else 0)
    assert model.weight[...].shape == one["params.weight"].shape


@pytest.mark.parametrize("present", [(0, 2), (1,), (2,)])
def test_a_class_that_nobody_trained_is_never_answered(present):
    own = np.isin(LABEL, present)
    network = Plain()
    arrays = SvmConfig().fit(network, FEATURES[own], LABEL[own], 3)
    found = logits(network, arrays, TESTED).argmax(1)
    assert {*found} <= {*present}


def test_more_vectors_than_there_is_room_for_are_refused():
    with pytest.raises(UsageError, match=r"give --model.vectors 60") as error:
        SvmConfig().fit(Plain(kernel="rbf", vectors=5), FEATURES, LABEL, 3)
    assert "model.vectors=5: the machines of a fold may keep" in str(error.value)
    SvmConfig().fit(Plain(kernel="rbf", vectors=60), FEATURES, LABEL, 3)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(JmerError, match=r"pip install 'jmer\[baselines\]'"):
        SvmConfig().fit(Plain(), FEATURES, LABEL, 3)


def experiment(**fields):
    shapes = (("clip", (9, 8, 8, 3)),)
    base = {
        "model": LbpTopConfig(frames=9, size=8, blocks=1),
        "data": RandomClips(shapes=shapes, dtype="uint8"),
        "optim": SvmConfig(),
        "epochs": 1,
        "dtype": "float32",
    }
    return Experiment(**{**base, **fields})


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"epochs": 3}, "epochs=3: lbptop is fitted at once: leave it at 1"),
        ({"dtype": "auto"}, "dtype=auto: lbptop is fitted at once"),
        ({"ema": 0.9}, "ema=0.9: lbptop is fitted at once: leave it at 0"),
        ({"loss": LossConfig(focal=2.0)}, "is fitted at once, by a loss of its own"),
        ({"pretrained": Path("a.pth")}, "pretrained=a.pth: lbptop is fitted"),
        ({"optim": AdamConfig()}, "optim=AdamConfig: lbptop is fitted at once: choose"),
        ({"model": STSTNetConfig()}, "optim=SvmConfig: ststnet is trained in steps"),
        ({"selection": "inner"}, "there is nothing to choose: give --optim.c-among"),
        ({"optim": SvmConfig(c_among=(1, 2))}, "selection=last: .* --selection inner"),
    ],
)
def test_what_a_fit_has_not_is_refused(fields, text):
    with pytest.raises(UsageError, match=text):
        experiment(**fields)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"c": 0.0}, "optim.c=0.0 must be positive and finite"),
        ({"gamma": np.inf}, "optim.gamma=inf must be"),
        ({"c_among": (1.0, -1.0)}, "optim.c-among=.* must be"),
        ({"weights": "some"}, "optim.weights=some must be one of"),
        ({"scaling": "some"}, "optim.scaling=some must be one of"),
    ],
)
def test_numbers_of_a_fit_that_cannot_be(fields, text):
    with pytest.raises(UsageError, match=text):
        SvmConfig(**fields)


EXPERIMENT = '''"""LBP-TOP in a second."""

from data_builders.synthetic import Synthetic
from jmer.baselines.lbp_top import LbpTopConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=LbpTopConfig(size=32, blocks=2, frames=9),
    data=Synthetic(
        modality="clip", resample="tim", frames=9, size=32, subjects=4, clips=24
    ),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("baselines")
    (folder / "tiny.py").write_text(EXPERIMENT)
    return folder


def words(place, run_dir, *options):
    data = ("--data.data-dir", str(place / "tfds"))
    return ["run", str(place / "tiny.py"), "--run-dir", str(run_dir), *data, *options]


@pytest.fixture(scope="module")
def finished(place) -> Path:
    assert main(words(place, place / "finished")) == 0
    return place / "finished"


def test_a_run_is_like_any_other(finished, capsys):
    run = jmer.load_run(finished)
    assert run.metrics["fitted"] and run.metrics["oracle"] is None
    assert len(run.predictions) == 24
    assert run.weights.config.name == "lbptop"
    assert main(["audit", str(finished)]) == 0
    said = capsys.readouterr().out
    assert "no rule is broken" in said
    assert "not a bit of its weights differed" in " ".join(said.split())
    text = (finished / "report.md").read_text()
    assert "classifiers were fitted once" in text
    assert "Learning" not in text and "Oracle, inflated" not in text


def test_its_weights_predict_what_it_predicted(place, finished):
    run = jmer.load_run(finished)
    again = place / "evaluated"
    data = ("--data.data-dir", str(place / "tfds"))
    given = ("--weights", str(finished), "--run-dir", str(again))
    assert main(["evaluate", str(place / "tiny.py"), *given, *data]) == 0
    theirs = jmer.load_run(again).predictions
    assert_allclose(theirs.probabilities, run.predictions.probabilities, atol=1e-5)


def test_it_is_done_once_and_the_same_again(place, finished, capsys):
    before = (finished / "predictions.csv").read_bytes()
    assert main(words(place, finished)) == 0
    assert "nothing to train" in capsys.readouterr().out
    assert main(words(place, place / "other")) == 0
    assert (place / "other" / "predictions.csv").read_bytes() == before
    ours, theirs = (
        jmer.load_run(f).weights.arrays for f in (finished, place / "other")
    )
    for name, value in ours.items():
        assert value.tobytes() == theirs[name].tobytes()


def test_a_held_out_subject_changes_no_bit_of_its_fold(place, finished):
    rng = np.random.default_rng(0)
    given = load_experiment(str(place / "tiny.py"))
    options = SvmConfig(c_among=(0.1, 1.0))
    given = dataclasses.replace(given, optim=options, selection="inner")
    clips = RandomClips(subjects=4, per_subject=6).clips()
    features = {"features": rng.normal(size=(24, given.model.width)).astype("f4")}
    folds = make_folds(given.protocol, clips)
    for fold in folds[:2]:
        changed = features["features"].copy()
        changed[fold.test] = rng.normal(size=changed[fold.test].shape) * 100
        label = clips.label.copy()
        label[fold.test] = (label[fold.test] + 1) % 3
        other = dataclasses.replace(clips, label=label)
        one, two = (
            Fits.of(Session(given, own, folds, {"features": x})).fit(Task(0, fold.name))
            for own, x in ((clips, features["features"]), (other, changed))
        )
        assert one.inner == two.inner and one.loss == two.loss
        for name, value in one.arrays.items():
            assert value.tobytes() == two.arrays[name].tobytes()


def test_settings_are_chosen_on_inner_subjects(place):
    folder = place / "chosen"
    options = ("--selection", "inner", "--optim.c-among", "0.0001", "1")
    assert main(words(place, folder, *options)) == 0
    run = jmer.load_run(folder)
    assert run.metrics["selection"] == "inner"
    assert main(["audit", str(folder)]) == 0
    assert all(0 <= pack.inner_uf1.min() <= 1 for pack in run.packs)
    assert "held out inside each fold" in (folder / "report.md").read_text()


def test_what_errors_tell_to_type(place, capsys):
    def told(*options):
        assert main(words(place, place / "typed", *options)) == 2
        return capsys.readouterr().err

    among = ("--optim.c-among", "0.1", "1")
    assert "add --selection inner" in told(*among)
    assert "give --optim.c-among 0.1 1 10" in told("--selection", "inner")
    few = ("--model.kernel", "rbf", "--model.vectors", "2")
    more = told(*few).split("give --model.vectors ")[1].split()[0]
    typed = (*few[:3], more, "--selection", "inner", *among, "10")
    assert main(words(place, place / "typed", *typed, "--overwrite")) == 0


def test_variants_are_fitted_with_their_numbers(place):
    folder = place / "variants"
    assert main(words(place, folder, "--variants", "optim.c=1e-6", "optim.c=1")) == 0
    run = jmer.load_run(folder)
    small, large = (
        run.weights.arrays["params.weight"][
            [task.variant == v for task in run.weights.tasks]
        ]
        for v in (0, 1)
    )
    assert np.abs(small).max() < 1e-3 < np.abs(large).max()
    found = [each["values"] for each in run.metrics["variants"]]
    assert found == [{"optim.c": 1e-6}, {"optim.c": 1.0}]


def test_action_units_are_fitted_one_by_one(place, capsys):
    folder = place / "units"
    units = ("--extract.action-units", "12", "4")
    assert main(words(place, folder, *units)) == 2
    assert "give --model.machines each" in capsys.readouterr().err
    typed = ("--model.machines", "each", "--overwrite")
    assert main(words(place, folder, *units, *typed)) == 0
    run = jmer.load_run(folder)
    assert run.predictions.predicted.shape == (24, 2)
    assert np.isfinite(run.packs[0].loss).all()
    assert main(["audit", str(folder)]) == 0


def test_two_baselines_compare(place, finished):
    folder = place / "rbf"
    assert main(words(place, folder, "--model.kernel", "rbf")) == 0
    found = jmer.compare(finished, folder)
    assert any("model.kernel" in text for text in found.apart)
    noted = json.loads((folder / "experiment.json").read_text())["network"]
    assert noted == {"kind": "jmer.baselines.lbp_top:LbpTopConfig"}


def test_nothing_is_shown_of_a_baseline(finished, capsys):
    assert main(["explain", str(finished)]) != 0
    assert "there is nothing to show of a baseline" in capsys.readouterr().err


def test_a_baseline_that_is_gone_is_named(place, finished, tmp_path):
    noted = {"kind": "jmer.baselines.gone:GoneConfig"}
    with pytest.raises(JmerError, match="no network is called 'gone'"):
        made_again("gone", {}, noted, tmp_path / "experiment.json", "model")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["lbp_top", "lbp_sip", "hog3d", "hoof", "bi_woof", "mdmo", "svm_flow"]
)
def test_every_baseline_beats_chance_on_the_synthetic_faces(name, tmp_path):
    data = ("--data.data-dir", str(tmp_path / "tfds"))
    found = []
    for again in ("a", "b"):
        given = ("--run-dir", str(tmp_path / again), *data)
        assert main(["run", f"baselines/{name}_synthetic", *given]) == 0
        found.append((tmp_path / again / "predictions.csv").read_bytes())
    assert found[0] == found[1]
    metrics = jmer.load_run(tmp_path / "a").metrics
    low, _ = metrics["ci95"]["uf1"]
    # By chance a third; always the commonest class has less.
    assert low > 1 / 3
