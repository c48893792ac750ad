"""Another metric is one row: runs, reports, comparisons and audits have it."""

import csv
import json

import numpy as np
import pytest
from fabricated import make_predictions, make_run
from sklearn import metrics as reference

from jmer.audit.foreign_figures import parse_stated
from jmer.audit.tally import Tally
from jmer.errors import UsageError
from jmer.papers import TABLES
from jmer.report import write_comparison, write_report
from jmer.runs.run import Run
from jmer.scores.metrics import METRICS, Metric, headlines, label_of, reported
from jmer.scores.paired import paired
from jmer.scores.recognition import brief, score
from jmer.scores.spotting import AUC
from jmer.scores.units import UNIT_METRICS


def kappa(confusion):
    """Cohen's, of [*b, k, k]."""
    total = confusion.sum((-2, -1))
    by_chance = (confusion.sum(-1) * confusion.sum(-2)).sum(-1) / total**2
    right = np.diagonal(confusion, axis1=-2, axis2=-1).sum(-1) / total
    return (right - by_chance) / (1 - by_chance)


@pytest.fixture
def row(monkeypatch):
    made = Metric("kappa", "κ", "Agreement beyond chance.", low=-1.0, of=kappa)
    monkeypatch.setitem(METRICS, "kappa", made)
    return made


def value(predictions):
    """Of each seed alone, averaged."""
    each = [predictions.select(seed=seed) for seed in (0, 1)]
    return np.mean([reference.cohen_kappa_score(p.label, p.predicted) for p in each])


def test_the_orders_of_files_and_of_reports():
    assert list(METRICS) == ["acc", "uf1", "uar"]
    assert [metric.label for metric in reported().values()] == ["UF1", "UAR", "ACC"]
    assert [metric.name for metric in headlines()] == ["uf1", "uar"]
    assert label_of("f1") == "F1" and label_of("acc") == "ACC"


def test_what_papers_print_is_in_the_table():
    printed = {name for table in TABLES.values() for name in table.metrics}
    assert printed <= {*METRICS, *UNIT_METRICS, AUC.name}


def test_scores_have_it(row):
    predictions = make_predictions(3)
    found = score(predictions)
    assert found["kappa"] == pytest.approx(value(predictions))
    for part in ("std", "ci95", "fold_mean"):
        assert "kappa" in found[part]
    assert brief(predictions)["kappa"] == found["kappa"]
    difference = paired(make_predictions(4), predictions).overall["kappa"]
    expected = value(predictions) - value(make_predictions(4))
    assert difference.value == pytest.approx(expected)
    assert repr(difference).startswith("κ ")


def test_reports_have_it_and_a_dash_where_a_run_is_older(tmp_path, monkeypatch):
    old = make_run(tmp_path / "old", name="old", wrong_every=4)
    added = Metric("kappa", "κ", "Agreement beyond chance.", low=-1.0, of=kappa)
    monkeypatch.setitem(METRICS, "kappa", added)
    new = make_run(tmp_path / "new", name="new", wrong_every=3)
    found = json.loads((new / "metrics.json").read_text())["kappa"]
    for folder, text in ((old, "–"), (new, f"{found:.4f}")):
        write_report(folder)
        assert f"κ {text}" in repr(Run(folder))
        with (folder / "scores.csv").open(newline="") as file:
            first = next(csv.DictReader(file))
        assert first["kappa"] == ("" if folder == old else str(found))
        assert ("κ **" in (folder / "report.md").read_text()) == (folder == new)
    text = write_comparison([old, new], tmp_path / "both")
    header = next(line for line in text.splitlines() if line.startswith("| Exp"))
    assert "| ACC | κ | UF1" in header
    assert f"| {found:.4f} |" in text
    assert "κ difference" in text


def test_audits_have_it(row):
    p = make_predictions(3)
    epoch = np.zeros(len(p), int)
    tally = Tally.of(p.label, p.predicted, 3, p.seed, p.fold, epoch)
    assert tally.honest["kappa"] == pytest.approx(value(p))
    ways = [way.scores["kappa"] for way in tally.ways() if way.rule == "pooling"]
    folds = [
        value(p.select(fold=fold)) for fold in sorted({str(name) for name in p.fold})
    ]
    assert ways == pytest.approx([np.mean(folds)] * 3)
    assert parse_stated(["kappa=-0.5"])["kappa"].meets(-0.5)
    with pytest.raises(UsageError, match="from -1 to 1"):
        parse_stated(["kappa=-1.5"])
