"""The part of AMAN that is never trained: what it sees, how that is kept, and where its
weights come from.
"""

import dataclasses

import jax
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
from numeric import close
from numpy.testing import assert_allclose, assert_array_equal
from small_aman import CLIP, SMALL, explain, pairs, seen, split
from toy import clips_for

from jmer.nn import imagenet
from jmer.nn.resnet18 import Stages, load_lower
from jmer.optim import SgdConfig
from jmer.runner.features import features, seen_by_tasks
from jmer.train.checkpoint import flatten


@pytest.fixture(scope="module")
def twins():
    pytest.importorskip("torch")
    from twins import aman

    return aman


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    return pairs(tmp_path_factory)


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


def test_the_frozen_stages_are_torchvisions():
    """He et al. 2016: as many weights as ResNet-18 has below its fourth stage."""
    model = nnx.eval_shape(lambda: Stages(64, 3, rngs=nnx.Rngs(params=0)))
    stats = jax.tree.leaves(nnx.state(model, nnx.BatchStat))
    image = jax.ShapeDtypeStruct((1, 224, 224, 3), np.float32)
    found = jax.eval_shape(lambda x: Stages(64, 3, rngs=nnx.Rngs(params=0))(x), image)
    assert found.shape == (1, 14, 14, 256)
    assert sum(leaf.size for leaf in stats) == 2 * (64 * 5 + 128 * 5 + 256 * 5)
