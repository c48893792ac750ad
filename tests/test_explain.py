"""`jmer explain` draws what a run's networks made of the clips that they never saw."""

import contextlib
import dataclasses
import re

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_report import EVIL, parse, png_size
from untrained import guesses, write_untrained_run

import jmer
from data_builders.synthetic import Synthetic
from jmer.cli import main
from jmer.commands.explain import _folder
from jmer.data import load
from jmer.errors import JmerError
from jmer.models.aman import AmanConfig
from jmer.models.hsta import HstaConfig
from jmer.models.meranet import MeranetConfig, Resnet3dConfig
from jmer.models.offapexnet import OffApexNetConfig
from jmer.models.stanet import STANetConfig
from jmer.models.ststnet import STSTNetConfig
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.report.attention.activation import HEAD
from jmer.runs.explain import explained, set_of, typical

SET = {"subjects": 3, "clips": 9, "length": 6, "size": 32}
VIDEO = {"modality": "clip"}
SIX = {"modality": "clip", "resample": "uniform", "frames": 4, "special": "sf"}
GRIDS = ("video", "special", "video-over-special", "special-over-video")
BOTH = ("activation", "side-by-side", "activation-2", "gates-2", "channels-2")
RUNS = {
    "ststnet": (STSTNetConfig(size=8, filters=(2,)), {"flow_size": 8}, ("apex-flow",)),
    "offapexnet": (
        OffApexNetConfig(size=8, filters=(2, 2), hidden=(3,)),
        *({"flow_size": 8}, ("apex-flow",)),
    ),
    "stanet": (
        STANetConfig(frames=5, size=32, width=2, levels=1, lstm=3),
        *(VIDEO, ("frames", "mask")),
    ),
    "hsta": (
        HstaConfig(
            depth=(1, 1, 1), num_frames=4, size=32, patch_v=11, patch_s=16, dim_v=6,
            dim_s=4, heads=2, mlp_ratio=2,
        ),
        *(SIX, GRIDS),
    ),
    "aman": (
        AmanConfig(k=2, n=3, frames=6, size=32, width=2, magnify="linear",
                   pretrain="none"),
        *(VIDEO, ("frames", "factors", "magnified")),
    ),
    "resnet3d": (
        Resnet3dConfig(frames=6, size=32, width=2),
        *(VIDEO, BOTH),
    ),
    "meranet": (
        MeranetConfig(frames=6, size=32, width=2, reduction=2, st_kernel=3),
        *(VIDEO, ()),
    ),
    "visual_memory": (
        VisualMemoryConfig(frames=12, steps=11, size=32, width=2, hidden=3),
        *(VIDEO | {"length": 12, "expressions": 1}, ("intensity", "maps", "steps")),
    ),
}  # fmt: skip
LONG = ("resnet3d", "meranet", "visual_memory")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("explain")


def run_of(place, name):
    folder = place / name
    if not folder.exists():
        network, fields, _ = RUNS[name]
        data = Synthetic(**SET | fields, data_dir=place / "tfds")
        write_untrained_run(folder, network, data, load(data), seeds=(0, 3))
    return folder


@pytest.fixture(scope="module")
def folder(place):
    return run_of(place, "ststnet")


@pytest.fixture(scope="module")
def run(folder):
    return jmer.load_run(folder)


@pytest.fixture(scope="module")
def clips(run):
    return set_of(run)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in LONG))
        for name in RUNS
        if name != "meranet"
    ],
)
def test_every_network_has_its_pictures(name, place, capsys):
    folder = run_of(place, name)
    if name == "visual_memory":
        assert main(["spot", str(folder), "--seed", "3"]) == 0
    beside = ["--beside", str(run_of(place, "meranet"))] * (name == "resnet3d")
    clip = "syn02_positive_01"
    words = ["explain", str(folder), "--clip", clip, "--seed", "3", *beside]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert f"syn02/{clip}: " in said and "(true: positive)" in said
    out = folder / "explain" / clip
    drawn = {path.stem for path in (out / "figures").iterdir()}
    extra = {"roc"} if name == "visual_memory" else set()
    assert drawn == {"probabilities", *RUNS[name][2], *extra}
    for path in (out / "figures").iterdir():
        assert min(png_size(path.read_bytes())) > 100
    page = (out / "explain.html").read_text()
    found = parse(page)
    assert found.tags.count("img") == len(drawn)
    sources = [value for key, value in found.attributes if key == "src"]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "fold syn02, seed 3, trained without this subject" in found.text
    text = (out / "explain.md").read_text()
    assert set(re.findall(r"\(figures/(.*)\.png\)", text)) == drawn


def test_the_weights_are_of_who_held_the_clip_out(folder, run, clips):
    """By what the page says, against the network of that fold and no other's."""
    name, i = str(clips.clip_id[7]), 7
    for seed in (0, 3):
        words = ["explain", str(folder), "--seed", str(seed)]
        assert (
            main([*words, "--clip", f"syn01/{clips.clip_id[0]}", "--clip", name]) == 0
        )
        assert (folder / "explain" / str(clips.clip_id[0]) / "explain.md").exists()
        said = (folder / "explain" / name / "explain.md").read_text()
        shares = {}
        for subject in np.unique(clips.subject):
            model = run.model(subject=str(subject), seed=seed)
            logits = np.asarray(model(clips.inputs["apex_flow"][i : i + 1])[0])
            shares[str(subject)] = np.exp(logits) / np.exp(logits).sum()
        own = shares[str(clips.subject[i])]
        guess = clips.classes[own.argmax()]
        assert f"ststnet: {guess}, with probability {own.max():.2f}" in said
        assert len({f"{share.max():.2f}" for share in shares.values()}) == 3


@pytest.mark.slow
def test_activation_maps_add_up_to_the_logit(place):
    run = jmer.load_run(run_of(place, "resnet3d"))
    one = next(explained(run, set_of(run), [4], batch=1))
    bias = one.weights["params.head.bias"]
    made = [(one.shown["features"] @ column).mean() for column in one.weights[HEAD].T]
    assert_allclose(made + bias, one.logits, rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_the_predicted_class(run, clips):
    (one,) = explained(run, clips, [4], which=lambda task: task.seed == 0, batch=1)
    gradient = one.shown["gradient_apex_flow"]
    image = clips.inputs["apex_flow"][4].astype(np.float32)
    model = run.model(subject=one.task.fold, seed=0)
    label = one.logits.argmax()
    assert_allclose(np.asarray(model(image[None])[0]), one.logits, rtol=1e-5)
    largest = np.unravel_index(np.abs(gradient).argmax(), image.shape)
    for place in (largest, (3, 4, 1), (0, 7, 2)):
        step = np.zeros_like(image)
        step[place] = 1e-3
        ends = [np.asarray(model((image + s)[None]))[0, label] for s in (step, -step)]
        slope = (ends[0] - ends[1]) / 2e-3
        assert_allclose(gradient[place], slope, atol=2e-3, rtol=2e-2)


def test_typical_clips_are_right_and_wrong_ones_of_each_class(folder, run, clips):
    p = run.predictions.select(seed=0)
    rows = typical(p)
    right = p.predicted == p.label
    kinds = {(p.label[row], right[row]) for row in rows}
    assert kinds == set(zip(p.label, right, strict=True)) and len(kinds) == len(rows)
    trust = p.probabilities[np.arange(len(p)), p.label]
    for row in rows:
        like = (p.label == p.label[row]) & (right == right[row])
        beside = [(trust[like] < trust[row]).sum(), (trust[like] > trust[row]).sum()]
        assert 0 <= beside[1] - beside[0] <= 1
    some = typical(p, 2)
    assert len(some) == 2 and right[some].sum() == min(2, right[rows].sum())
    out = folder / "chosen"
    assert main(["explain", str(folder), "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {str(p.clip[r]) for r in rows}


def test_no_more_clips_than_asked_for():
    many = load_many(classes=7)
    assert len(typical(guesses(many, (0,)))) == 8


def load_many(classes):
    from toy import make_clips

    clips = make_clips(subjects=6, per_subject=10)
    names = tuple(map(str, range(classes)))
    label = (np.arange(60) % classes).astype(np.int32)
    return dataclasses.replace(clips, classes=names, label=label)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--clip", "nobody"), 1, "synthetic has no clip nobody; it has "),
        (("--seed", "1"), 2, "seed=1: .* has 0, 3"),
        (("--beside", "elsewhere"), 1, "elsewhere has no experiment.json"),
    ],
)
def test_what_cannot_be_found_is_one_error(folder, words, code, said, capsys):
    assert main(["explain", str(folder), *words]) == code
    error = capsys.readouterr().err
    assert re.search(said, error) and error.count("\n") == 1


def test_a_clip_that_was_not_tested_is_refused(run, clips):
    none = explained(run, clips, [2, 5], which=lambda task: task.fold == "syn01")
    tested = {str(clips.subject[i]) for i in (2, 5)}
    assert tested != {"syn01"}
    with pytest.raises(JmerError, match=r"tested no clip syn0\d/syn0\d_.*: it is for"):
        list(none)


def test_folders_are_named_after_clips(clips):
    names = clips.clip_id.astype("U90")
    assert _folder(clips, 3) == names[3]
    names[:5] = (EVIL, "a/../b", "..", "same", "same")
    other = dataclasses.replace(
        clips, clip_id=names, subject=np.array([f"s{i}" for i in range(len(names))])
    )
    made = [_folder(other, i) for i in range(5)]
    assert made == ["script-alert-1-script-0", "a-..-b-1", "clip-2", "same-3", "same-4"]


@pytest.mark.parametrize("how", ["config", "block"])
def test_64_bits_of_a_notebook_change_no_number(place, how):
    run = jmer.load_run(run_of(place, "ststnet"))
    clips = set_of(run)

    def shown():
        found = next(iter(explained(run, clips, [0], batch=1)))
        return [found.logits, *found.shown.values()]

    before = shown()
    held = run.weights.tasks[0]
    of = {"subject": held.fold, "seed": held.seed}
    params = run.params(**of)
    try:
        with jax.enable_x64(True) if how == "block" else contextlib.nullcontext():
            jax.config.update("jax_enable_x64", how == "config")
            for one, other in zip(before, shown(), strict=True):
                assert one.dtype == other.dtype and np.array_equal(one, other)
            jax.tree.map(np.testing.assert_array_equal, params, run.params(**of))
            with pytest.raises(JmerError, match="jax_enable_x64 is on"):
                run.model(**of)
    finally:
        jax.config.update("jax_enable_x64", False)
    run.model(**of)


def test_weights_are_read_without_warnings(place, caplog):
    run = jmer.load_run(run_of(place, "ststnet"))
    assert run.weights.arrays
    assert not [record for record in caplog.records if record.name == "absl"]
