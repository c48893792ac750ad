"""Trainings on action units: networks, the engine's promises, and whole runs."""

import dataclasses
import json
import re
import shlex
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine import (
    NETWORK,
    assert_trees_close,
    assert_trees_equal,
    make_program,
    row,
    tasks_of,
    train,
    trees_differ,
)
from flax import nnx
from numpy.testing import assert_allclose
from test_networks import NETWORKS, with_another_subject
from test_units import of_units
from toy import clips_for, make_clips

import jmer
from data_builders.synthetic import Synthetic
from jmer.audit.run import audit_run
from jmer.cli import main
from jmer.data.extract import Extract
from jmer.errors import JmerError
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.optim import SgdConfig
from jmer.report import write_comparison, write_report
from jmer.runs.run import Run, load_run
from jmer.scores.labels import UNITS
from jmer.scores.recognition import score

EXPERIMENT = Experiment(
    model=STSTNetConfig(size=8, filters=(2,)),
    data=Synthetic(subjects=4, clips=12, length=5, size=32, flow_size=8),
    optim=SgdConfig(lr=0.05),
    epochs=2,
    batch_size=4,
)


@pytest.mark.parametrize(
    "network",
    [
        NETWORK,  # the others take seconds to compile
        *(pytest.param(network, marks=pytest.mark.slow) for network in NETWORKS),
    ],
    ids=lambda config: config.name,
)
def test_every_network_learns_from_units(network):
    clips = of_units(clips_for(network, 2, 3))
    seen = clips.inputs
    if network.has_prefix:
        seen = jax.device_get(network.prefix(seen))
    inputs = {name: jnp.asarray(x) for name, x in seen.items()}
    model = network.build(3, dtype=jnp.float32, rngs=nnx.Rngs(params=0))
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    weight = jnp.array([1.0, 1, 1, 1, 1, 0])

    @jax.jit
    def both(label):
        def loss(params):
            made = nnx.merge(graphdef, params, rest, copy=True)
            return network.loss(
                made, inputs, label, weight=weight, key=jax.random.key(0)
            )

        found = nnx.merge(graphdef, params, rest, copy=True)
        logits = network.apply_units(found, inputs, train=False)
        return jax.value_and_grad(loss)(params), logits

    label = jnp.asarray(clips.label)
    (value, gradient), logits = both(label)
    (same, _), _ = both(label.at[5].set(~label[5]))
    (other, _), _ = both(label.at[0].set(~label[0]))
    assert value == same != other
    leaves = jax.tree.leaves(gradient)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in leaves)
    assert any(bool((leaf != 0).any()) for leaf in leaves)
    assert logits.shape == label.shape and logits.dtype == jnp.float32


@pytest.mark.parametrize("count", ["plain", "by_intensity", "present"])
def test_visual_memory_has_the_mean_probability_of_its_steps(count, monkeypatch):
    rng = np.random.default_rng(0)
    steps = jnp.asarray(rng.normal(size=(2, 3, 4)), jnp.float32)
    shown = {"step_logits": steps, "intensity": jnp.asarray(rng.random((2, 3)))}
    present = jnp.array([[1, 1, 1, 1], [1, 1, 0, 0]])
    inputs = {"present": present} if count == "present" else {}
    weight = {
        "plain": jnp.ones((2, 3)),
        "by_intensity": shown["intensity"],
        "present": present[:, 1:],
    }[count]
    kind = VisualMemoryConfig
    monkeypatch.setattr(
        kind, "by_intensity", property(lambda _: count == "by_intensity")
    )
    monkeypatch.setattr(kind, "_explain", lambda *args, **options: (None, shown))
    found = jax.nn.sigmoid(kind().apply_units(None, inputs))
    share = weight / weight.sum(1, keepdims=True)
    expected = (jax.nn.sigmoid(steps) * share[..., None]).sum(1)
    assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "mode", ["own", pytest.param("shared", marks=pytest.mark.slow)]
)
def test_nothing_leaks_and_folds_are_alike_alone_and_together(mode):
    clips = of_units(make_clips(per_subject=6))
    tasks = tasks_of(clips)
    program = make_program(clips, mode=mode, chunk=4, batch_size=6)
    together, record = train(program, clips, tasks, 2)
    assert record.test_logits.shape[-1] == 3
    if mode == "shared":
        single = make_program(clips, mode=mode, chunk=1, batch_size=6)
        alone, own = train(single, clips, tasks[1:2], 2)
        assert_trees_close(row(together.params, 1), row(alone.params, 0))
        assert_trees_close(record.test_logits[1], own.test_logits[0])
    chosen = clips.subject == tasks[1].fold
    noisy = with_another_subject(make_clips(per_subject=6), tasks[1].fold)
    other = of_units(dataclasses.replace(clips, inputs=noisy.inputs))
    label = np.where(chosen[:, None], ~clips.label, clips.label)
    other = dataclasses.replace(other, label=label)
    again, _ = train(program, other, tasks, 2)
    assert_trees_equal(row(together, 1), row(again, 1))
    assert trees_differ(row(together.params, 0), row(again.params, 0))


def test_an_experiment_is_what_it_was_without_units():
    before = EXPERIMENT.identity()
    assert "extract" not in before
    part = dataclasses.replace(EXPERIMENT, extract=Extract(clips=8))
    assert "action_units" not in part.identity()["extract"]
    made = dataclasses.replace(EXPERIMENT, extract=Extract(action_units=(1, 4)))
    assert made.identity()["extract"]["action_units"] == [1, 4]


UNITS_ASKED = ["--extract.action-units", "1", "4", "12"]


def words_of(folder):
    """The command of the run on units."""
    words = ["run", str(folder / "tiny.py"), "--data.data-dir", str(folder / "tfds")]
    more = ["--seeds", "0", "1", "--selection", "inner"]
    return [*words, "--run-dir", str(folder / "units"), *UNITS_ASKED, *more]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run on action units, and one on classes."""
    folder = tmp_path_factory.mktemp("units")
    (folder / "tiny.py").write_text(
        "from data_builders.synthetic import Synthetic\n"
        "from jmer.experiment import Experiment\n"
        "from jmer.models.ststnet import STSTNetConfig\n"
        "from jmer.optim import SgdConfig\n"
        "EXPERIMENT = Experiment(model=STSTNetConfig(size=8, filters=(2,)),\n"
        "    data=Synthetic(subjects=4, clips=12, length=5, size=32, flow_size=8),\n"
        "    optim=SgdConfig(lr=0.05), epochs=2, batch_size=4)\n"
    )
    assert main(words_of(folder)) == 0
    words = ["run", str(folder / "tiny.py"), "--data.data-dir", str(folder / "tfds")]
    assert main([*words, "--run-dir", str(folder / "classes")]) == 0
    return folder


@pytest.fixture
def run(place) -> Run:
    return load_run(place / "units")


def test_a_run_stores_sets_of_units(run):
    found = json.loads((run.folder / "metrics.json").read_text())
    assert found["labels"] == "action units" and found["classes"] == [
        "AU1",
        "AU4",
        "AU12",
    ]
    again = score(run.predictions)
    assert found["f1"] == pytest.approx(again["f1"])
    assert set(found["test_curve"]) == {"epoch", "f1"}
    p = run.predictions
    assert p.kind is UNITS and p.label.shape == (24, 3)
    assert ((p.probabilities > 0.5) == p.predicted).all()
    assert "F1 macro" in repr(run) and "F1" in run._repr_html_()
    row = run.clips[0]
    assert set(row.probabilities) == {"AU1", "AU4", "AU12"}
    assert "unit_AU4" in run.clips.columns
    assert run.clips._repr_html_().startswith("<div")
    assert run.clips.where(label=row.label)[0].label == row.label
    assert run.plot_learning() is not None


def test_its_report_has_each_unit_and_no_confusion(run):
    write_report(run.folder)
    text = (run.folder / "report.md").read_text()
    assert "## Per action unit" in text and "| AU12 |" in text
    assert "always answering that all units are shown scores F1" in text
    assert "Confusion" not in text and "UF1" not in text
    assert "Per action unit" in (run.folder / "report.html").read_text()
    assert "f1_macro" in (run.folder / "scores.csv").read_text()
    wrong = ~run.predictions.right
    assert wrong.any() and (run.folder / "thumbnails" / "00.png").is_file()


def test_its_audit_keeps_every_rule(run):
    found = audit_run(run)
    assert found.sound
    verdicts = {finding.rule: finding.verdict for finding in found.findings}
    for rule in ("metrics", "pooling", "selection", "labels", "known", "unseen"):
        assert verdicts[rule] == "ok", rule
    balance = next(f for f in found.findings if f.rule == "balance")
    assert "all units are shown has F1" in balance.text


def test_the_audit_sees_a_mean_over_folds_in_place_of_pooled_units(run, tmp_path):
    folder = tmp_path / "edited"
    shutil.copytree(run.folder, folder)
    mean = run.metrics["fold_mean"]["f1"]
    assert mean != pytest.approx(run.metrics["f1"], abs=1e-5)
    edited = json.loads((folder / "metrics.json").read_text()) | {"f1": mean}
    (folder / "metrics.json").write_text(json.dumps(edited))
    found = audit_run(load_run(folder, changed=True)).findings
    assert {f.rule: f.verdict for f in found}["pooling"] == "violation"
    with pytest.raises(JmerError, match="changed after"):
        load_run(folder)


def test_explain_shows_the_units(place, capsys):
    assert main(["explain", str(place / "units"), "--out", str(place / "shown")]) == 0
    said = capsys.readouterr().out
    assert "(true: AU" in said or "(true: none)" in said
    pages = [*(place / "shown").rglob("explain.md")]
    assert "True units" in pages[0].read_text()


def test_runs_are_compared_with_those_of_their_kind(place, tmp_path):
    units = place / "units"
    text = write_comparison([units, units], tmp_path / "both", names=["a", "b"])
    assert "F1 macro" in text and "each action unit" in text.lower()
    with pytest.raises(JmerError, match="two kinds have no score in common"):
        write_comparison([units, place / "classes"], tmp_path / "other")
    with pytest.raises(JmerError, match="action units, and the second classes"):
        jmer.compare(units, place / "classes")


def test_what_needs_classes_says_so(place, capsys):
    assert main(["spot", str(place / "units")]) != 0
    assert "needs one class of each clip" in capsys.readouterr().err


def test_the_classes_of_a_run_of_units_are_refused_in_python(run):
    for ask in (lambda: run.confusion, run.plot_confusion):
        with pytest.raises(JmerError, match="a confusion matrix needs one class"):
            ask()


def test_what_goes_by_class_is_refused_until_its_remedies_are_typed(place, capsys):
    by_class = {
        "--protocol": "clip-hold-out",
        "--sampling": "balanced",
        "--inner-unit": "clip",
    }
    for _ in by_class:
        typed = [word for pair in by_class.items() for word in pair]
        assert main([*words_of(place), *typed]) != 0
        remedy = re.search(r"(--[a-z-]+) (\w+)$", capsys.readouterr().err.strip())
        by_class[remedy[1]] = remedy[2]
    assert by_class == {
        "--protocol": "loso",
        "--sampling": "shuffled",
        "--inner-unit": "subject",
    }
    typed = [word for pair in by_class.items() for word in pair]
    assert main([*words_of(place), *typed]) == 0  # which is the run that is there


@pytest.mark.slow
def test_units_learn_by_every_loss_that_is_asked_for(place, run):
    """All of them at once change the weights, and the audit finds nothing in it."""
    words = ["--loss.class-weights", "balanced", "--loss.focal", "2", "--loss.mixup"]
    words += ["0.2", "--loss.smoothing", "0.1", "--run-dir", str(place / "loss")]
    assert main([*words_of(place), *words, "--seeds", "0", "--selection", "last"]) == 0
    other = load_run(place / "loss")
    assert other.experiment["experiment"]["loss"]["focal"] == 2
    assert other.predictions.probabilities.shape == (12, 3)
    path = next(iter(other.weights.arrays))
    assert not np.allclose(other.weights.arrays[path][0], run.weights.arrays[path][0])
    assert audit_run(other).sound


def test_units_that_no_clip_shows_can_be_left_out_as_is_said(place, capsys):
    place_of_run = ["--run-dir", str(place / "more")]
    assert main([*words_of(place), *place_of_run, "--extract.action-units", "44"]) != 0
    said = capsys.readouterr().err
    known = said.split("commonest first:")[1].strip(" .\n").split()
    assert {"1", "4", "12"} <= set(known)


def test_predictions_of_units_are_no_table_of_classes(place, capsys):
    file = place / "units" / "predictions.csv"
    assert main(["audit", "--predictions", str(file)]) != 0
    said = capsys.readouterr().err
    assert "has predictions of action units" in said
    (command,) = re.findall("`jmer (.*)`", said)
    assert main(shlex.split(command)) == 0


def test_weights_of_units_are_evaluated(place):
    out = place / "evaluated"
    words = ["evaluate", str(place / "tiny.py"), "--weights", str(place / "units")]
    data = ["--data.data-dir", str(place / "tfds"), "--run-dir", str(out)]
    assert main([*words, *data, *UNITS_ASKED]) == 0
    found, own = load_run(out).metrics, load_run(place / "units").metrics
    assert found["f1"] == pytest.approx(own["f1"])
    assert main([*words, *data, "--overwrite"]) != 0
