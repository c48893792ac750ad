"""Attention against its definition in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numeric import close, normal, pulled

from jmer import nn

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
