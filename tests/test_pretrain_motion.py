"""The network of motion: flow whose figures are known, and where its weights go."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close
from numpy.testing import assert_allclose, assert_array_equal

from jmer import keys, nn
from jmer.errors import JmerError, UsageError
from jmer.models.ststnet import STSTNetConfig
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.optim import SgdConfig
from jmer.pretrain.run import pretrain
from jmer.pretrain.segmenter import QUARTER, SLIGHTEST, MotionRecipe
from jmer.runs.importers import read_trunk
from jmer.runs.weights import structure
from jmer.weights.archive import read_weights

SIZE = 48
EXACT = MotionRecipe(size=SIZE, objects=1, batch_size=24, motion=2, noise=0, width=2)
NETWORK = VisualMemoryConfig(
    phase="memory", frames=3, steps=2, size=16, width=2, hidden=3, flow_channels="uv"
)


@pytest.fixture(scope="module")
def fields():
    return jax.device_get(jax.jit(EXACT.batch)(keys.seed_key(0)))


def quarters(field):
    """[i, j, 16, c]: the pixels of each place of the mask."""
    small = SIZE // QUARTER
    parts = field.reshape(small, QUARTER, small, QUARTER, -1).swapaxes(1, 2)
    return parts.reshape(small, small, QUARTER**2, -1)


def test_a_figure_moves_otherwise_than_its_background_by_one_vector(fields):
    """Whose length is in the limits; the background is linear in the place."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    places = quarters(np.stack([np.ones_like(x), x, y], -1))
    lengths = []
    for flow, mask in zip(*fields, strict=True):
        parts, share = quarters(flow), mask[..., 0]
        behind, within = share < 1e-6, share > 0.9995
        known = places[behind].reshape(-1, 3)
        linear, *_ = np.linalg.lstsq(known, parts[behind].reshape(-1, 2), rcond=None)
        assert_allclose(known @ linear, parts[behind].reshape(-1, 2), atol=1e-4)
        assert np.hypot(*linear[0]) <= 2 + 1e-4
        assert np.abs(linear[1:]).max() <= 0.02 + 1e-5
        if within.any():
            apart = (parts[within] - places[within] @ linear).reshape(-1, 2)
            vector = np.median(apart, 0)
            assert_allclose(apart, np.broadcast_to(vector, apart.shape), atol=0.02)
            lengths.append(np.hypot(*vector))
            # Half covered is half of the way there.
            edge = (share > 0.2) & (share < 0.8)
            mean = (parts[edge] - places[edge] @ linear).mean(1)
            assert_allclose(mean, share[edge][:, None] * vector, atol=0.02)
    assert len(lengths) > 5
    assert min(lengths) >= 2 * SLIGHTEST - 0.02 and max(lengths) <= 2.02


def test_some_fields_have_no_figure_and_the_rest_does_not_fill_them(fields):
    empty = fields.mask.max((1, 2, 3)) == 0
    assert 4 <= empty.sum() <= 20
    assert 0.02 < fields.mask[~empty].mean() < 0.5
    assert fields.mask.shape == (24, SIZE // 4, SIZE // 4, 1)


def test_errors_of_flow_are_as_large_as_they_may_be(fields):
    """The same fields, but for smooth errors of up to a share of the motion."""
    noisy = jax.jit(dataclasses.replace(EXACT, noise=0.5).batch)(keys.seed_key(0))
    assert_array_equal(noisy.mask, fields.mask)
    wrong = np.asarray(noisy.flow) - fields.flow
    assert np.abs(wrong).max() > 0.1 and np.abs(wrong).mean() < 0.5 * 2
    steps = np.abs(np.diff(wrong, axis=1)).mean()
    assert steps < 0.5 * np.abs(wrong).mean()


def test_the_loss_is_cross_entropy_of_what_the_network_finds(fields):
    model = EXACT.build(jnp.float32, nnx.Rngs(params=0))
    graphdef, *state = nnx.split(model, nnx.Param, nnx.BatchStat)
    few = jax.tree.map(lambda x: jnp.asarray(x[:5]), fields)

    @jax.jit
    def run(params, stats):
        model = nnx.merge(graphdef, params, stats, copy=True)
        with nn.use_lowering("backend"):
            found = model(nn.polar_flow(few.flow), train=True)
        model = nnx.merge(graphdef, params, stats, copy=True)
        return EXACT.loss(model, few), found

    loss, found = run(*state)
    found, mask = np.asarray(found, np.float64), np.asarray(few.mask, np.float64)
    expected = -(mask * np.log(found) + (1 - mask) * np.log(1 - found)).mean()
    close(loss, expected)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out, told = tmp_path_factory.mktemp("trained") / "motion.npz", []
    recipe = dataclasses.replace(
        EXACT, flow_channels="uv", optim=SgdConfig(lr=0.1, momentum=0.9)
    )
    pretrain(
        recipe, out, steps=40, every=40, watch=lambda *words: told.append(words[2])
    )
    return out, [float(note.split()[1]) for note in told]


def test_it_learns(trained):
    _, losses = trained
    assert losses[-1] < 0.6 * losses[0]


def test_visual_memory_starts_from_it(trained):
    out, _ = trained
    found, digest = read_trunk(NETWORK, out)
    assert len(digest) == 16
    params, stats = structure(NETWORK, 3)[1]
    expected = {
        ".".join(map(str, (kind, *path))): leaf.shape
        for kind, state in (("params", params), ("stats", stats))
        for path, leaf in nnx.to_flat_state(state)
        if path[0] == "motion"
    }
    assert {path: value.shape for path, value in found.items()} == expected
    saved, _ = read_weights(out)
    name = "encoder.1.layer.conv.kernel"
    assert_array_equal(found[f"params.motion.{name}"], saved[f"params.{name}"])


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (STSTNetConfig(), "ststnet does not start from weights of motion"),
        (
            dataclasses.replace(NETWORK, width=3),
            "trained with --width 2, but model.width=3",
        ),
        (
            dataclasses.replace(NETWORK, flow_channels="polar"),
            "trained with --flow-channels uv, but model.flow-channels=polar",
        ),
        (
            dataclasses.replace(NETWORK, temporal_net=False),
            "visual_memory does not start from weights of motion",
        ),
        (
            dataclasses.replace(NETWORK, phase="spatial"),
            "visual_memory does not start from weights of motion",
        ),
    ],
)
def test_other_networks_refuse_it(trained, network, words):
    with pytest.raises(JmerError, match=words):
        read_trunk(network, trained[0])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"size": 24}, "size=24 must be a multiple of 16"),
        ({"size": 0}, "size=0 must be a multiple of 16"),
        ({"batch_size": 0}, "batch-size=0 must be at least 1"),
        ({"motion": 0.0}, "motion=0.0 must be finite and positive"),
        ({"noise": float("nan")}, "noise=nan must be finite and not negative"),
    ],
)
def test_wrong_recipes_are_refused(fields, words):
    with pytest.raises(UsageError, match=words):
        MotionRecipe(**fields)
