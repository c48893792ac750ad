"""The published STSTNet weights give the published result."""

import json

import pytest

import jmer
from jmer.cli import main
from jmer.files import write_json

FILE = "experiments/ststnet_megc2019.py"


@pytest.fixture(scope="module")
def imported(ststnet_checkpoints, tmp_path_factory):
    out = tmp_path_factory.mktemp("weights") / "W"
    source = ["--torch", str(ststnet_checkpoints), "--out", str(out)]
    assert main(["weights", "import", "ststnet", *source]) == 0
    return out


def test_published_weights_reproduce_the_published_scores(
    imported, flow28, tmp_path, monkeypatch, request
):
    monkeypatch.chdir(request.config.rootpath)
    data = ["--data.manual-dir", str(flow28), "--data.data-dir", str(tmp_path / "d")]
    folders = ["--weights", str(imported), "--run-dir", str(tmp_path / "run")]
    assert main(["evaluate", FILE, *data, *folders]) == 0
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert f"{metrics['uf1']:.4f} {metrics['uar']:.4f}" == "0.7209 0.7250"
    assert (metrics["n_samples"], metrics["n_folds"]) == (442, 68)
    assert len(jmer.load_run(tmp_path / "run").predictions) == 442
    assert metrics["oracle"] is None and metrics["selection"] == "imported weights"


def test_a_missing_subject_is_named(
    imported, flow28, tmp_path, monkeypatch, request, capsys
):
    monkeypatch.chdir(request.config.rootpath)
    index = json.loads((imported / "weights.json").read_text())
    next(t for t in index["tasks"] if t["fold"] == "sub07")["fold"] = "nobody"
    (tmp_path / "W").mkdir()
    write_json(tmp_path / "W/weights.json", index)
    (tmp_path / "W/weights.npz").write_bytes((imported / "weights.npz").read_bytes())
    data = ["--data.manual-dir", str(flow28), "--data.data-dir", str(tmp_path / "d")]
    folders = ["--weights", str(tmp_path / "W"), "--run-dir", str(tmp_path / "run")]
    assert main(["evaluate", FILE, *data, *folders]) == 1
    assert "no weights for 1 of 68 folds, first for 'sub07'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
