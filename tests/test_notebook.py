"""Runs in a notebook: the examples that the documentation gives are true."""

import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fabricated import make_run

import jmer
from jmer.errors import JmerError
from jmer.files import read_json, write_json
from jmer.runs import run as notebook
from jmer.scores import paired as paired_module
from jmer.scores.paired import paired
from jmer.scores.predictions import Predictions


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    make_run(folder / "runs/ststnet", name="ststnet", wrong_every=3)
    make_run(folder / "runs/stanet", name="stanet", wrong_every=6)
    return folder


@pytest.mark.parametrize("module", [notebook, paired_module], ids=lambda m: m.__name__)
def test_the_examples_are_true(place, module, monkeypatch):
    monkeypatch.chdir(place)
    found = doctest.testmod(module, extraglobs={"jmer": jmer, "np": np})
    assert found.failed == 0 and found.attempted > 0
    assert "+SKIP" not in Path(module.__file__).read_text(encoding="utf-8")


def test_nothing_is_lazy_but_what_is_listed():
    assert {name: callable(getattr(jmer, name)) for name in jmer.__all__[1:]} == {
        "compare": True,
        "load_experiment": True,
        "load_model": True,
        "load_run": True,
        "testing": False,  # a module
    }
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = jmer.nothing


def test_scores_of_people_and_classes_are_those_of_the_predictions(place):
    run = jmer.load_run(place / "runs/ststnet")
    p = run.predictions
    right = p.label == p.predicted
    assert run.confusion.sum() == len(p) and run.confusion.trace() == right.sum()
    for row in run.subjects:
        own = (p.subject == row.subject) & (p.dataset == row.dataset)
        assert row.acc == pytest.approx(right[own].mean())
        assert row.clips == len(np.unique(p.clip[own]))
    assert sum(row.clips for row in run.subjects) == 30


def test_runs_are_compared_by_path_or_as_they_are(place):
    a, b = place / "runs/ststnet", place / "runs/stanet"
    one, other = (Predictions.load(f / "predictions.csv") for f in (a, b))
    expected = paired(one, other)
    assert jmer.compare(a, str(b)) == jmer.compare(jmer.load_run(a), b) == expected
    fewer = jmer.compare(a, b, draws=50, seed=3)
    assert fewer == paired(one, other, draws=50, seed=3) != expected


def test_the_variant_that_the_report_shows_is_compared(place, tmp_path):
    folder = make_run(tmp_path / "r", name="r", wrong_every=6)
    p = Predictions.load(folder / "predictions.csv")
    names = ("dataset", "subject", "clip", "fold", "seed", "label", "probabilities")
    twice = {name: np.concatenate([getattr(p, name)] * 2) for name in names}
    guess = np.concatenate([np.zeros_like(p.predicted), p.predicted])
    variant = np.repeat([0, 1], len(p))
    Predictions(p.classes, variant=variant, predicted=guess, **twice).save(
        folder / "predictions.csv"
    )
    metrics = read_json(folder / "metrics.json")
    write_json(folder / "metrics.json", metrics | {"variant": 1})
    assert jmer.compare(place / "runs/stanet", folder).overall["acc"].value == 0


def test_an_unfinished_run_is_named(tmp_path, place):
    with pytest.raises(JmerError, match=r"experiment\.json: it is no finished run"):
        jmer.compare(place / "runs/ststnet", tmp_path)


@pytest.mark.parametrize(
    "code",
    [
        "from jmer.commands.report import report; report([{folder!r}])",
        "import jmer; run = jmer.load_run({folder!r}); run.metrics, run.confusion, "
        "run.predictions, run.curves, repr(run)",
        "import jmer; jmer.compare({folder!r}, {folder!r})",
    ],
    ids=["report", "run", "comparison"],
)
def test_what_needs_no_weights_loads_no_jax(place, code):
    folder = str(place / "runs/ststnet")
    loaded = f"{code.format(folder=folder)}; import sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", loaded],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    names = {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "jmer" in names
    assert not names & {"jax", "flax", "orbax"}
