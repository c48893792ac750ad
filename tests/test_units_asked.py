"""Runs on action units that are asked about videos, and exported."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from filmed import film
from numpy.testing import assert_allclose
from scipy.special import expit
from untrained import write_untrained_run

import jmer
from data_builders.synthetic import Synthetic
from jmer.bundle.layout import MANIFEST
from jmer.cli import main
from jmer.data import load
from jmer.errors import JmerError
from jmer.files import read_json, write_json
from jmer.models.ststnet import STSTNetConfig
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.predict.ask import Asking, Judge, judge
from jmer.predict.members import Members, stacked
from jmer.predict.source import opened
from jmer.runs.bundles import BundleOptions, write_bundle
from jmer.runs.programs import random_clips
from jmer.runs.run import load_run
from jmer.synthetic.rendering import render_clip
from jmer.synthetic.spec import SyntheticSpec

ROOT = Path(__file__).resolve().parent.parent
SET = {"subjects": 3, "clips": 9, "length": 12, "size": 32}
SPEC = SyntheticSpec(subjects=4, clips=8, length=24, size=64, expressions=1, seed=9)
SHOWN = (12, 1, 4)
NAMES = ("AU12", "AU1", "AU4")
CLOSE = {"atol": 1e-6, "rtol": 1e-5}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("asked")


@pytest.fixture(scope="module")
def run(place):
    data = Synthetic(**SET, flow_size=8, data_dir=place / "tfds")
    network = STSTNetConfig(size=8, filters=(2,))
    return load_run(
        write_untrained_run(place / "run", network, data, load(data), units=SHOWN)
    )


@pytest.fixture(scope="module")
def spotter(place):
    """Its steps count by their intensity, and its logits are no logits of `apply`."""
    data = Synthetic(
        **SET | {"modality": "clip", "expressions": 1}, data_dir=place / "tfds"
    )
    network = VisualMemoryConfig(
        frames=12, steps=11, size=32, width=2, hidden=3, temporal_net=False,
        contrast=False, memory="none", steps_count="by-intensity",
    )  # fmt: skip
    return load_run(
        write_untrained_run(place / "spots", network, data, load(data), units=SHOWN)
    )


@pytest.fixture(scope="module")
def video(place):
    return film(place / "face.mkv", render_clip(SPEC, 0).frames, rate=24)


@pytest.fixture(scope="module")
def bundle(run, place):
    write_bundle(run, place / "bundle", BundleOptions())
    return place / "bundle"


def of_members(run, inputs):
    """Sigmoid of what each training says of clips, the plain way."""
    made = []
    for task in run.weights.tasks:
        logits = run.model(subject=task.fold, seed=task.seed)(*inputs.values())
        made.append(expit(np.asarray(logits, np.float64)))
    return np.array(made)


def test_every_unit_has_the_mean_of_its_probabilities(run, video, place, capsys):
    out = place / "answer"
    words = ["predict", run.folder, video, "--align", "none", "--most", "0"]
    assert main([*map(str, words), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    how = Asking(align="none", shown=99)
    found = judge(opened(video, None, None), Judge.of(run, how), None, how)
    told = json.loads((out / "predict.json").read_text())
    rows = [*csv.DictReader((out / "found.csv").read_text().splitlines())]
    assert told["classes_from"]["labels"] == "action units"
    assert told["classes_from"]["classes"] == [*NAMES]
    assert len(found.found) == len(rows) == len(told["windows"])
    kept = 0
    for one, row, record in zip(found.found, rows, told["windows"], strict=True):
        mean = one.probabilities.mean(0)
        if one.clip is not None:
            kept += 1
            plain = of_members(run, stacked([one.clip.inputs]))[:, 0]
            assert_allclose(one.probabilities, plain, **CLOSE)
        shown = [name for name, p in zip(NAMES, mean, strict=True) if p > 0.5]
        assert record["units"] == shown and "class" not in record
        assert row["units"] == ("+".join(shown) or "none")
        for name, p in zip(NAMES, mean, strict=True):
            assert record["probabilities"][name]["mean"] == pytest.approx(p, abs=1e-6)
            assert float(row[f"p_{name}"]) == pytest.approx(p, abs=1e-4)
        same = ((one.probabilities > 0.5) == (mean > 0.5)).all(1).mean()
        assert record["members_agreed"] == pytest.approx(same)
    assert kept
    counts = re.findall(r"^  (AU\d+|none): (\d+) windows?$", said, re.MULTILINE)
    every = [name for row in rows for name in row["units"].split("+")]
    assert {name: int(n) for name, n in counts} == {x: every.count(x) for x in every}
    page = (out / "predict.html").read_text()
    assert "Probability of each action unit" in page and ">Action units<" in page
    assert "class that fits" not in page and "each window is asked which of" in page


def test_one_clip_by_one_fold_is_as_its_logits_are(run, video, place, capsys):
    words = ["predict", str(run.folder), str(video), "--align", "none", "--most", "0"]
    words += ["--clip", "0.1,0.4,0.8", "--fold", "syn02", "--out", str(place / "one")]
    assert main(words) == 0
    said = capsys.readouterr().out
    (found,) = json.loads((place / "one/predict.json").read_text())["windows"]
    shares = {name: one["mean"] for name, one in found["probabilities"].items()}
    assert found["units"] == [name for name in NAMES if shares[name] > 0.5]
    best = max(shares, key=lambda name: shares[name])
    assert f"{best} probability {shares[best]:.2f}" in said
    assert ("+".join(found["units"]) or "none") in said


def test_a_network_of_steps_has_the_mean_of_their_probabilities(spotter):
    members = Members(spotter)
    clip = np.random.default_rng(2).integers(0, 256, (3, 12, 32, 32, 3), np.uint8)
    inputs = {name: clip for name in spotter.weights.config.inputs if name == "clip"}
    inputs |= {"intensity": np.zeros((3, 12), np.float32)}
    answer = members.ask({n: inputs[n] for n in spotter.weights.config.inputs})
    assert answer.steps.shape == (3, 3, 11, 3) and members.spots
    assert not np.allclose(answer.steps.sum(-1), 1)
    share = answer.intensity / answer.intensity.sum(-1, keepdims=True)
    plain = (answer.steps * share[..., None]).sum(2)
    assert_allclose(answer.probabilities, plain, rtol=1e-4)
    logits, _ = members.explained({n: x[0] for n, x in inputs.items()}, 1)
    assert_allclose(expit(logits), plain[1, 0], rtol=1e-4)


def test_a_spotter_of_units_finds_intervals_and_names_them(spotter, video, place):
    out = place / "spotted"
    words = ["predict", spotter.folder, video, "--out", out, "--align", "none"]
    assert main([*map(str, words), "--threshold", "0.3", "--most", "1"]) == 0
    told = json.loads((out / "predict.json").read_text())
    assert told["intervals"] and told["intervals_from"]["labels"] == "action units"
    for one in told["intervals"]:
        shares = one["probabilities"]
        assert one["units"] == [n for n in NAMES if shares[n]["mean"] > 0.5]


def test_who_spots_for_units_is_told_and_does(run, spotter, video, place, capsys):
    words = ["predict", run.folder, video, "--align", "none", "--most", "0"]
    words = [*map(str, words), "--out", str(place / "told"), "--threshold", "0.3"]
    assert main(words) == 0
    (option,) = re.findall(r"Add (--spotter) RUN", capsys.readouterr().out)
    assert main([*words, option, str(spotter.folder), "--overwrite"]) == 0
    told = json.loads((place / "told/predict.json").read_text())
    assert all("units" in one for one in told["intervals"])


def test_a_bundle_of_units_answers_as_the_run(run, bundle):
    loaded = jmer.load_bundle(bundle)
    assert loaded.labels == "action units" and loaded.classes == NAMES
    clips = random_clips(loaded.inputs, 5)
    plain = of_members(run, clips)
    assert_allclose(loaded(**clips), plain.mean(0), **CLOSE)
    assert_allclose(loaded.outputs(**clips)["members"], plain, **CLOSE)
    for fold, own in zip(loaded.folds, plain, strict=True):
        assert_allclose(run.predict(*clips.values(), subject=fold), own, **CLOSE)
    found = loaded.logits(**clips) > 0
    assert (found == (plain > 0.5)).all() and found.any() and not found.all()
    told = json.loads((bundle / MANIFEST).read_text())
    assert told["bundle"] == 2 and told["labels"] == "action units"
    assert "sigmoid" in told["ensemble"]["combined"] and "f1" in told["scores"]
    assert "uf1" not in told["scores"]


def test_probabilities_of_units_do_not_overflow(bundle):
    loaded = jmer.load_bundle(bundle)
    with np.errstate(over="raise", invalid="raise"):
        found = loaded._shares(np.array([-200.0, -1e-3, 0, 1e-3, 200], np.float32))
    assert_allclose(found, expit([-200.0, -1e-3, 0, 1e-3, 200]), atol=1e-7)
    assert found.dtype == np.float32


def test_labels_that_nobody_knows_are_no_classes(bundle, tmp_path):
    told = read_json(bundle / MANIFEST)
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in bundle.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    write_json(copy / MANIFEST, {**told, "labels": "words"})
    with pytest.raises(JmerError, match=r"does not say what a manifest says \('words'"):
        jmer.load_bundle(copy)


@pytest.mark.slow
def test_the_bundle_of_a_network_of_steps_has_its_log_odds(spotter, tmp_path):
    write_bundle(spotter, tmp_path / "b", BundleOptions(fold="syn02"))
    loaded = jmer.load_bundle(tmp_path / "b")
    clips = random_clips(loaded.inputs, 2)
    zeros = {"intensity": np.zeros((2, 12), np.float32)}
    wanted = spotter.predict(**(zeros | clips), subject="syn02")
    assert_allclose(loaded(**clips), wanted, rtol=1e-4)


def test_the_loader_on_the_page_is_told_of_units(bundle, monkeypatch):
    """Its softmax becomes what the page says of action units."""
    for library in ("flatbuffers", "safetensors"):
        pytest.importorskip(library)
    page = (ROOT / "docs/howto/export.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(import json.*?)```", page, re.DOTALL)
    assert "`jax.nn.sigmoid` in place of `jax.nn.softmax`" in " ".join(page.split())
    code = code.replace("jax.nn.softmax", "jax.nn.sigmoid").replace("28, 28", "8, 8")
    monkeypatch.chdir(bundle.parent)
    known: dict = {}
    exec(code, known)
    wanted = jmer.load_bundle(bundle)(np.zeros((1, 8, 8, 3), np.float16))
    assert_allclose(known["probabilities"], wanted, atol=1e-6)


@pytest.mark.slow
def test_onnx_of_units_has_the_same_logits(run, spotter, tmp_path):
    pytest.importorskip("jax2onnx")
    runtime = pytest.importorskip("onnxruntime")
    for one in (run, spotter):
        folder = tmp_path / one.folder.name
        write_bundle(one, folder, BundleOptions(fold="syn02", onnx=True))
        loaded = jmer.load_bundle(folder)
        session = runtime.InferenceSession(folder / "network-0.onnx")
        clips = random_clips(loaded.inputs, 3)
        (logits,) = session.run(["logits"], clips)
        assert_allclose(expit(logits), loaded(**clips), atol=1e-5)
