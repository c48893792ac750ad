"""The spatial attention branch and the colours of flow against plain PyTorch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close, normal
from numpy.testing import assert_allclose, assert_array_equal

from jmer import nn
from jmer.train.checkpoint import flatten

X = normal(0, 5, 11, 13, 3)


@functools.partial(jax.jit, static_argnums=0, static_argnames="train")
def run(graphdef, state, x, *, train=False):
    return nnx.merge(graphdef, state, copy=True)(x, train=train)


@pytest.mark.parametrize("train", [False, True], ids=["evaluate", "train"])
def test_is_its_twin_at_sizes_that_do_not_halve(train):
    pytest.importorskip("torch")
    from twins import stanet

    twin = stanet.random_attention(3, 2, levels=3).train(train)
    module = nn.HourglassMask(3, 2, rngs=nnx.Rngs(params=0))
    flat = stanet.attention(
        {f"a.{n}": v for n, v in stanet.arrays(twin.state_dict()).items()}, "a", "a"
    )
    flat = {path.split(".a.")[1]: value for path, value in flat.items()}
    graphdef, state = nnx.split(module)
    assert set(flatten(state)) == set(flat)
    state = jax.tree.unflatten(jax.tree.structure(state), map(flat.get, flatten(state)))
    expected = twin(stanet.channels_first(X)).detach().movedim(1, -1).numpy()
    close(run(graphdef, state, X, train=train), expected)


@pytest.mark.parametrize(("channels", "outputs"), [(128, 128), (128, 1)])
def test_has_the_parameters_of_its_layers(channels, outputs):
    module = nnx.eval_shape(
        lambda: nn.HourglassMask(channels, outputs, rngs=nnx.Rngs(params=0))
    )
    leaves = jax.tree.leaves(nnx.state(module, nnx.Param))
    assert sum(leaf.size for leaf in leaves) == (
        7 * (9 * channels**2 + 2 * channels) + (channels + 1) * outputs
    )


def test_bilinear_resizing_is_pytorchs():
    torch = pytest.importorskip("torch")
    for size in ((11, 13), (22, 26), (12, 31), (33, 14)):
        expected = torch.nn.functional.interpolate(
            torch.tensor(X).movedim(-1, 1), size, mode="bilinear", align_corners=False
        )
        found = jax.image.resize(X, (5, *size, 3), "bilinear")
        close(found, expected.movedim(1, -1).numpy())


def test_colours_of_motion_in_four_directions():
    flow = np.zeros((2, 1, 1, 5, 2), np.float16)
    flow[0, 0, 0] = [[2, 0], [0, 2], [-2, 0], [0, -2], [0, 0]]
    colours = nn.wheel_colours(flow)[0, 0, 0]
    # Shares of the ramps red-yellow (15), cyan-blue (11) and blue-magenta (13).
    expected = [
        [1, 0, 0],
        [1, 13.75 / 15, 0],
        [0, 1 - 2.5 / 11, 1],
        [5.25 / 13, 0, 1],
        [1, 1, 1],
    ]
    assert_allclose(colours, expected, atol=1e-5)
    assert_array_equal(nn.wheel_colours(flow)[1], jnp.ones((1, 1, 5, 3)))


def test_half_the_speed_is_half_way_to_white():
    flow = normal(3, 2, 3, 4, 5, 2)
    pair = np.concatenate([flow, flow / 2], axis=1)
    full, half = np.split(np.asarray(nn.wheel_colours(pair)), 2, axis=1)
    assert_allclose(1 - half, (1 - full) / 2, atol=1e-5)
    assert full.min() >= 0
    assert full.min() < 0.2
