"""Attention against its definition in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numeric import close, normal, pulled
from numpy.testing import assert_allclose

from jmer import nn
from jmer.nn import blockwise

SHAPES = (2, 5, 3, 4), (2, 7, 3, 4), (2, 7, 3, 4)  # b t h d, b s h d


def heads(scale=1.0):
    return [scale * normal(i, *shape) for i, shape in enumerate(SHAPES)]


def definition(query, key, value):
    score = jnp.einsum("bthd,bshd->bhts", query, key) / query.shape[-1] ** 0.5
    return jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(score), value)


@pytest.mark.parametrize("lowering", nn.LOWERINGS)
@pytest.mark.parametrize("scale", [1.0, 4.0])  # weights spread out, and near 0 or 1
def test_attention_and_its_gradients_match_float64(lowering, scale):
    arrays = heads(scale)
    with nn.use_lowering(lowering):
        actual = jax.jit(functools.partial(pulled, nn.attention))(*arrays)
    with jax.enable_x64(True):
        wide = [jnp.asarray(a, jnp.float64) for a in arrays]
        expected = jax.device_get(pulled(definition, *wide))
    close(actual, expected, 1e-5 * scale**2)


def test_large_scores_stay_finite():
    value, gradients = pulled(nn.attention, *heads(100.0))
    assert all(np.isfinite(a).all() for a in (value, *gradients))


def test_attention_mapped_over_tasks_matches_a_loop():
    arrays = [np.stack([a, 2 * a, -a]) for a in heads()]
    step = jax.jit(functools.partial(pulled, nn.attention))
    alone = [step(*(a[i] for a in arrays)) for i in range(3)]
    dy = jnp.asarray(normal(9, *SHAPES[0]))

    def mapped(query, key, value):
        return (jax.vmap(nn.attention)(query, key, value) * dy).sum()

    gradients = jax.grad(mapped, argnums=(0, 1, 2))(*arrays)
    expected = jax.tree.map(lambda *leaves: np.stack(leaves), *alone)
    close(jax.vmap(nn.attention)(*arrays), expected[0])
    close(gradients, expected[1])


def test_attention_of_narrow_values_keeps_their_type():
    arrays = [jnp.asarray(a, jnp.bfloat16) for a in heads()]
    value, gradients = pulled(nn.attention, *arrays)
    assert {a.dtype for a in (value, *gradients)} == {jnp.dtype(jnp.bfloat16)}
    wide = definition(*(a.astype(jnp.float32) for a in arrays))
    close(np.float32(value), wide, 0.02)


def few_scores(monkeypatch, most):
    """Attention of any size is cut into blocks of so many scores."""
    for name, value in (("KEPT", 0), ("BLOCKS", most)):
        old = getattr(blockwise, name)
        monkeypatch.setattr(blockwise, name, dict.fromkeys(old, value))


def some(b, t, s, h, d, dtype=np.float32):
    shapes = (b, t, h, d), (b, s, h, d), (b, s, h, d)
    return [jnp.asarray(normal(i, *shape), dtype) for i, shape in enumerate(shapes)]


# All clips at once; two of them; one; a part of one's queries, and a lone query.
@pytest.mark.parametrize("most", [10**6, 2 * 3 * 5 * 7, 3 * 5 * 7, 3 * 2 * 7, 1])
@pytest.mark.parametrize("lowering", nn.LOWERINGS)
def test_blocks_of_scores_make_the_same_attention(lowering, most, monkeypatch):
    few_scores(monkeypatch, most)
    arrays = some(4, 5, 7, 3, 4)
    with nn.use_lowering(lowering):
        actual = jax.jit(functools.partial(pulled, nn.attention))(*arrays)
    close(actual, pulled(definition, *arrays))


@pytest.mark.parametrize(
    "shape", [(1, 589, 589, 2, 8), (2, 1, 325, 2, 8), (3, 17, 1, 1, 5), (1, 1, 1, 1, 1)]
)
@pytest.mark.parametrize(("dtype", "least"), [(np.float32, 1e-5), (jnp.bfloat16, 0.03)])
def test_odd_lengths_and_narrow_types_in_blocks(shape, dtype, least, monkeypatch):
    few_scores(monkeypatch, 2**14)
    arrays = some(*shape, dtype)
    value, gradients = jax.jit(functools.partial(pulled, nn.attention))(*arrays)
    assert {a.dtype for a in (value, *gradients)} == {jnp.dtype(dtype)}
    expected = pulled(definition, *(a.astype(jnp.float32) for a in arrays))
    close(np.float32(value), expected[0], least)
    # One token attends to itself alone: gradients of 0, to a share of the others.
    largest = max(np.abs(e).max() for e in expected[1])
    for found, known in zip(gradients, expected[1], strict=True):
        assert_allclose(np.float32(found), known, least, least * largest)


@pytest.mark.parametrize("most", [None, 10**6, 3 * 2 * 7])
@pytest.mark.parametrize("lowering", nn.LOWERINGS)
def test_what_comes_after_the_first_is_no_key(lowering, most, monkeypatch):
    """Its gradient is 0, and it may be anything."""
    if most is not None:
        few_scores(monkeypatch, most)
    query, key, value = some(4, 5, 9, 3, 4)
    wild = [x.at[:, 7:].set(1e9 * x[:, 7:]) for x in (key, value)]
    with nn.use_lowering(lowering):
        first = functools.partial(nn.attention, count=7)
        y, gradients = pulled(first, query, *wild)
        expected = pulled(nn.attention, query, key[:, :7], value[:, :7])
    close(y, expected[0])
    for found, known in zip(gradients, expected[1], strict=True):
        close(found[:, :7], known)
        assert not found[:, known.shape[1] :].any()


@pytest.mark.parametrize(
    "size", [(4, 592, 589, 12, 64), (4, 328, 325, 12, 32)], ids=str
)
def test_cudnn_leaves_nothing_in_the_rows_of_no_key(size):
    """Nor of what was in that memory before."""
    if jax.default_backend() != "gpu":
        pytest.skip("by cuDNN, on a GPU alone")
    b, t, count, h, d = size
    arrays = some(b, t, t, h, d, jnp.bfloat16)
    first = functools.partial(nn.attention, count=count)
    text = jax.jit(functools.partial(pulled, first)).lower(*arrays).compile().as_text()
    assert "__cudnn$fmha" in text
    for _ in range(3):
        jax.block_until_ready([jnp.full_like(x, jnp.nan) for x in arrays])
        y, gradients = pulled(first, *arrays)
    query, key, value = (x.astype(jnp.float32) for x in arrays)
    expected = pulled(definition, query, key[:, :count], value[:, :count])
    close(np.float32(y), expected[0], 0.03)
    for found, known in zip(gradients, expected[1], strict=True):
        close(np.float32(found[:, : known.shape[1]]), known, 0.05)
    for gradient in gradients[1:]:
        assert not gradient[:, count:].any()


def test_blocks_of_tasks_side_by_side_and_large_scores(monkeypatch):
    few_scores(monkeypatch, 3 * 5 * 7)
    arrays = [jnp.stack([a, 2 * a, -100 * a]) for a in some(2, 5, 7, 3, 4)]
    step = functools.partial(pulled, nn.attention)
    together = jax.jit(jax.vmap(step))(*arrays)
    alone = [step(*(a[i] for a in arrays)) for i in range(3)]
    close(together, jax.tree.map(lambda *leaves: jnp.stack(leaves), *alone))


def test_no_array_has_all_scores(monkeypatch):
    few_scores(monkeypatch, 3 * 5 * 7)
    shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in some(4, 5, 7, 3, 4)]
    step = jax.jit(functools.partial(pulled, nn.attention))
    for lowering in nn.LOWERINGS:
        with nn.use_lowering(lowering):
            text = step.lower(*shapes).compile().as_text()
        assert "[4,3,5,7]" not in text and "[12,5,7]" not in text


@pytest.mark.parametrize(("dtype", "least"), [(np.float32, 1e-5), (jnp.bfloat16, 0.03)])
def test_blocks_as_a_tpu_has_them(dtype, least, monkeypatch):
    """Their program runs here too, on a CPU."""
    few_scores(monkeypatch, 3 * 4 * 7)
    monkeypatch.setattr(
        blockwise, "_by_platform", lambda forms, *arrays: forms["tpu"](*arrays)
    )
    arrays = some(4, 5, 7, 3, 8, dtype)
    value, gradients = jax.jit(functools.partial(pulled, nn.attention))(*arrays)
    assert {a.dtype for a in (value, *gradients)} == {jnp.dtype(dtype)}
    expected = pulled(definition, *(a.astype(jnp.float32) for a in arrays))
    found = [np.float32(a) for a in (value, *gradients)]
    close(found, [expected[0], *expected[1]], least)
