"""AMAN against its plain PyTorch twin, small, and its numbers at the paper's size."""

import copy
import dataclasses
import functools
import json
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from engine import (
    assert_trees_close,
    make_program,
    row,
    tasks_of,
    train,
    trees_differ,
)
from flax import nnx
from numeric import close, filled, first_of
from numpy.testing import assert_allclose, assert_array_equal
from toy import clips_for

from jmer import keys
from jmer.data.random_clips import RandomClips
from jmer.errors import JmerError, UsageError
from jmer.experiment import Experiment
from jmer.models.aman import AmanConfig
from jmer.models.base import describe, network
from jmer.nn import imagenet, use_lowering
from jmer.nn.resnet18 import Stages, load_lower, read_resnet18
from jmer.optim import SgdConfig
from jmer.runner.features import features, seen_by_tasks
from jmer.train.checkpoint import flatten

CLASSES = 4
SMALL = AmanConfig(
    k=2, n=3, frames=5, size=36, width=2, magnify="linear", pretrain="none"
)
SWITCHES = {
    "paper": {"magnify": "network", "rounded": False, "pretrain": "all"},
    "one factor": {"ma": "single:2.5", "amp_offset": 1, "pretrain": "frozen"},
    "means": {"ma": "mean", "fa": "mean", "pretrain": "all"},
    "other size": {
        **{"magnify": "network", "magnify_size": 20, "rounded": False},
        **{"fa": "mean", "amp_offset": 1, "pretrain": "frozen"},
    },
    "mean of factors": {"ma": "mean", "n": 1, "pretrain": "frozen"},
    "pooled": {"norm": "pooled", "pick": "without-onset"},
    "large frames": {
        **{"stored": 44, "pick": "linspace", "init": "he", "rounded": False},
        **{"magnify": "network", "pretrain": "all"},
    },
}
RNG = np.random.default_rng(3)
# Changes of the frames are such that few magnified pixels leave 0 to 255.
FACES = RNG.integers(60, 150, (5, 1, 36, 36, 3))
CLIP = (FACES + RNG.integers(0, 40, (5, 5, 36, 36, 3))).astype(np.uint8)
LABEL = np.arange(5, dtype=np.int32) % CLASSES
ONES = np.ones(5, np.float32)
KEY = keys.seed_key(0)


@pytest.fixture(scope="module")
def twins():
    pytest.importorskip("torch")
    from twins import aman

    return aman


@pytest.fixture(scope="module")
def paired(twins, tmp_path_factory):
    """A configuration and its twin, by the name of a switch."""

    @functools.cache
    def pair(name):
        config = dataclasses.replace(SMALL, **SWITCHES[name])
        twin = twins.random_twin(config, CLASSES, seed=1)
        files = twins.save(twin, tmp_path_factory.mktemp("weights"))
        return dataclasses.replace(config, **files), twin

    return pair


def split(config=SMALL, dtype=jnp.float32, seed=0):
    model = config.build(CLASSES, dtype=dtype, rngs=nnx.Rngs(params=seed))
    return nnx.split(model, nnx.Param, nnx.BatchStat)


def split_of(config, flat):
    """jmer's network with a twin's arrays."""
    return filled(*split(config), flat)


@functools.partial(jax.jit, static_argnums=0, static_argnames="train")
def explain(graphdef, params, stats, clip, *, train=False, weight=None):
    """Logits, what they came from, and the statistics afterwards."""
    model = nnx.merge(graphdef, params, stats, copy=True)
    with use_lowering("backend"):  # less to compile
        logits, shown = model.explain(clip, train=train, weight=weight)
    return logits, shown, nnx.state(model, nnx.BatchStat)


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


@functools.partial(jax.jit, static_argnums=0)
def seen(config, clip):
    with use_lowering("backend"):
        return config.features(clip)


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


@pytest.mark.parametrize(
    ("pick", "n", "seen"),
    [
        # "from the beginning at a certain interval": 20 / 10 is 2, and 20 / 11 1.81…
        ("step", 10, tuple(range(0, 20, 2))),
        ("step", 11, (0, 1, 3, 5, 7, 9, 10, 12, 14, 16, 18)),
        ("step", 1, (0,)),
        ("step", 2, (0, 10)),
        ("step", 20, tuple(range(20))),
        ("linspace", 11, (0, 2, 4, 6, 8, 10, 11, 13, 15, 17, 19)),
        ("linspace", 2, (0, 19)),
        # Of the 19 other frames, 1 to 19: their middle, and that of each half.
        ("without-onset", 1, (10,)),
        ("without-onset", 2, (5, 15)),
        ("without-onset", 19, tuple(range(1, 20))),
        ("without-onset", 20, tuple(range(20))),
    ],
)
def test_frames_are_those_of_the_paper(pick, n, seen):
    assert AmanConfig(n=n, pick=pick).seen == seen


def test_the_papers_reading_is_the_default():
    assert AmanConfig().seen == AmanConfig(pick="step").seen
    for n in range(1, 21):
        for pick in ("step", "linspace", "without-onset"):
            seen = AmanConfig(n=n, pick=pick).seen
            assert len(set(seen)) == n and seen == tuple(sorted(seen))
            assert seen[0] >= 0 and seen[-1] < 20


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


# --- what is frozen


def test_features_of_any_frames_and_factors_are_slices_of_the_same():
    """To the bit, one image by itself too: a cache serves every `n` and `k`."""
    whole = dataclasses.replace(SMALL, n=5, k=3)
    every = np.asarray(features(whole, {"clip": CLIP}, "patches")["clip"])
    for fields in ({"n": 3, "k": 2}, {"n": 1, "k": 1}, {"n": 2, "ma": "single:2"}):
        config = dataclasses.replace(whole, **fields)
        some = features(config, {"clip": CLIP}, "patches")["clip"]
        factors = [int(factor) - 1 for factor in config.factors]
        assert_array_equal(some, every[:, list(config.seen)][:, :, factors])


def test_one_cache_serves_every_number_of_frames_and_factors(tmp_path, monkeypatch):
    monkeypatch.setenv("JMER_CACHE", str(tmp_path))
    clips = clips_for(SMALL)
    said = []

    def files(**fields):
        config = dataclasses.replace(SMALL, **fields)
        made = seen_by_tasks(config, clips, "backend", said.append)["clip"]
        assert made.shape[1:3] == (len(config.seen), len(config.factors))
        return made, len([*(tmp_path / "features").glob("*.npz")])

    first, count = files(n=2, k=2)
    assert count == 4 and "computed once" in said[-1]
    more, count = files(n=5, k=2)
    assert count == 10 and "6 of 10 parts computed once" in said[-1]
    assert_array_equal(more[:, [0, 2]], first)  # step: 0 and 5 / 2 rounded down
    again, count = files(n=5, k=1)
    assert count == 10 and "read from 5 files of" in said[-1]
    assert_array_equal(again, more[:, :, :1])
    offset, count = files(n=5, k=1, amp_offset=1)  # factor 2 by another name
    assert count == 10 and "read from" in said[-1]
    assert_array_equal(offset, more[:, :, 1:])
    assert files(n=5, k=1, rounded=False)[1] == 15  # other images


def test_large_frames_are_magnified_and_then_shrunk_as_by_pillow():
    """Stored frames of 72 pixels, seen at 36; the first factor leaves them as they
    are. Pillow's bilinear filter is the antialiased one of the published code."""
    from PIL import Image

    faces = np.random.default_rng(9).integers(0, 256, (5, 72, 72, 3), np.uint8)
    config = dataclasses.replace(SMALL, k=1, n=5, stored=72)
    assert config.input_shapes == ((5, 72, 72, 3),)
    small = [Image.fromarray(face).resize((36, 36), Image.BILINEAR) for face in faces]
    found = np.asarray(config.images(jnp.asarray(faces)))[:, 0]
    # Pillow rounds between rows and columns as well.
    assert_allclose(found, np.stack([np.asarray(one) for one in small]), atol=1)
    assert (found != np.rint(found)).sum() == 0


@pytest.fixture(scope="module")
def cached_and_not():
    """A LOSO trained on cached features, and on clips with the frozen part inline."""
    clips = clips_for(SMALL)

    def trained(config, lowering="backend"):
        inputs = features(config, clips.inputs, lowering)
        options = {"network": config, "optim": SgdConfig(lr=0.003), "batch_size": 12}
        program = make_program(clips, chunk=3, lowering=lowering, **options)
        own = dataclasses.replace(clips, inputs=inputs)
        return inputs["clip"], *train(program, own, tasks_of(clips), 2)

    return trained


def test_training_on_cached_features_is_training_inline(cached_and_not):
    inline = dataclasses.replace(SMALL, cache="none")
    clip, state, record = cached_and_not(inline)
    kept, cached_state, cached_record = cached_and_not(SMALL)
    assert (clip.dtype, clip.shape[1:]) == (np.uint8, (5, 36, 36, 3))
    assert (kept.dtype, kept.shape[1:]) == (np.float32, (3, 2, 3, 3, 8))
    assert trees_differ(row(state.params, 0), row(state.params, 1))
    assert_trees_close(cached_state.params, state.params, rtol=1e-4, atol=1e-6)
    assert_trees_close(cached_record.test_logits, record.test_logits, rtol=1e-3)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_features_may_be_kept_in_half_the_memory(kind):
    whole = features(SMALL, {"clip": CLIP}, "backend")["clip"]
    config = dataclasses.replace(SMALL, cache=kind)
    half = features(config, {"clip": CLIP}, "backend")["clip"]
    assert half.nbytes == whole.nbytes // 2
    share = 2**-8 if kind == "bfloat16" else 2**-10
    assert_allclose(half.astype(np.float32), whole, share, 1e-6)
    logits = [explain(*split(config), x)[0] for x in (whole, half)]
    assert_allclose(*logits, atol=0.02)


def test_what_is_pretrained_starts_from_the_checkpoint(paired, twins):
    _, twin = paired("paper")
    flat = twins.ours(twin.state_dict())

    def starts(pretrain, seed=0):
        config = dataclasses.replace(paired("paper")[0], pretrain=pretrain)
        _, params, stats = split(config, seed=seed)
        return flatten({"params": params, "stats": stats})

    whole, other = starts("all"), starts("all", seed=1)
    for path, value in whole.items():
        if ".stage." in path:
            assert_array_equal(value, flat[path])
    assert (whole["params.head.kernel"] != other["params.head.kernel"]).any()
    path = "params.stage.0.first.conv.kernel"
    for pretrain in ("frozen", "none"):
        assert (starts(pretrain)[path] != starts(pretrain, seed=1)[path]).any()


def test_an_untrained_frozen_part_is_always_the_same(paired):
    before = seen(SMALL, CLIP)
    load_lower.__globals__["_random"].cache_clear()
    seen.clear_cache()
    assert_array_equal(seen(SMALL, CLIP), before)
    with_weights = dataclasses.replace(paired("means")[0], k=2, pretrain="frozen")
    assert (seen(with_weights, CLIP) != seen(SMALL, CLIP)).any()


def test_whole_pixels_are_seen():
    clip = CLIP.copy()
    single = dataclasses.replace(SMALL, ma="single:1.5")
    fine = dataclasses.replace(single, rounded=False)
    assert (seen(single, clip) != seen(fine, clip)).any()
    even = (clip - clip % 2).astype(np.uint8)  # 1.5 times an even change is whole
    assert_array_equal(seen(single, even), seen(fine, even))


def test_pixels_of_the_first_factor_are_the_frames(paired):
    """Factor 1 leaves a frame as it is."""
    config = dataclasses.replace(SMALL, k=1)
    frames = CLIP[:, np.array(config.seen)]
    lower = nnx.jit(nnx.merge(*load_lower(config.width, None)))
    images = imagenet(frames.reshape(-1, 36, 36, 3))
    expected = lower(images).reshape(5, 3, 1, 3, 3, 8)
    close(seen(config, CLIP), expected)


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


# --- mistakes


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("k", 0),
        ("n", 0),
        ("n", 21),
        ("frames", 0),
        ("width", 0),
        ("size", 222),
        ("magnify_size", 6),
        ("stored", 223),
        ("stored", -1),
        ("pick", "first"),
        ("norm", "batch"),
        ("init", "xavier"),
        ("ma", "max"),
        ("ma", "single"),
        ("ma", "single:0.5"),
        ("ma", "single:nan"),
        ("fa", "max"),
        ("magnify", "eulerian"),
        ("pretrain", "some"),
        ("cache", "int8"),
        ("amp_offset", 2),
    ],
)
def test_bad_fields_are_refused_by_the_name_of_the_option(field, value):
    option = field.replace("_", "-")
    with pytest.raises(UsageError, match=rf"model\.{option}="):
        AmanConfig(**{field: value})


def test_weights_that_lack_are_asked_for(paired):
    config, _ = paired("paper")
    for field, words in (
        ("magnifier", r"model\.magnifier is not given: .* --model.magnify linear"),
        ("backbone", r"model\.backbone is not given: give .* --model.pretrain none"),
    ):
        without = dataclasses.replace(config, **{field: None})
        with pytest.raises(UsageError, match=words):
            features(without, {"clip": CLIP}, "patches")


def test_files_of_something_else_are_refused(paired, tmp_path):
    config, _ = paired("paper")
    for field, words in (
        ("magnifier", r"no checkpoint of the magnification network: .* is missing"),
        ("backbone", r"is no ResNet-18 of 2 channels \(.*it holds encoder"),
    ):
        given = {"magnifier": config.backbone, "backbone": config.magnifier}[field]
        wrong = dataclasses.replace(config, **{field: given})
        with pytest.raises(JmerError, match=words):
            wrong.features(CLIP)
        gone = dataclasses.replace(config, **{field: str(tmp_path / "gone.pth")})
        with pytest.raises(JmerError, match=r"gone\.pth: No such file"):
            gone.features(CLIP)


def test_a_backbone_of_another_width_is_refused(paired):
    with pytest.raises(JmerError, match=r"no ResNet-18 of 3 channels \(conv1.*shape"):
        read_resnet18(3, Path(paired("paper")[0].backbone))


def test_the_backbone_is_no_pretrained_trunk():
    with pytest.raises(JmerError, match=r"--model\.backbone FILE, not as --pretrained"):
        SMALL.trunk_from_torch({})


def test_it_survives_a_run_directory(paired):
    config, _ = paired("paper")
    fields = json.loads(json.dumps(dataclasses.asdict(config)))
    assert network("aman", fields) == config


def test_runs_from_before_a_field_did_what_was_done_then():
    """Theirs have no such fields, and are continued by what says the same."""
    old = json.loads(json.dumps(dataclasses.asdict(SMALL)))
    for field in ("norm", "pick", "stored", "init"):
        del old[field]
    found = network("aman", old)
    assert (found.norm, found.pick, found.init) == ("pooled", "linspace", "he")
    assert (found.stored, found.k, found.n) == (0, 2, 3)

    def identity(config):
        experiment = Experiment(
            model=config, data=RandomClips(), optim=SgdConfig(), epochs=1
        )
        return experiment.identity()["model"]

    assert not {"norm", "pick", "stored", "init"} & set(identity(found))
    assert identity(SMALL)["norm"] == "per-image"


def test_the_frozen_stages_are_torchvisions():
    """He et al. 2016: as many weights as ResNet-18 has below its fourth stage."""
    model = nnx.eval_shape(lambda: Stages(64, 3, rngs=nnx.Rngs(params=0)))
    stats = jax.tree.leaves(nnx.state(model, nnx.BatchStat))
    image = jax.ShapeDtypeStruct((1, 224, 224, 3), np.float32)
    found = jax.eval_shape(lambda x: Stages(64, 3, rngs=nnx.Rngs(params=0))(x), image)
    assert found.shape == (1, 14, 14, 256)
    assert sum(leaf.size for leaf in stats) == 2 * (64 * 5 + 128 * 5 + 256 * 5)
