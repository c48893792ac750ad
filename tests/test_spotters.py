"""Spotting by differences of features against plain loops, and in a run."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from skimage.feature import local_binary_pattern

from jmer.baselines.difference import chi_squared, contrast, difference, relative
from jmer.baselines.spotters import HoofSpotterConfig, LbpSpotterConfig
from jmer.cli import main
from jmer.errors import UsageError

RNG = np.random.default_rng(11)


def test_chi_squared_by_hand():
    one, other = jnp.array([1.0, 0.0, 3.0]), jnp.array([1.0, 0.0, 1.0])
    assert chi_squared(one, other) == pytest.approx(4 / 4)


def test_differences_are_those_of_a_plain_loop():
    made = RNG.random((2, 9, 5, 4)).astype(np.float32)
    half, largest = 2, math.ceil(5 / 3)
    curve, stands_out = np.zeros((2, 9)), np.zeros((2, 9))
    for b in range(2):
        for t in range(9):
            before, after = max(t - half, 0), min(t + half, 8)
            far = []
            for c in range(5):
                mean = (made[b, before, c] + made[b, after, c]) / 2
                far.append(np.sum((made[b, t, c] - mean) ** 2 / (made[b, t, c] + mean)))
            curve[b, t] = np.mean(sorted(far)[-largest:])
        for t in range(9):
            before, after = max(t - half, 0), min(t + half, 8)
            mean = (curve[b, before] + curve[b, after]) / 2
            stands_out[b, t] = max(curve[b, t] - mean, 0)
    found = difference(jnp.asarray(made), half, clamped=True)
    assert_allclose(found, curve, rtol=1e-4)
    assert_allclose(contrast(found, half, clamped=True), stands_out, atol=1e-5)
    # As the baseline of MEGC 2019: ends are as the nearest frame that is not near one.
    curve[:, :half], curve[:, -half:] = curve[:, [half]], curve[:, [-half - 1]]
    found = difference(jnp.asarray(made), half)
    assert_allclose(found, curve, rtol=1e-4)
    inner = slice(half, 9 - half)
    around = (curve[:, : 9 - 2 * half] + curve[:, 2 * half :]) / 2
    stands_out = np.zeros((2, 9))
    stands_out[:, inner] = np.maximum(curve[:, inner] - around, 0)
    assert_allclose(contrast(found, half), stands_out, atol=1e-5)


def test_a_threshold_means_what_it_means_in_the_papers():
    curve = RNG.random((3, 20)).astype(np.float32)
    found = np.asarray(relative(jnp.asarray(curve)))
    mean, most = curve.mean(1, keepdims=True), curve.max(1, keepdims=True)
    for p in (0.1, 0.55):
        assert ((found >= p) == (curve >= mean + p * (most - mean))).all()
    assert found.min() == 0 and (found.max(1) == 1).all()
    assert not np.asarray(relative(jnp.ones((1, 5)))).any()


def test_patterns_of_frames_are_those_of_scikit_image():
    network = LbpSpotterConfig(frames=3, size=20, blocks=1, radius=3, half=1)
    clip = RNG.integers(0, 256, (1, 3, 20, 20), dtype=np.uint8)
    found = jax.jit(network.of_frames)({"clip": np.repeat(clip[..., None], 3, -1)})
    for t in range(3):
        theirs = local_binary_pattern(clip[0, t], 8, 3, "nri_uniform")[3:-3, 3:-3]
        counts = np.bincount(theirs.astype(int).ravel(), minlength=59) / theirs.size
        # Their bins are ours in another order.
        assert_allclose(np.sort(found[0, t, 0]), np.sort(counts), atol=1e-6)


def intensity(network, **inputs):
    def show(given):
        curve = difference(network.of_frames(given), network.half)
        return relative(contrast(curve, network.half))

    return np.asarray(jax.jit(show)(inputs))


def test_what_moves_for_a_while_is_spotted():
    clip = np.repeat(RNG.integers(60, 200, (1, 1, 24, 24, 1), dtype=np.uint8), 20, 1)
    clip[:, 9:12, 4:12, 4:12] = RNG.integers(0, 256, (1, 3, 8, 8, 1), dtype=np.uint8)
    network = LbpSpotterConfig(frames=20, size=24, blocks=3, radius=1, half=4)
    found = intensity(network, clip=np.repeat(clip, 3, -1))[0]
    assert {*np.flatnonzero(found > 0.5)} == {9, 10, 11}
    flow = np.zeros((1, 19, 12, 12, 2), np.float16)
    flow[:, 8, 2:6, 2:6], flow[:, 11, 2:6, 2:6] = (1, 0), (-1, 0)  # there and back
    network = HoofSpotterConfig(frames=20, size=12, blocks=3, half=4)
    found = intensity(network, flow=flow)[0]
    assert {*np.flatnonzero(found > 0.5)} == {9, 10, 11}


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        (LbpSpotterConfig, {"half": 20}, "model.half=20: .* give --model.half 19 or"),
        (LbpSpotterConfig, {"size": 11}, "model.blocks=6: frames of 11 pixels have at"),
        (LbpSpotterConfig, {"radius": 0}, "model.radius=0 must be a whole number"),
        (HoofSpotterConfig, {"bins": 0}, "model.bins=0 must be a whole number"),
        (HoofSpotterConfig, {"frames": 2}, "model.frames=2 must be a whole number"),
    ],
)
def test_what_cannot_be_is_refused(kind, fields, text):
    with pytest.raises(UsageError, match=text):
        kind(**fields)


EXPERIMENT = '''"""A spotter in a second."""

from data_builders.synthetic import Synthetic
from jmer.baselines.spotters import {kind}
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model={kind}(frames=40, size=32, blocks=4),
    data=Synthetic(
        modality="clip", subjects=2, clips=6, length=40, size=32, expressions=2
    ),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
'''


@pytest.mark.parametrize(
    "kind",
    [pytest.param("LbpSpotterConfig", marks=pytest.mark.slow), "HoofSpotterConfig"],
)
def test_a_run_is_spotted_as_that_of_a_network(kind, tmp_path, capsys):
    (tmp_path / "tiny.py").write_text(EXPERIMENT.format(kind=kind))
    run = tmp_path / "run"
    data = ("--data.data-dir", str(tmp_path / "tfds"))
    text = str(tmp_path / "tiny.py")
    assert main(["run", text, "--run-dir", str(run), *data]) == 0
    assert main(["spot", str(run), "--threshold", "0.5", "--most", "1"]) == 0
    said = capsys.readouterr().out
    assert "AUC of 240 frames" in said
    # Which of so few frames stand out is chance.
    assert 0 < float(said.split("frames ")[1].split(";")[0]) < 1
    # What it tells to type works.
    assert main(["run", text, "--model.half", "20", "--run-dir", str(run), *data]) == 2
    told = capsys.readouterr().err.split("give --model.half ")[1].split()[0]
    assert HoofSpotterConfig(half=int(told)).half == int(told)
