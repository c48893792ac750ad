"""Parts of transformers against what they are written from."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close, normal, pulled
from numpy.testing import assert_allclose, assert_array_equal

from jmer import nn
from jmer.nn.attention import with_room
from jmer.nn.gelu import dropped_gelu, gelu
from jmer.nn.layer_norm import standardised
from jmer.nn.linear import linear, products, shifted, with_bias
from jmer.nn.noise import at_least, integers
from jmer.nn.patch_embed import patches
from jmer.nn.tokens import first, meeting, settled, with_first

KEY = jax.random.key(0)
RNGS = nnx.Rngs(params=0)


@pytest.mark.parametrize("window", [(2, 3, 4), (1, 4, 2)], ids=str)
def test_patch_embedding_is_a_convolution_whose_stride_is_its_kernel(window):
    x = normal(0, 3, 4, 7, 9, 2)  # some rows and columns fill no patch
    embed = nn.PatchEmbed(2, 5, window, rngs=RNGS)
    conv = nn.Conv(2, 5, window, strides=window, rngs=RNGS)
    conv.kernel[...] = embed.proj.kernel[...].reshape(*window, 2, 5)
    assert conv.bias is not None
    conv.bias[...] = embed.proj.bias[...]
    with nn.use_lowering("backend"):
        expected = conv(x)
    for lowering in nn.LOWERINGS:
        with nn.use_lowering(lowering):
            close(embed(x), expected.reshape(3, -1, 5))


def test_patches_of_one_input_for_many_tasks_are_one_product():
    x, kernels = normal(0, 3, 4, 6, 2), normal(1, 7, 12, 5)

    def embed(kernel):
        return patches(x, (2, 3)) @ kernel

    steps = jax.make_jaxpr(jax.vmap(embed))(kernels).eqns
    (product,) = [s for s in steps if s.primitive.name == "dot_general"]
    _, batch_axes = product.params["dimension_numbers"]
    assert batch_axes == ((), ())


def test_positions_by_hand():
    table = nn.sinusoid(5, 6)
    angle = 3 / np.array([1, 10000 ** (1 / 3), 10000 ** (2 / 3)])
    assert (table.shape, table.dtype) == ((5, 6), np.float32)
    assert_array_equal(table[0], [0, 1, 0, 1, 0, 1])
    assert_allclose(table[3, ::2], np.sin(angle), rtol=1e-6)
    assert_allclose(table[3, 1::2], np.cos(angle), rtol=1e-6)
    assert_allclose(nn.sinusoid(2, 7)[1, 6], np.sin(10000 ** (-6 / 7)), rtol=1e-6)


def test_stochastic_depth_leaves_out_whole_clips_and_keeps_the_mean():
    x = 1 + abs(normal(0, 4000, 2, 3))
    y = np.asarray(nn.drop_path(x, 0.25, KEY))
    dropped = (y == 0).all((1, 2))
    assert_allclose(dropped.mean(), 0.25, atol=0.03)
    assert_allclose(y[~dropped], x[~dropped] / 0.75, rtol=1e-5)
    assert_allclose(y.mean(), x.mean(), rtol=0.03)
    other = np.asarray(nn.drop_path(x, 0.25, jax.random.key(1)))
    assert ((other == 0).all((1, 2)) != dropped).any()
    assert_array_equal(nn.drop_path(x, 0.0, KEY), x)
    assert_array_equal(nn.drop_path(x, 0.25, None), x)
    with pytest.raises(ValueError, match="rate="):
        nn.drop_path(x, 1.0, KEY)


@pytest.mark.parametrize("lowering", nn.LOWERINGS)
def test_attention_is_the_mean_of_values_by_its_weights(lowering):
    query, key, value = (
        normal(0, 2, 5, 3, 4),
        normal(1, 2, 7, 3, 4),
        normal(2, 2, 7, 3, 4),
    )
    weights = nn.attention_weights(query, key)
    assert_allclose(weights.sum(-1), 1, rtol=1e-6)
    expected = jnp.einsum("bhts,bshd->bthd", weights, value)
    with nn.use_lowering(lowering):
        close(nn.attention(query, key, value), expected)
    narrow = nn.attention_weights(*(jnp.asarray(x, jnp.bfloat16) for x in (query, key)))
    assert narrow.dtype == jnp.float32


def test_a_bias_of_keys_changes_nothing():
    layer = nn.Attention(6, 2, key_bias=True, rngs=RNGS)
    x, tokens = normal(0, 2, 3, 6), normal(1, 2, 5, 6)
    before = layer(x, tokens)
    layer.key.bias[...] = jnp.asarray(normal(2, 6))
    close(layer(x, tokens), before)


def test_heads_must_share_the_features():
    with pytest.raises(ValueError, match="heads=4 must divide dim=6"):
        nn.Attention(6, 4, rngs=RNGS)


def test_imagenet_pixels_by_hand():
    pixels = np.uint8([[0, 127, 255]])
    expected = [-0.485 / 0.229, (127 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert_allclose(nn.imagenet(pixels)[0], expected, rtol=1e-5)
    assert_array_equal(nn.imagenet(pixels), nn.imagenet(np.float32(pixels)))


def test_lowerings_of_a_layer_agree():
    """Layer norm, GELU and biases have programs of their own on accelerators."""
    block = nn.TransformerBlock(6, 2, hidden=8, dropout=0.2, rngs=nnx.Rngs(params=3))
    block.norm1.scale[...] = jnp.asarray(1 + normal(1, 6))
    block.norm1.bias[...] = jnp.asarray(normal(2, 6))
    graphdef, params = nnx.split(block)
    x, dy = normal(0, 2, 5, 6) * 3 + 1, normal(9, 2, 5, 6)

    @functools.partial(jax.jit, static_argnums=0)
    def run(lowering, params, x):
        def forward(params, x):
            with nn.use_lowering(lowering):
                return nnx.merge(graphdef, params)(x, key=KEY)

        y, pull = jax.vjp(forward, params, x)
        return y, pull(jnp.asarray(dy))

    plain = run("patches", params, x)
    for lowering in nn.LOWERINGS:
        close(run(lowering, params, x), plain, 1e-5)


@pytest.mark.parametrize("lowering", nn.LOWERINGS)
@pytest.mark.parametrize("clips", [0, 1])
def test_no_clip_and_one_token_are_enough(lowering, clips):
    same = {"dropout": 0.2, "rngs": RNGS}
    block = nn.TransformerBlock(4, 2, hidden=8, **same)
    fusion = nn.CrossFusion(4, 6, 2, **same)
    frames = nn.PatchTokens((2, 2, 2), 4, **same)
    graphdef, params = nnx.split(block)

    def summed(params, x):
        return nnx.merge(graphdef, params)(x, key=KEY).sum()

    with nn.use_lowering(lowering):
        assert block(jnp.ones((clips, 1, 4))).shape == (clips, 1, 4)
        gradients = jax.grad(summed)(params, jnp.ones((clips, 4, 4)))
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
        token = fusion(jnp.ones((clips, 1, 4)), jnp.ones((clips, 1, 6)))
        assert token.shape == (clips, 1, 4)
        assert frames(jnp.ones((clips, 2, 5, 4, 3))).shape == (clips, 5, 4)


@pytest.mark.parametrize("lowering", ["tpu", "gpu"])
@pytest.mark.parametrize("offset", [0, 300], ids="offset {}".format)
def test_the_scale_of_a_norm_may_be_left_to_what_reads_it(lowering, offset):
    """Layers of normalised tokens, with biases and without, and all gradients."""
    norm = nn.layer_norm(6, rngs=RNGS)
    layers = [nn.Linear(6, d, bias=d > 3, rngs=nnx.Rngs(params=d)) for d in (2, 3, 4)]
    graphdef, params = nnx.split([norm, *layers])
    params = jax.tree.map(lambda p: p + 0.3 * normal(p.size, *p.shape), params)
    x, dy = normal(0, 2, 5, 6) * 3 + offset, [normal(d, 2, 5, d) for d in (2, 3, 4)]

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def run(lowering, together, params, x):
        def forward(params, x):
            norm, *layers = nnx.merge(graphdef, params)
            with nn.use_lowering(lowering):
                tokens = norm.tokens(x, jnp.float32)
                if not together:
                    return [linear(tokens, layer) for layer in layers]
                made = zip(products(tokens, *layers), layers, strict=True)
                shift = [tokens.shift(one.kernel[...], one.own_bias) for one in layers]
                return [with_bias(y, s) for (y, _), s in zip(made, shift, strict=True)]

        y, pull = jax.vjp(forward, params, x)
        return y, pull(list(map(jnp.asarray, dy)))

    plain = run("patches", False, params, x)
    for together in (False, True):
        close(run(lowering, together, params, x), plain, 1e-5 + 1e-6 * offset)


@pytest.mark.parametrize("lowering", ["tpu", "gpu"])
def test_narrow_standard_tokens_are_as_right_as_their_type(lowering):
    """Against float64; a product or a sum in that type would be off by far more."""
    x = normal(0, 40, 500) * np.exp(normal(1, 40, 1)) + normal(2, 40, 1)
    with nn.use_lowering(lowering):
        y = standardised(x, jnp.bfloat16)
    wide = x.astype(np.float64)
    expected = (wide - wide.mean(-1, keepdims=True)) / wide.std(-1, keepdims=True)
    assert y.dtype == jnp.bfloat16
    assert_allclose(np.float64(y), expected, rtol=2**-8 + 1e-3, atol=1e-5)


def test_gelu_of_accelerators_matches_torch():
    torch = pytest.importorskip("torch")
    x, dy = normal(0, 50) * 4, normal(1, 50)
    leaf = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.gelu(leaf)
    expected.backward(torch.tensor(dy))
    with nn.use_lowering("tpu"):
        y, pull = jax.vjp(gelu, jnp.asarray(x))
    close(y, expected.detach().numpy())
    close(pull(jnp.asarray(dy))[0], leaf.grad.numpy())


@pytest.mark.parametrize("lowering", nn.LOWERINGS)
def test_gelu_of_narrow_numbers_is_as_right_as_they_are(lowering):
    """Every bfloat16 number there is, against math.erf in float64: a rounding apart, or
    the 2e-6 by which the quick form errs."""
    every = np.arange(2**16, dtype=np.uint16).view(jnp.bfloat16)
    x = every[np.isfinite(every.astype(np.float32))].astype(np.float64)
    below = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])
    slope = below + x * np.exp(-0.5 * np.minimum(x * x, 1e4)) / math.sqrt(2 * math.pi)
    narrow = jnp.asarray(x, jnp.bfloat16)
    with nn.use_lowering(lowering):
        y, pull = jax.vjp(gelu, narrow)
    (slopes,) = pull(jnp.ones_like(narrow))
    assert y.dtype == slopes.dtype == jnp.bfloat16
    for found, right in ((y, x * below), (slopes, slope)):
        wrong = abs(np.asarray(found, np.float64) - right)
        allowed = 2.0**-8 * abs(right) + 2e-6 * np.maximum(1, np.minimum(abs(x), 9))
        assert (wrong <= allowed).all()


@pytest.mark.parametrize("accelerator", ["tpu", "gpu"])
def test_gelu_that_drops_in_one_pass_drops_what_it_would_in_two(accelerator):
    x, dy = normal(0, 4, 3, 8), normal(1, 4, 3, 8)

    def both(lowering, dtype):
        with nn.use_lowering(lowering):
            drop = functools.partial(dropped_gelu, rate=0.3, key=KEY)
            y, pull = jax.vjp(drop, jnp.asarray(x, dtype))
            return np.float32(y), np.float32(pull(jnp.asarray(dy, dtype))[0])

    plain, narrow = both("patches", jnp.float32), both(accelerator, jnp.bfloat16)
    close(narrow, plain, 0.02)
    for found, known in zip(narrow, plain, strict=True):
        assert_array_equal(found == 0, known == 0)
    with nn.use_lowering(accelerator):
        assert_array_equal(dropped_gelu(x, 0.3, None), gelu(x))


BLOCKS = [*itertools.product((8, 16), ("tpu", "gpu"))]


@functools.cache  # one program for all of a shape
def kept_by_blocks(shape):
    """Which elements stay, by everything but their shape; and all of the integers."""

    @jax.jit
    def every(key):
        found = []
        for bits, lowering in BLOCKS:
            with nn.use_lowering(lowering):
                found.append(at_least(key, shape, bits, 2**bits // 5))
        return found, [integers(key, shape, bits) for bits in (8, 16)]

    found, drawn = every(KEY)
    return dict(zip(BLOCKS, found, strict=True)), dict(zip((8, 16), drawn, strict=True))


@pytest.mark.parametrize(
    "shape", [(5,), (3, 5, 2), (2, 8, 3), (1, 3, 4, 2), (37, 3, 2), (64, 1, 2)], ids=str
)
@pytest.mark.parametrize(("bits", "lowering"), BLOCKS)
def test_bits_of_blocks_are_of_the_same_integers(shape, bits, lowering):
    found, drawn = kept_by_blocks(shape)
    expected = drawn[bits] >= 2**bits // 5
    assert_array_equal(found[bits, lowering], expected)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("shape", "room"), [((32, 13, 3), 16), ((6, 16, 2), 24), ((5, 5, 2), 8)], ids=str
)
def test_room_for_more_leaves_integers_as_they_are(shape, room, bits):
    with nn.use_lowering("gpu"):
        found = at_least(KEY, shape, bits, 2**bits // 5, room)
    assert found.shape == (shape[0], room, *shape[2:])
    expected = integers(KEY, shape, bits) >= 2**bits // 5
    assert_array_equal(found[:, : shape[1]], expected)


def test_tokens_have_room_where_cudnn_would_make_it():
    with nn.use_lowering("gpu"):
        assert [with_room(n, jnp.bfloat16) for n in (1, 8, 589)] == [8, 8, 592]
        assert with_room(589, jnp.float32) == 589
    with nn.use_lowering("tpu"):
        assert with_room(589, jnp.bfloat16) == 589


@pytest.mark.parametrize(
    ("lowering", "dtype"),
    [*itertools.product(nn.LOWERINGS, [jnp.float32]), ("gpu", jnp.bfloat16)],
    ids=str,
)
def test_nobodys_tokens_change_nothing(lowering, dtype):
    """What is after the first `count` is no key, and has no gradient; what is dropped
    of the others is the same."""
    same = {"dropout": 0.2, "dtype": dtype}
    block = nn.TransformerBlock(6, 2, hidden=8, drop_path=0.3, rngs=nnx.Rngs(1), **same)
    fusion = nn.CrossFusion(4, 6, 2, rngs=nnx.Rngs(2), **same)
    graphdef, params = nnx.split([block, fusion])
    x, token, dy = normal(0, 4, 5, 6), normal(1, 4, 1, 4), normal(2, 4, 1, 4)

    def forward(room, params, x, token):
        block, fusion = nnx.merge(graphdef, params)
        more = jnp.asarray(normal(3, 4, room - 5, 6))
        with nn.use_lowering(lowering):
            every = jnp.concatenate([x, more], axis=1)
            tokens = block(every, key=KEY, count=5 if room > 5 else None)
            seen = fusion(token, tokens, key=KEY, count=5 if room > 5 else None)
        return seen, (tokens[:, :5] * normal(4, 4, 5, 6)).sum((1, 2), keepdims=True)

    @functools.partial(jax.jit, static_argnums=0)
    def run(room, *arrays):
        y, pull = jax.vjp(functools.partial(forward, room), *arrays)
        return y, pull((jnp.asarray(dy), jnp.ones_like(y[1])))

    within = 1e-5 if dtype == jnp.float32 else 0.02
    close(run(8, params, x, token), run(5, params, x, token), within)


@pytest.mark.parametrize("lowering", nn.LOWERINGS)
def test_frames_have_the_same_tokens_with_room(lowering):
    tokens = nn.PatchTokens((2, 4, 4), 6, dropout=0.2, rngs=RNGS)
    frames = jnp.asarray(normal(0, 2, 2, 9, 9, 3))
    with nn.use_lowering(lowering):
        alone, roomy = (tokens(frames, key=KEY, room=room) for room in (None, 8))
        assert (alone.shape[1], roomy.shape[1]) == (tokens.count(frames), 8) == (5, 8)
        close(roomy[:, :5], alone)
        with pytest.raises(ValueError, match="count=5 must be 1 to 3"):
            tokens(frames, room=3)


@pytest.mark.parametrize("lowering", nn.LOWERINGS)
@pytest.mark.parametrize("count", [-1, 0, 6])
def test_counts_that_are_none(lowering, count):
    block = nn.TransformerBlock(4, 2, hidden=8, dropout=0.2, rngs=RNGS)
    fusion = nn.CrossFusion(6, 4, 2, rngs=RNGS)
    x, token = jnp.ones((2, 5, 4)), jnp.ones((2, 1, 6))
    calls = (
        lambda: block(x, count=count),
        lambda: fusion(token, x, count=count),
        lambda: nn.attention(*[x[:, :, None]] * 3, count=count),
        lambda: nn.dropout(x, 0.2, KEY, count),
    )
    for call in calls:
        with (
            nn.use_lowering(lowering),
            pytest.raises(ValueError, match=f"count={count} must be 1 to 5"),
        ):
            call()


def test_what_is_added_to_all_may_be_added_later():
    layer, x, shift = nn.Linear(3, 4, rngs=RNGS), normal(0, 2, 5, 3), normal(1, 3)
    for lowering in nn.LOWERINGS:
        with nn.use_lowering(lowering):
            found, expected = (
                pulled(f, x, shift)
                for f in (lambda x, s: shifted(x, s, layer), lambda x, s: layer(x + s))
            )
            close(found, expected, 1e-5)
            assert_array_equal(shifted(x, None, layer), layer(x))


@pytest.mark.parametrize("lowering", ["tpu", "gpu"])
def test_one_that_looks_at_many_needs_no_keys_of_them(lowering):
    """Of accelerators: what a class token sees, and all gradients, as without."""
    fusion = nn.CrossFusion(6, 8, 2, rngs=nnx.Rngs(params=3))
    graphdef, params = nnx.split(fusion)
    params = jax.tree.map(lambda p: p + 0.3 * normal(p.size, *p.shape), params)
    token, other, dy = normal(0, 3, 1, 6), normal(1, 3, 5, 8), normal(2, 3, 1, 6)

    @functools.partial(jax.jit, static_argnums=0)
    def pull_back(lowering, params, token, other):
        def forward(params, token, other):
            with nn.use_lowering(lowering):
                return nnx.merge(graphdef, params)(token, other)

        y, pull = jax.vjp(forward, params, token, other)
        return y, pull(jnp.asarray(dy))

    def run(lowering):
        y, gradients = pull_back(lowering, params, token, other)
        # Of what changes nothing: 0, or what rounding leaves of it.
        none = gradients[0]["attention"]["key"].pop("bias")
        assert_allclose(none[...], 0, atol=1e-6)
        return y, gradients

    close(run(lowering), run("patches"), 1e-5)


def test_another_first_token():
    tokens, token = normal(0, 2, 3, 4), normal(1, 2, 1, 4)

    def joined(token, tokens):
        return jnp.concatenate([token, tokens[:, 1:]], axis=1)

    found, expected = (pulled(f, token, tokens) for f in (with_first, joined))
    jax.tree.map(assert_array_equal, found, expected)


def test_the_first_token():
    found, expected = (
        pulled(f, normal(0, 2, 3, 4)) for f in (first, lambda x: x[:, :1])
    )
    jax.tree.map(assert_array_equal, found, expected)


@pytest.mark.parametrize("once", [meeting, settled])
def test_tokens_stay_and_their_gradient_is_made_once_and_narrow(once):
    x, dy = normal(0, 2, 3, 4), normal(9, 2, 3, 4)  # what `pulled` multiplies by
    for lowering in nn.LOWERINGS:
        with nn.use_lowering(lowering):
            y, (gradient,) = pulled(lambda x: once(x, jnp.bfloat16), x)
        narrow = np.float32(dy.astype(jnp.bfloat16)) if lowering == "gpu" else dy
        assert_array_equal(y, x)
        assert_array_equal(gradient, narrow)
