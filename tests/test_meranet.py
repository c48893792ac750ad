"""MERANet and its baseline against their plain PyTorch twins, at a tiny size."""

import dataclasses
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close, first_of
from numpy.testing import assert_allclose, assert_array_equal

from jmer import keys, nn
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
    "ca": dataclasses.replace(CONFIG, attn="ca", deviation="sample"),
    "st": dataclasses.replace(CONFIG, attn="st"),
    "both": CONFIG,
    "mlp, kernel 3": dataclasses.replace(CONFIG, ca_shared="mlp", st_kernel=3),
    "zeropad, kernel 7": dataclasses.replace(CONFIG, shortcut="zeropad", st_kernel=7),
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


@pytest.fixture(autouse=True)
def lowering():
    """The compiler's convolutions: those of a CPU compile ten times more slowly.
    `test_conv.py` and `test_gates.py` compare the two.
    """
    with nn.use_lowering("backend"):
        yield


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
def explain(graphdef, params, stats, clip):
    return nnx.merge(graphdef, params, stats).explain(clip)


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


@pytest.mark.parametrize("name", first_of(VARIANTS, "both"))
def test_evaluates_and_trains_as_its_twin(twins, name):
    """Logits, statistics and loss gradients.

    The gradients are compared with those in float64: in float32 the twin's own rounding
    moves a value across a ReLU's corner now and then, as ours does for other weights.
    """
    import torch

    config = VARIANTS[name]
    twin = twins.random_twin(config, 3, 2)
    ours = split_of(config, twins.as_ours(config, twin.state_dict()))
    x = channels_first(CLIP)
    close(evaluate(*ours, CLIP), twin(x).detach().numpy())

    (loss, (logits, stats)), gradients = train(*ours, CLIP, ONES)
    expected = twin.train()(x)
    label = torch.tensor(LABEL).long()
    total = torch.nn.functional.cross_entropy(expected, label)
    close(logits, expected.detach().numpy())
    assert_allclose(loss, total.item(), rtol=1e-5)
    after = twins.as_ours(config, twin.state_dict())
    for path, value in flatten({"stats": stats}).items():
        close(value, after[path])
    precise = twins.random_twin(config, 3, 2).double().train()
    torch.nn.functional.cross_entropy(precise(x.double()), label).backward()
    # Reordering is linear: a gradient goes through the import as its weight does.
    state = dict(twin.state_dict()) | {n: p.grad for n, p in precise.named_parameters()}
    turned = twins.as_ours(config, state)
    for path, value in flatten({"params": gradients}).items():
        close(value, turned[path], 1e-4)


def test_convolutions_of_one_pixel_are_linear_layers():
    graphdef, *states = split()
    linear, *targets = split(dataclasses.replace(CONFIG, ca_shared="mlp"), seed=1)
    turned = [
        jax.tree.map(lambda a, b: a.reshape(b.shape), *pair)
        for pair in zip(states, targets, strict=True)
    ]
    expected = evaluate(graphdef, *states, CLIP)
    close(evaluate(linear, *turned, CLIP), expected, 1e-6)
    assert np.abs(evaluate(linear, *targets, CLIP) - expected).max() > 1e-3


def test_shows_what_its_gates_did():
    """The weights change with the clip, and the features lead to the logits."""
    graphdef, *states = split()
    logits, shown = explain(graphdef, *states, CLIP)
    assert_array_equal(logits, evaluate(graphdef, *states, CLIP))
    assert shown["channel_2_1"].shape == (7, 12)
    assert shown["space_time_2_1"].shape == (7, 3, 5, 5)
    for kind in ("channel", "space_time"):
        weights = [value for name, value in shown.items() if name.startswith(kind)]
        assert len(weights) == 8
        assert all(((w >= 0) & (w <= 1)).all() for w in weights)
        # Not of all blocks: a unit before a ReLU may be 0 for all clips.
        assert any((np.ptp(w, axis=0) > 1e-4).all() for w in weights)
    head = nnx.merge(graphdef, *states).head
    close(head(shown["features"].mean((1, 2, 3))), logits, 1e-6)


def test_the_baseline_shows_its_features_only():
    graphdef, *states = split(VARIANTS["resnet3d"])
    _, shown = explain(graphdef, *states, CLIP)
    assert set(shown) == {"features"}


def test_clips_of_another_subject_change_no_gradient():
    model = split()
    weight = np.float32([1, 0, 1, 1, 0, 1, 1])
    noisy = CLIP.copy()
    noisy[weight == 0] = 255 - CLIP[weight == 0] // 3
    found = [train(*model, clip, weight) for clip in (CLIP, noisy)]
    (loss, (_, stats)), gradients = found[0]
    assert_array_equal(found[1][0][0], loss)
    jax.tree.map(assert_array_equal, found[1][0][1][1], stats)
    jax.tree.map(assert_array_equal, found[1][1], gradients)


def test_order_of_clips_is_kept_and_changes_nothing():
    model = split()
    order = np.array([3, 0, 6, 1, 5, 2, 4])
    close(evaluate(*model, CLIP[order]), evaluate(*model, CLIP)[order])


def test_light_and_contrast_of_a_clip_change_nothing():
    model = split()
    clip = CLIP.astype(np.float32)
    light = np.float32([0.5, 1, 2]) * clip + np.float32([-30, 0, 30])
    close(evaluate(*model, light), evaluate(*model, clip), 1e-4)
    x = normalise_clip(CLIP)
    assert_allclose(x.mean((1, 2, 3)), 0, atol=1e-6)
    assert_allclose(x.std((1, 2, 3)), 1, rtol=1e-5)


@pytest.mark.parametrize("value", [0, 201, 255])
def test_still_and_empty_clips_have_finite_gradients(value):
    clip = CLIP.copy()
    clip[:3] = clip[:3, :1]  # a still clip
    clip[3:] = value
    assert np.abs(normalise_clip(clip)[3:]).max() < 0.1
    (loss, _), gradients = train(*split(), clip, ONES)
    assert np.isfinite(loss)
    for path, gradient in flatten(gradients).items():
        assert np.isfinite(gradient).all(), path


def test_bfloat16_comes_near_float32():
    wide = evaluate(*split(), CLIP)
    narrow = evaluate(*split(dtype=jnp.bfloat16), CLIP)
    assert narrow.dtype == jnp.float32
    assert_allclose(narrow, wide, atol=0.05 * np.abs(wide).max())
    assert (narrow != wide).any()
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(split(dtype=jnp.bfloat16)[1:])}
    assert dtypes == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize("init", ["glorot", "literal"])
def test_starts_within_the_bounds_of_its_initialiser(init):
    params = flatten({"params": split(dataclasses.replace(CONFIG, init=init))[1]})
    for path, value in params.items():
        if path.endswith("kernel"):
            *window, inputs, outputs = value.shape
            elements = np.prod(window) if init == "glorot" else 1
            bound = (6 / (elements * (inputs + outputs))) ** 0.5
            assert np.abs(value).max() <= bound, path
            if value.size > 1000:
                assert_allclose(np.abs(value).max(), bound, rtol=0.01, err_msg=path)
        elif path.endswith("bias"):
            assert not value.any()
        else:
            assert (value == 1).all()


def test_takes_the_trunk_of_published_weights(twins):
    """torchvision's layout, `fc` of 400 classes included; gates and head stay."""
    baseline = VARIANTS["resnet3d"]
    published = twins.arrays(baseline.peer(400).state_dict())
    found = CONFIG.trunk_from_torch(published)
    _, params, stats = split()
    ours = flatten({"params": params, "stats": stats})
    assert set(found) == {
        path for path in ours if ".trunk." in path and ".gate." not in path
    }
    for path, value in found.items():
        assert value.shape == ours[path].shape, path
    with pytest.raises(KeyError):
        CONFIG.trunk_from_torch({"conv1.weight": published["stem.0.weight"]})
    with pytest.raises(JmerError, match="zeropad"):
        VARIANTS["zeropad, kernel 7"].trunk_from_torch(published)


def test_mirrors_clips_in_training_unless_told_otherwise():
    inputs = {"clip": CLIP, "label": LABEL}
    changed = CONFIG.augment(inputs, keys.seed_key(0), None)
    mirrored = [
        (got == clip[:, :, ::-1]).all()
        for got, clip in zip(changed["clip"], CLIP, strict=True)
    ]
    same = [(a == b).all() for a, b in zip(changed["clip"], CLIP, strict=True)]
    assert 0 < sum(mirrored) < 7
    assert_array_equal(mirrored, np.logical_not(same))
    assert changed["label"] is LABEL
    still = dataclasses.replace(CONFIG, flip=False)
    assert still.augment(inputs, keys.seed_key(0), None) is inputs


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("frames", 0),
        ("size", 0),
        ("width", -8),
        ("attn", "all"),
        ("ca_shared", "linear"),
        ("st_kernel", 4),
        ("shortcut", "pool"),
        ("init", "kaiming"),
        ("reduction", 0),
        ("reduction", 5),
    ],
)
def test_bad_fields_are_refused_by_the_name_of_the_option(field, value):
    option = field.replace("_", "-")
    with pytest.raises(UsageError, match=rf"model\.{option}="):
        MeranetConfig(**{field: value})


def test_the_smallest_clip_has_logits():
    config = MeranetConfig(frames=1, size=1, width=2, reduction=1)
    logits = evaluate(*split(config), CLIP[:, :1, :1, :1])
    assert logits.shape == (7, 3)
    assert np.isfinite(logits).all()
