"""MERANet and its baseline against their plain PyTorch twins, at a tiny size."""

import dataclasses
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close
from numpy.testing import assert_allclose, assert_array_equal

from jmer import keys
from jmer.errors import JmerError, UsageError
from jmer.losses import cross_entropy, weighted_mean
from jmer.models.base import describe
from jmer.models.meranet import MeranetConfig, Resnet3dConfig, normalise_clip
from jmer.train.checkpoint import flatten, unflatten

TINY = {"frames": 5, "size": 19, "width": 6}
CONFIG = MeranetConfig(**TINY, reduction=2)
VARIANTS = {
    "resnet3d": Resnet3dConfig(**TINY),
    "none": dataclasses.replace(CONFIG, attn="none"),
    "ca": dataclasses.replace(CONFIG, attn="ca"),
    "st": dataclasses.replace(CONFIG, attn="st"),
    "both": CONFIG,
    "mlp": dataclasses.replace(CONFIG, ca_shared="mlp"),
    "kernel3": dataclasses.replace(CONFIG, st_kernel=3),
    "kernel7": dataclasses.replace(CONFIG, st_kernel=7),
    "zeropad": dataclasses.replace(CONFIG, shortcut="zeropad"),
}
RNG = np.random.default_rng(0)
CLIP = RNG.integers(0, 256, (7, 5, 19, 19, 3)).astype(np.uint8)
LABEL = np.arange(7, dtype=np.int32) % 3
ONES = np.ones(7, np.float32)


@pytest.fixture(scope="module")
def twins():
    """The twins' module; skips without PyTorch."""
    pytest.importorskip("torch")
    from twins import meranet

    return meranet


def split(config=CONFIG, dtype=jnp.float32, seed=0):
    model = config.build(3, dtype=dtype, rngs=nnx.Rngs(params=seed))
    return nnx.split(model, nnx.Param, nnx.BatchStat)




def split_of(config, flat):
    """jmer's network with the arrays of `flat`, all of them and no others."""
    graphdef, params, stats = split(config)
    template = {"params": params, "stats": stats}
    # `unflatten` takes the first size for tasks, and does not compare it.
    expected = {path: value.shape for path, value in flatten(template).items()}
    assert {path: value.shape for path, value in flat.items()} == expected
    full = unflatten(template, flat, Path("twin"))
    return graphdef, full["params"], full["stats"]


@functools.partial(jax.jit, static_argnums=0)
def evaluate(graphdef, params, stats, clip):
    return nnx.merge(graphdef, params, stats)(clip)


@functools.partial(jax.jit, static_argnums=0)
def train(graphdef, params, stats, clip, weight):
    """Loss, logits and statistics afterwards, and the gradients of a training step."""

    def objective(params):
        model = nnx.merge(graphdef, params, stats, copy=True)
        logits = model(clip, train=True, key=keys.seed_key(0), weight=weight)
        loss = weighted_mean(cross_entropy(logits, LABEL), weight)
        return loss, (logits, nnx.state(model, nnx.BatchStat))

    return jax.value_and_grad(objective, has_aux=True)(params)


def channels_first(clip):
    import torch

    return torch.tensor(np.moveaxis(clip, -1, 1).copy())


def test_describes_the_networks_of_the_paper():
    record = describe(MeranetConfig())
    assert record["name"] == "meranet"
    assert "Gajjala" in record["paper"]
    assert record["input"] == "clip 16x112x112x3"
    baseline = describe(Resnet3dConfig())
    assert baseline["name"] == "resnet3d"
    assert baseline["parameters"] == baseline["trained"] == 33_167_811


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"st_kernel": 3}, 33_255_283),
        ({}, 33_256_851),
        ({"st_kernel": 7}, 33_260_339),
        ({"ca_shared": "mlp"}, 33_256_851),
        ({"attn": "ca"}, 33_167_811 + 87_040),
        ({"attn": "st"}, 33_167_811 + 2_000),
        ({"attn": "none"}, 33_167_811),
        # Three convolutions of one pixel, and their norms.
        ({"attn": "none", "shortcut": "zeropad"}, 33_167_811 - 173_824),
    ],
)
def test_has_as_many_parameters_as_the_text_says(fields, count):
    record = describe(MeranetConfig(**fields))
    assert record["parameters"] == record["trained"] == count


def test_has_as_many_parameters_as_its_twin(twins):
    for config in (MeranetConfig(width=16), Resnet3dConfig(width=16)):
        count = sum(p.numel() for p in config.peer(3).parameters())
        assert describe(config)["parameters"] == count


@pytest.mark.parametrize("frames", [16, 32])
def test_shapes_at_the_size_of_the_paper(frames):
    config = MeranetConfig(frames=frames)

    def explained(clip):
        model = config.build(3, dtype=jnp.bfloat16, rngs=nnx.Rngs(params=0))
        return model.explain(clip)

    shape = jax.ShapeDtypeStruct((2, *config.input_shapes[0]), jnp.uint8)
    logits, shown = jax.eval_shape(explained, shape)
    assert (logits.shape, logits.dtype) == ((2, 3), jnp.float32)
    for stage in range(4):
        t, side = frames // 2**stage, 56 // 2**stage
        for block in (1, 2):
            name = f"{stage + 1}_{block}"
            assert shown[f"channel_{name}"].shape == (2, 64 * 2**stage)
            assert shown[f"space_time_{name}"].shape == (2, t, side, side)
    assert shown["features"].shape == (2, frames // 8, 7, 7, 512)
    assert len(shown) == 17


@pytest.mark.parametrize("name", VARIANTS)
def test_evaluates_and_trains_as_its_twin(twins, name):
    """Logits, statistics and loss gradients."""
    import torch

    config = VARIANTS[name]
    twin = twins.random_twin(config, 3)
    ours = split_of(config, twins.as_ours(config, twin.state_dict()))
    x = channels_first(CLIP)
    close(evaluate(*ours, CLIP), twin(x).detach().numpy())

    (loss, (logits, stats)), gradients = train(*ours, CLIP, ONES)
    expected = twin.train()(x)
    total = torch.nn.functional.cross_entropy(expected, torch.tensor(LABEL).long())
    total.backward()
    close(logits, expected.detach().numpy())
    assert_allclose(loss, total.item(), rtol=1e-5)
    after = twins.as_ours(config, twin.state_dict())
    for path, value in flatten({"stats": stats}).items():
        close(value, after[path])
    # Reordering is linear: a gradient goes through the import as its weight does.
    state = dict(twin.state_dict()) | {n: p.grad for n, p in twin.named_parameters()}
    turned = twins.as_ours(config, state)
    for path, value in flatten({"params": gradients}).items():
        close(value, turned[path], 1e-4)
