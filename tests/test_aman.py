"""AMAN against its plain PyTorch twin, small, and its numbers at the paper's size."""

import copy
import dataclasses
import functools

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close, filled, first_of
from numpy.testing import assert_allclose, assert_array_equal
from small_aman import CLASSES, CLIP, SMALL, SWITCHES, explain, pairs, seen, split

from jmer import keys
from jmer.models.aman import AmanConfig
from jmer.models.base import describe
from jmer.nn import use_lowering
from jmer.train.checkpoint import flatten

LABEL = np.arange(5, dtype=np.int32) % CLASSES
ONES = np.ones(5, np.float32)
KEY = keys.seed_key(0)


@pytest.fixture(scope="module")
def twins():
    pytest.importorskip("torch")
    from twins import aman

    return aman


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    return pairs(tmp_path_factory)


def split_of(config, flat):
    """jmer's network with a twin's arrays."""
    return filled(*split(config), flat)


@functools.partial(jax.jit, static_argnums=(0, 1))
def step(config, graphdef, params, stats, clip, weight):
    """Loss, gradients, logits and statistics of a batch."""

    def objective(params):
        model = nnx.merge(graphdef, params, stats, copy=True)
        inputs = {"clip": clip}
        with use_lowering("backend"):
            loss = config.loss(model, inputs, LABEL, weight=weight, key=KEY)
        return loss, nnx.state(model, nnx.BatchStat)

    (loss, stats), gradients = jax.value_and_grad(objective, has_aux=True)(params)
    return loss, gradients, stats


def clip_of(config):
    """Of the size that the network expects."""
    if not config.stored:
        return CLIP
    shape = 5, 1, config.stored, config.stored, 3
    faces = np.random.default_rng(6).integers(60, 150, shape)
    return (faces + CLIP[:, :, :1, :1] // 4).astype(np.uint8)


def channels_first(x):
    import torch

    return torch.tensor(np.asarray(x)).double().movedim(-1, 1)


# --- the paper's numbers


@pytest.mark.parametrize(
    ("fields", "trained"),
    [
        ({}, 8_397_319),
        ({"ma": "mean"}, 8_397_319 - 513),
        ({"ma": "single:5"}, 8_397_319 - 513),
        ({"fa": "mean"}, 8_397_319 - 513),
        ({"ma": "mean", "fa": "mean"}, 8_393_728 + 513 * 5),
    ],
)
def test_has_the_parameters_of_the_paper(fields, trained):
    record = describe(AmanConfig(**fields))
    assert record["trained"] == trained
    assert record["parameters"] - trained == 2_782_784
    assert record["input"] == "clip 20x224x224x3"


def test_three_classes_have_fewer():
    model = nnx.eval_shape(
        lambda: AmanConfig().build(3, dtype=jnp.float32, rngs=nnx.Rngs(params=0))
    )
    params = jax.tree.leaves(nnx.state(model, nnx.Param))
    assert sum(leaf.size for leaf in params) == 8_396_293


def test_twin_has_the_parameters_of_the_paper(twins):
    twin = AmanConfig().peer(5)
    trained = [p.numel() for p in twin.parameters() if p.requires_grad]
    frozen = [p.numel() for p in twin.parameters() if not p.requires_grad]
    assert sum(trained) == 8_397_319
    assert sum(frozen) == 2_782_784 + 928_144


def test_shapes_at_the_size_of_the_paper():
    config = AmanConfig(magnify="linear", pretrain="none", cache="bfloat16")
    clip = jax.ShapeDtypeStruct((2, *config.input_shapes[0]), jnp.uint8)
    cached = jax.eval_shape(config.prefix, {"clip": clip})["clip"]
    assert (cached.shape, cached.dtype) == ((2, 11, 9, 14, 14, 256), jnp.bfloat16)

    def run(features):
        model = config.build(5, dtype=jnp.bfloat16, rngs=nnx.Rngs(params=0))
        return model.explain(features, train=True, weight=jnp.ones(2))

    logits, shown = jax.eval_shape(run, cached)
    assert (logits.shape, logits.dtype) == ((2, 5), jnp.float32)
    assert shown["factor_weight"].shape == (2, 11, 9)
    assert shown["frame_weight"].shape == (2, 11)


# --- parity


@pytest.mark.parametrize("name", first_of(SWITCHES, "paper"))
def test_evaluates_as_its_twin(paired, twins, name):
    config, twin = paired(name)
    frames = clip_of(config)
    clip = channels_first(frames)
    twin = copy.deepcopy(twin).double()
    expected = twin.features(clip).movedim(3, -1).numpy()
    found = seen(config, frames)
    close(found, expected)
    logits, wanted = twin.explain(clip)
    ours = split_of(config, twins.ours(twin.state_dict()))
    logits_found, shown, stats = explain(*ours, found)
    close(logits_found, logits.detach().numpy())
    assert shown.keys() == wanted.keys()
    for weights, value in shown.items():
        close(value, wanted[weights].detach().numpy())
    jax.tree.map(assert_array_equal, stats, ours[2])
    if name == "paper":  # clips do as well as what the frozen part makes of them
        close(explain(*ours, CLIP)[0], logits_found)


@pytest.mark.parametrize("name", first_of(SWITCHES, "paper"))
def test_trains_as_its_twin(paired, twins, name):
    """Loss, running statistics and gradients of a step; the twin's in float64.

    Of random features: those of two factors are so alike that little but rounding is
    left of what tells them apart.
    """
    import torch

    config, twin = paired(name)
    before, twin = twin, copy.deepcopy(twin).double().train()
    ours = split_of(config, twins.ours(before.state_dict()))
    shape = jax.eval_shape(config.features, clip_of(config)).shape
    x = np.random.default_rng(4).standard_normal(shape, np.float32)
    loss, gradients, stats = step(config, *ours, x, ONES)
    logits = twin(channels_first(x))
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(LABEL).long())
    expected.backward()
    assert_allclose(loss, expected.item(), rtol=1e-5)
    trained = {n: p.grad for n, p in twin.named_parameters() if p.requires_grad}
    wanted = twins.ours(dict(twin.state_dict()) | trained)
    found = flatten({"params": gradients, "stats": stats})
    assert found.keys() == wanted.keys()
    for path, value in found.items():
        rtol = 1e-4 if path.startswith("params.") else 1e-5
        # Of a score, products with features cancel in the bias.
        size = wanted[path.replace("score.bias", "score.kernel")]
        atol = max(rtol * np.abs(size).max(), 1e-12)
        assert_allclose(value, wanted[path], rtol, atol, err_msg=path)
    # Neither weights nor statistics of the frozen part move where it is seen.
    twin(channels_first(clip_of(config)))
    after = twin.float().state_dict()
    for entry, value in before.state_dict().items():
        if entry.startswith((*twins.FROZEN, "magnet.")):
            assert_array_equal(after[entry].numpy(), value.numpy(), entry)


def test_attention_without_preference_is_a_mean(paired, twins):
    config, twin = paired("paper")
    graphdef, params, stats = split_of(config, twins.ours(twin.state_dict()))
    same = {}
    for path, value in nnx.to_flat_state(params):
        is_score = path[0] in ("factor_score", "frame_score")
        same[path] = value.replace(value[...] * (not is_score))
    even = nnx.from_flat_state(same)
    x = seen(config, CLIP)
    logits, shown, _ = explain(graphdef, even, stats, x)
    assert_allclose(shown["factor_weight"], 0.5)
    scored = {p: v for p, v in same.items() if not str(p[0]).endswith("_score")}
    means = dataclasses.replace(config, ma="mean", fa="mean")
    plain = explain(split(means)[0], nnx.from_flat_state(scored), stats, x)[0]
    close(logits, plain)


def test_weights_that_vanish_divide_by_no_zero(paired, twins):
    """Sigmoids below the least float32 still say which frame counts most."""
    config, twin = paired("paper")
    flat = twins.ours(twin.state_dict())
    flat["params.frame_score.bias"] = np.float32([-1000])
    ours = split_of(config, flat)
    x = seen(config, CLIP)
    logits, shown, _ = explain(*ours, x)
    assert_array_equal(shown["frame_weight"], 0)
    assert np.isfinite(logits).all()
    gradients = step(config, *ours, x, ONES)[1]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_each_image_is_normalised_as_by_its_authors():
    """One frame by one factor after another through the fourth stage, in training."""
    x = np.random.default_rng(8).standard_normal((3, 3, 2, 4, 4, 8), np.float32)
    # What all images of a factor have more than those of the other is taken out.
    x[:, :, 1] += 5
    model = nnx.merge(*split(), copy=True)
    shown = model.explain(jnp.asarray(x), train=True)[1]["factor_weight"]
    expected, other = nnx.merge(*split(), copy=True), []
    for j in range(3):
        for i in range(2):
            y = jnp.asarray(x[:, j, i])
            for block in expected.stage:
                y = block(y, train=True)
            other.append(nnx.sigmoid(expected.factor_score(y.mean((1, 2))))[:, 0])
    close(shown.reshape(3, 6), jnp.stack(other, 1))
    for found, wanted in zip(*(jax.tree.leaves(nnx.state(m, nnx.BatchStat))
                               for m in (model, expected)), strict=True):  # fmt: skip
        close(found, wanted)
    pooled = nnx.merge(*split(dataclasses.replace(SMALL, norm="pooled")), copy=True)
    found = pooled.explain(jnp.asarray(x), train=True)[1]["factor_weight"]
    assert np.abs(found - shown).max() > 0.01


def test_the_fourth_stage_begins_as_pytorchs_or_he():
    """Uniform to 1 / sqrt(inputs), or normal with sqrt(2 / outputs); a 3x3 kernel
    between c channels has 9 c of both."""
    size = {"init": {}, "width": 16}
    for init, deviation in (("torch", (1 / 3) ** 0.5), ("he", 2**0.5)):
        config = dataclasses.replace(SMALL, **size | {"init": init})
        _, params, _ = split(config)
        kernel = np.asarray(params["stage"][1]["second"]["conv"]["kernel"][...])
        scaled = kernel * (9 * 128) ** 0.5
        assert_allclose(scaled.std(), deviation, rtol=0.01)
        assert (np.abs(scaled).max() <= 1) == (init == "torch")


# --- the engine's demands


def test_clips_of_weight_0_touch_nothing(paired):
    config, _ = paired("paper")
    weight = np.float32([1, 1, 0, 1, 1])
    other = np.where(weight[:, None, None, None, None] > 0, CLIP, 255 - CLIP)
    clips = [seen(config, x) for x in (CLIP, other)]
    found, expected = (step(config, *split(config), x, weight) for x in clips)
    jax.tree.map(assert_array_equal, found[0], expected[0])
    jax.tree.map(assert_array_equal, found[2], expected[2])
    jax.tree.map(assert_array_equal, found[1], expected[1])


def test_lowers_for_every_backend(paired):
    config, _ = paired("paper")
    graphdef, params, stats = split(config)

    def run(params, stats, clip):
        return nnx.merge(graphdef, params, stats).explain(clip)

    platforms = ("cpu", "cuda", "tpu")
    exported = jax.export.export(jax.jit(run), platforms=platforms)(params, stats, CLIP)
    assert exported.platforms == platforms
    assert exported.out_avals[0].shape == (5, CLASSES)


def test_bfloat16_comes_near_float32():
    x = seen(SMALL, CLIP)
    wide = explain(*split(), x)[0]
    narrow = explain(*split(dtype=jnp.bfloat16), x)[0]
    assert narrow.dtype == jnp.float32
    assert_allclose(narrow, wide, atol=0.05 * np.abs(wide).max())
    assert (narrow != wide).any()
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(split(dtype=jnp.bfloat16)[1:])}
    assert dtypes == {jnp.dtype(jnp.float32)}


def test_order_of_clips_does_not_matter():
    order = np.array([3, 0, 4, 1, 2])
    model = split()
    close(explain(*model, CLIP[order])[0], explain(*model, CLIP)[0][order])
