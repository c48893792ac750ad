"""HSTA as accelerators have it, with room for tokens that are nobody's."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close, normal
from small_hsta import TINY as STILL

from jmer import nn

TINY = dataclasses.replace(STILL, dropout=0.2, drop_path=0.2)
"""19 tokens of the clip and 5 of special frames."""


def frames(size, special=2):
    shapes = (4, 4, size, size, 3), (4, special, size, size, 3)
    return [np.clip(128 + 60 * normal(i, *s), 0, 255) for i, s in enumerate(shapes)]


@functools.cache
def built(config, dtype=jnp.float32):
    graphdef, params = nnx.split(config.build(3, dtype=dtype, rngs=nnx.Rngs(0)))
    return graphdef, jax.tree.map(lambda p: p + 0.1 * normal(p.size, *p.shape), params)


def trained(config, lowering, dtype=jnp.float32):
    """The loss of a batch, and all gradients as one vector."""
    graphdef, params = built(config, dtype)
    inputs = dict(zip(config.inputs, frames(config.size), strict=True))

    def loss(params):
        model, key = nnx.merge(graphdef, params), jax.random.key(5)
        with nn.use_lowering(lowering):
            label, weight = jnp.arange(4) % 3, jnp.ones(4)
            return config.loss(model, inputs, label, weight=weight, key=key)

    found, gradients = jax.jit(jax.value_and_grad(loss))(params)
    return found, np.concatenate([g.ravel() for g in jax.tree.leaves(gradients)])


@pytest.mark.parametrize(
    "fields", [{}, {"streams": "v", "csta": False}, {"usta_mlp": False}], ids=str
)
def test_a_gpu_trains_as_others_do(fields):
    config = dataclasses.replace(TINY, **fields)
    loss, gradient = trained(config, "patches")
    for dtype, within in ((jnp.float32, 1e-5), (jnp.bfloat16, 0.05)):
        found, narrow = trained(config, "gpu", dtype)
        close(found, loss, within)
        off = np.linalg.norm(narrow - gradient) / np.linalg.norm(gradient)
        assert off < within


@pytest.mark.parametrize(
    ("lowering", "dtype"), [("patches", jnp.float32), ("gpu", jnp.bfloat16)], ids=str
)
@pytest.mark.parametrize("size", [9, 18])
def test_frames_of_another_size(lowering, dtype, size):
    """What is given is seen, whatever the size that the network was made for."""
    same = dataclasses.replace(TINY, special_size=13)  # else theirs is that of the clip
    logits = []
    for config in (same, dataclasses.replace(same, size=size)):
        model = nnx.merge(built(config, dtype)[0], built(TINY)[1])
        with nn.use_lowering(lowering):
            clip, special = map(jnp.asarray, frames(size))
            logits.append(nnx.jit(type(model).__call__)(model, clip, special))
    close(logits[0], logits[1], 1e-6)
